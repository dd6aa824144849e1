// securitybaseapi.h, and what belongs to it of winbase.h, sddl.h and processthreadsapi.h: tokens, privileges
// and security descriptors. There are none: the host's rights hold, and every function that asks for them
// fails as it does for whoever may not look. What a guest made itself, SIDs and descriptors in its memory, is
// read.
#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "memory/heaps.hpp"
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

/// The profile is a matter of the registry, which is empty.
BOOL GetCurrentHwProfileW(PVOID) { return failed(ERROR_FILE_NOT_FOUND); }

// ---- SIDs ------------------------------------------------------------------------------------------------

struct SID {
  BYTE Revision;
  BYTE SubAuthorityCount;
  BYTE IdentifierAuthority[6];  // the most significant first
  DWORD SubAuthority[15];       // as many as the count says
};

DWORD size_of(const SID& sid) { return 8 + 4u * sid.SubAuthorityCount; }

BOOL IsValidSid(const SID* sid) {
  return sid != nullptr && (sid->Revision & 0xF) == 1 && sid->SubAuthorityCount <= 15;
}

DWORD GetLengthSid(const SID* sid) { return size_of(*sid); }

BOOL CopySid(DWORD room, PVOID to, const SID* from) {
  if (room < size_of(*from)) return failed(ERROR_INSUFFICIENT_BUFFER);
  std::memcpy(to, from, size_of(*from));
  return TRUE;
}

/// "S-1-5-21-...", which the caller gives to LocalFree. An authority beyond 32 bits is in hexadecimal.
BOOL ConvertSidToStringSidW(const SID* sid, LPWSTR* out) {
  constexpr DWORD ERROR_INVALID_SID = 1337;
  if (out == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (IsValidSid(sid) == FALSE) return failed(ERROR_INVALID_SID);
  std::uint64_t authority = 0;
  for (const BYTE byte : sid->IdentifierAuthority) authority = authority << 8 | byte;
  std::string text = fmt::format(fmt::runtime(authority >> 32 == 0 ? "S-1-{}" : "S-1-0x{:012X}"), authority);
  for (DWORD i = 0; i < sid->SubAuthorityCount; ++i) text += fmt::format("-{}", sid->SubAuthority[i]);
  auto& heap = *services().heaps.find(services().heaps.process_heap());
  auto* block = static_cast<LPWSTR>(heap.allocate((text.size() + 1) * sizeof(WCHAR), {}));
  if (block == nullptr) return failed(ERROR_NOT_ENOUGH_MEMORY);
  *std::copy(text.begin(), text.end(), block) = 0;
  *out = block;
  return TRUE;
}

/// No SID is known by a name.
BOOL LookupAccountSidW(LPCWSTR, const SID*, LPWSTR, DWORD*, LPWSTR, DWORD*, DWORD*) {
  constexpr DWORD ERROR_NONE_MAPPED = 1332;
  return failed(ERROR_NONE_MAPPED);
}

// ---- security descriptors --------------------------------------------------------------------------------

/// How a descriptor starts; what follows is offsets of 32 bits, or (aligned) pointers.
struct SecurityDescriptor {
  enum : WORD { owner_defaulted = 0x1, group_defaulted = 0x2, self_relative = 0x8000 };
  BYTE Revision;
  BYTE Sbz1;
  WORD Control;
};
struct RelativeSecurityDescriptor : SecurityDescriptor {
  DWORD sids[2];  ///< owner and group, as Holder counts
};
struct AbsoluteSecurityDescriptor : SecurityDescriptor {
  PVOID sids[2];
};

enum class Holder : std::uint8_t { owner, group };

BOOL give_holder(const SecurityDescriptor* descriptor, Holder holder, PVOID* sid, BOOL* defaulted) {
  constexpr DWORD ERROR_UNKNOWN_REVISION = 1305;
  if (descriptor == nullptr || sid == nullptr || defaulted == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (descriptor->Revision != 1) return failed(ERROR_UNKNOWN_REVISION);
  const auto index = static_cast<std::size_t>(holder);
  if ((descriptor->Control & SecurityDescriptor::self_relative) != 0) {
    const DWORD offset = static_cast<const RelativeSecurityDescriptor*>(descriptor)->sids[index];
    auto* const start = reinterpret_cast<std::byte*>(const_cast<SecurityDescriptor*>(descriptor));
    *sid = offset == 0 ? nullptr : start + offset;
  } else {
    *sid = static_cast<const AbsoluteSecurityDescriptor*>(descriptor)->sids[index];
  }
  const WORD bit =
      holder == Holder::owner ? SecurityDescriptor::owner_defaulted : SecurityDescriptor::group_defaulted;
  *defaulted = (descriptor->Control & bit) != 0;
  return TRUE;
}
BOOL GetSecurityDescriptorOwner(const SecurityDescriptor* descriptor, PVOID* owner, BOOL* defaulted) {
  return give_holder(descriptor, Holder::owner, owner, defaulted);
}
BOOL GetSecurityDescriptorGroup(const SecurityDescriptor* descriptor, PVOID* group, BOOL* defaulted) {
  return give_holder(descriptor, Holder::group, group, defaulted);
}

const Export kExports[] = {
    NATIVE(kAdvapi32, ConvertSidToStringSidW),
    NATIVE(kAdvapi32, CopySid),
    NATIVE(kAdvapi32, GetCurrentHwProfileW),
    NATIVE(kAdvapi32, GetLengthSid),
    NATIVE(kAdvapi32, GetSecurityDescriptorGroup),
    NATIVE(kAdvapi32, GetSecurityDescriptorOwner),
    NATIVE(kAdvapi32, IsValidSid),
    NATIVE(kAdvapi32, LookupAccountSidW),
    NATIVE(kAdvapi32, AdjustTokenPrivileges),
    NATIVE(kAdvapi32, GetFileSecurityW),
    SYSTEM_CALL(kAdvapi32, GetTokenInformation),
    NATIVE(kAdvapi32, LookupPrivilegeValueA),
    NATIVE(kAdvapi32, LookupPrivilegeValueW),
    NATIVE(kAdvapi32, OpenProcessToken),
    NATIVE(kAdvapi32, SetFileSecurityW),
};

}  // namespace

std::span<const Export> securitybaseapi_natives() { return kExports; }

}  // namespace bobbin::win32
