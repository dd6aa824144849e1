// winreg.h: a registry that is empty and cannot be written. The predefined keys are there, and nothing is in
// them.
#include "sync/dispatcher.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

using LSTATUS = LONG;
using HKEY = PVOID;

constexpr LSTATUS kNotFound = ERROR_FILE_NOT_FOUND;

/// HKEY_CLASSES_ROOT to HKEY_CURRENT_USER_LOCAL_SETTINGS: sign-extended 32-bit numbers from 0x80000000 on.
bool is_predefined(HKEY key) {
  const auto number = reinterpret_cast<ULONG_PTR>(key);
  return (number & 0xFFFFFFFFu) - 0x80000000u <= 7 && (number >> 32 == 0 || number >> 32 == 0xFFFFFFFFu);
}

LSTATUS in_key(HKEY key, LSTATUS status) {
  return is_predefined(key) ? status : LSTATUS{ERROR_INVALID_HANDLE};
}

/// Without a name it is the key itself that is opened again.
template <class Char>
LSTATUS open_key(HKEY key, const Char* name, HKEY* opened) {
  if (opened == nullptr) return ERROR_INVALID_PARAMETER;
  const bool itself = is_predefined(key) && (name == nullptr || *name == 0);
  *opened = itself ? key : nullptr;
  return itself ? LSTATUS{ERROR_SUCCESS} : in_key(key, kNotFound);
}

LSTATUS RegOpenKeyExA(HKEY key, LPCSTR name, DWORD, DWORD, HKEY* opened) {
  return open_key(key, name, opened);
}
LSTATUS RegOpenKeyExW(HKEY key, LPCWSTR name, DWORD, DWORD, HKEY* opened) {
  return open_key(key, name, opened);
}

LSTATUS RegCreateKeyExW(HKEY key, LPCWSTR, DWORD, LPWSTR, DWORD, DWORD, PVOID, HKEY*, DWORD*) {
  return in_key(key, ERROR_ACCESS_DENIED);
}

LSTATUS RegQueryValueExA(HKEY key, LPCSTR, DWORD*, DWORD*, BYTE*, DWORD*) { return in_key(key, kNotFound); }
LSTATUS RegQueryValueExW(HKEY key, LPCWSTR, DWORD*, DWORD*, BYTE*, DWORD*) { return in_key(key, kNotFound); }

LSTATUS RegLoadMUIStringW(HKEY key, LPCWSTR, LPWSTR, DWORD, DWORD*, DWORD, LPCWSTR) {
  return in_key(key, kNotFound);
}

LSTATUS RegSetValueExW(HKEY key, LPCWSTR, DWORD, DWORD, const BYTE*, DWORD) {
  return in_key(key, ERROR_ACCESS_DENIED);
}

LSTATUS RegDeleteValueW(HKEY key, LPCWSTR) { return in_key(key, kNotFound); }

LSTATUS RegEnumKeyExW(HKEY key, DWORD, LPWSTR, DWORD*, DWORD*, LPWSTR, DWORD*, FILETIME*) {
  return in_key(key, ERROR_NO_MORE_ITEMS);
}

LSTATUS RegEnumValueW(HKEY key, DWORD, LPWSTR, DWORD*, DWORD*, DWORD*, BYTE*, DWORD*) {
  return in_key(key, ERROR_NO_MORE_ITEMS);
}

/// Nothing ever changes: the event is never set, and who waits here waits for ever.
LSTATUS RegNotifyChangeKeyValue(HKEY key, BOOL, DWORD, HANDLE event, BOOL asynchronous) {
  if (!is_predefined(key)) return ERROR_INVALID_HANDLE;
  if (asynchronous != FALSE) {
    auto waitable = waitable_of(event);
    return waitable ? LSTATUS{ERROR_SUCCESS} : static_cast<LSTATUS>(win32_error(waitable.error().status));
  }
  (void)sync::wait({}, false, std::nullopt, thread::current_waiter());
  return ERROR_SUCCESS;
}

LSTATUS RegCloseKey(HKEY key) { return in_key(key, ERROR_SUCCESS); }

const Export kExports[] = {
    NATIVE(kAdvapi32, RegCloseKey),
    NATIVE(kAdvapi32, RegCreateKeyExW),
    NATIVE(kAdvapi32, RegDeleteValueW),
    NATIVE(kAdvapi32, RegEnumKeyExW),
    NATIVE(kAdvapi32, RegEnumValueW),
    NATIVE(kAdvapi32, RegLoadMUIStringW),
    NATIVE(kAdvapi32, RegNotifyChangeKeyValue),
    NATIVE(kAdvapi32, RegOpenKeyExA),
    NATIVE(kAdvapi32, RegOpenKeyExW),
    NATIVE(kAdvapi32, RegQueryValueExA),
    NATIVE(kAdvapi32, RegQueryValueExW),
    NATIVE(kAdvapi32, RegSetValueExW),
};

}  // namespace

std::span<const Export> winreg_natives() { return kExports; }

}  // namespace bobbin::win32
