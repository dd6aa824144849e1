// securitybaseapi.h, and what belongs to it of winbase.h, sddl.h and processthreadsapi.h: tokens, privileges
// and security descriptors. There are none: the host's rights hold, and every function fails as it does for
// whoever may not look.
#include "win32/handles.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr DWORD ERROR_NO_SUCH_PRIVILEGE = 1313;

BOOL OpenProcessToken(HANDLE, DWORD, HANDLE*) { return failed(ERROR_ACCESS_DENIED); }

BOOL AdjustTokenPrivileges(HANDLE, BOOL, PVOID, DWORD, PVOID, DWORD*) { return failed(ERROR_INVALID_HANDLE); }

BOOL GetTokenInformation(HANDLE, DWORD, PVOID, DWORD, DWORD* returned) {
  if (returned != nullptr) *returned = 0;
  return failed(ERROR_INVALID_HANDLE);
}

BOOL LookupPrivilegeValueA(LPCSTR, LPCSTR, PVOID) { return failed(ERROR_NO_SUCH_PRIVILEGE); }
BOOL LookupPrivilegeValueW(LPCWSTR, LPCWSTR, PVOID) { return failed(ERROR_NO_SUCH_PRIVILEGE); }

/// As on a file system that keeps no security, once the file is known to be there.
BOOL without_security(LPCWSTR path) {
  auto info = services().files.info(view(path));
  return failed(info ? ERROR_NOT_SUPPORTED : win32_error(info.error().status));
}
BOOL GetFileSecurityW(LPCWSTR path, DWORD, PVOID, DWORD, DWORD*) { return without_security(path); }
BOOL SetFileSecurityW(LPCWSTR path, DWORD, PVOID) { return without_security(path); }

const Export kExports[] = {
    NATIVE(kAdvapi32, AdjustTokenPrivileges), NATIVE(kAdvapi32, GetFileSecurityW),
    NATIVE(kAdvapi32, GetTokenInformation),   NATIVE(kAdvapi32, LookupPrivilegeValueA),
    NATIVE(kAdvapi32, LookupPrivilegeValueW), NATIVE(kAdvapi32, OpenProcessToken),
    NATIVE(kAdvapi32, SetFileSecurityW),
};

}  // namespace

std::span<const Export> securitybaseapi_natives() { return kExports; }

}  // namespace bobbin::win32
