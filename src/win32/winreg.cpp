// winreg.h: a registry that is empty and cannot be written. The predefined keys are there, and nothing is in
// them.
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
LSTATUS RegOpenKeyExW(HKEY key, LPCWSTR name, DWORD, DWORD, HKEY* opened) {
  if (opened == nullptr) return ERROR_INVALID_PARAMETER;
  const bool itself = is_predefined(key) && (name == nullptr || *name == 0);
  *opened = itself ? key : nullptr;
  return itself ? LSTATUS{ERROR_SUCCESS} : in_key(key, kNotFound);
}

LSTATUS RegQueryValueExW(HKEY key, LPCWSTR, DWORD*, DWORD*, BYTE*, DWORD*) { return in_key(key, kNotFound); }

LSTATUS RegCloseKey(HKEY key) { return in_key(key, ERROR_SUCCESS); }

const Export kExports[] = {
    NATIVE(kAdvapi32, RegCloseKey),
    NATIVE(kAdvapi32, RegOpenKeyExW),
    NATIVE(kAdvapi32, RegQueryValueExW),
};

}  // namespace

std::span<const Export> winreg_natives() { return kExports; }

}  // namespace bobbin::win32
