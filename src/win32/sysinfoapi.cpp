// sysinfoapi.h, the half about the Windows that a guest finds: version, folders, names. (Its clocks stand in
// timezoneapi.cpp, the machine in sysinfoapi_machine.cpp.)
//
// The version is the PEB's, which the runtime fills by the Windows generation that it was started with.
// Windows tells programs without a manifest that it is 6.2; we tell everybody the truth, since a program that
// asks wants to know what it can rely on, and a manifest only says that its author has tried it.
#include <bit>
#include <cstring>
#include <string>

#include "abi/status.hpp"
#include "nls/characters.hpp"
#include "nls/utf.hpp"
#include "os/system.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- the version -----------------------------------------------------------------------------------------

constexpr BYTE VER_NT_WORKSTATION = 1;
constexpr WORD VER_SUITE_SINGLEUSERTS = 0x100;
constexpr DWORD PRODUCT_PROFESSIONAL = 0x30;

template <class Char>
struct OSVERSIONINFO {
  DWORD dwOSVersionInfoSize;
  DWORD dwMajorVersion;
  DWORD dwMinorVersion;
  DWORD dwBuildNumber;
  DWORD dwPlatformId;
  Char szCSDVersion[128];
};
template <class Char>
struct OSVERSIONINFOEX {
  OSVERSIONINFO<Char> plain;
  WORD wServicePackMajor;
  WORD wServicePackMinor;
  WORD wSuiteMask;
  BYTE wProductType;
  BYTE wReserved;
};
static_assert(sizeof(OSVERSIONINFOEX<char>) == 156);
static_assert(sizeof(OSVERSIONINFOEX<WCHAR>) == 284);

const PEB& peb() { return *current_teb()->ProcessEnvironmentBlock; }

template <class Char>
OSVERSIONINFOEX<Char> version() {
  OSVERSIONINFOEX<Char> out{};
  out.plain = {sizeof out,          peb().OSMajorVersion, peb().OSMinorVersion,
               peb().OSBuildNumber, peb().OSPlatformId,   {}};
  out.wSuiteMask = VER_SUITE_SINGLEUSERTS;
  out.wProductType = VER_NT_WORKSTATION;
  return out;
}

/// Fills the plain or the extended structure, by the size that the caller put into it; false for another
/// size.
template <class Char>
bool deliver_version(OSVERSIONINFO<Char>* out) {
  const DWORD size = out->dwOSVersionInfoSize;
  if (size != sizeof(OSVERSIONINFO<Char>) && size != sizeof(OSVERSIONINFOEX<Char>)) return false;
  OSVERSIONINFOEX<Char> answer = version<Char>();
  answer.plain.dwOSVersionInfoSize = size;
  std::memcpy(out, &answer, size);
  return true;
}

BOOL GetVersionExA(OSVERSIONINFO<char>* out) {
  return deliver_version(out) ? TRUE : failed(ERROR_INSUFFICIENT_BUFFER);
}
BOOL GetVersionExW(OSVERSIONINFO<WCHAR>* out) {
  return deliver_version(out) ? TRUE : failed(ERROR_INSUFFICIENT_BUFFER);
}

NTSTATUS RtlGetVersion(OSVERSIONINFO<WCHAR>* out) {
  if (!deliver_version(out)) {
    out->dwOSVersionInfoSize = sizeof *out;  // any other size means the plain structure
    deliver_version(out);
  }
  return STATUS_SUCCESS;
}

/// Major in the low byte, minor in the next, build in the high word.
DWORD GetVersion() {
  return peb().OSMajorVersion | peb().OSMinorVersion << 8 | static_cast<DWORD>(peb().OSBuildNumber) << 16;
}

void RtlGetNtVersionNumbers(DWORD* major, DWORD* minor, DWORD* build) {
  constexpr DWORD kFreeBuild = 0xF0000000;
  if (major != nullptr) *major = peb().OSMajorVersion;
  if (minor != nullptr) *minor = peb().OSMinorVersion;
  if (build != nullptr) *build = peb().OSBuildNumber | kFreeBuild;
}

BOOL GetProductInfo(DWORD major, DWORD, DWORD, DWORD, DWORD* type) {
  if (type == nullptr || major < 6) return failed(ERROR_INVALID_PARAMETER);
  *type = PRODUCT_PROFESSIONAL;
  return TRUE;
}

BOOLEAN RtlGetProductInfo(DWORD major, DWORD minor, DWORD sp_major, DWORD sp_minor, DWORD* type) {
  return GetProductInfo(major, minor, sp_major, sp_minor, type) != 0;
}

// VerifyVersionInfo: which fields to compare (a mask), and how (three bits for each field).
enum : DWORD {
  VER_MINORVERSION = 0x01,
  VER_MAJORVERSION = 0x02,
  VER_BUILDNUMBER = 0x04,
  VER_PLATFORMID = 0x08,
  VER_SERVICEPACKMINOR = 0x10,
  VER_SERVICEPACKMAJOR = 0x20,
  VER_SUITENAME = 0x40,
  VER_PRODUCT_TYPE = 0x80,
};
enum : unsigned { VER_EQUAL = 1, VER_GREATER, VER_GREATER_EQUAL, VER_LESS, VER_LESS_EQUAL, VER_AND, VER_OR };

ULONGLONG VerSetConditionMask(ULONGLONG mask, DWORD fields, BYTE condition) {
  condition &= 7;
  if (fields == 0 || condition == 0) return mask;
  const int place = 31 - std::countl_zero(fields & 0xFF);  // the highest field named
  return place < 0 ? mask : mask | ULONGLONG{condition} << (place * 3);
}

unsigned condition_of(ULONGLONG conditions, DWORD field) {
  return static_cast<unsigned>(conditions >> (std::countr_zero(field) * 3) & 7);
}

bool holds(DWORD ours, DWORD asked, unsigned condition) {
  switch (condition) {
    case VER_EQUAL:
      return ours == asked;
    case VER_GREATER:
      return ours > asked;
    case VER_GREATER_EQUAL:
      return ours >= asked;
    case VER_LESS:
      return ours < asked;
    case VER_LESS_EQUAL:
      return ours <= asked;
    default:
      return false;
  }
}

using VersionEx = OSVERSIONINFOEX<WCHAR>;

/// Major, minor and service pack are one number in four parts: the first part that differs decides, by the
/// condition of the most significant part asked for.
bool version_holds(const VersionEx& asked, DWORD fields, ULONGLONG conditions) {
  const VersionEx ours = version<WCHAR>();
  const struct {
    DWORD field, ours, asked;
  } parts[] = {{VER_MAJORVERSION, ours.plain.dwMajorVersion, asked.plain.dwMajorVersion},
               {VER_MINORVERSION, ours.plain.dwMinorVersion, asked.plain.dwMinorVersion},
               {VER_SERVICEPACKMAJOR, ours.wServicePackMajor, asked.wServicePackMajor},
               {VER_SERVICEPACKMINOR, ours.wServicePackMinor, asked.wServicePackMinor}};
  unsigned condition = 0;
  for (const auto& part : parts) {
    if ((fields & part.field) == 0) continue;
    if (condition == 0) condition = condition_of(conditions, part.field);
    if (part.ours != part.asked) return holds(part.ours, part.asked, condition);
  }
  return condition == 0 || holds(0, 0, condition);
}

bool suite_holds(WORD asked, unsigned condition) {
  const WORD shared = VER_SUITE_SINGLEUSERTS & asked;
  return condition == VER_AND ? shared == asked : condition == VER_OR ? shared != 0 || asked == 0 : false;
}

/// STATUS_SUCCESS if all hold.
NTSTATUS RtlVerifyVersionInfo(const VersionEx* asked, DWORD fields, ULONGLONG conditions) {
  if (fields == 0 || conditions == 0) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  const VersionEx ours = version<WCHAR>();
  const auto wants = [&](DWORD field, DWORD mine, DWORD theirs) {
    return (fields & field) == 0 || holds(mine, theirs, condition_of(conditions, field));
  };
  const bool all = wants(VER_PRODUCT_TYPE, ours.wProductType, asked->wProductType) &&
                   wants(VER_PLATFORMID, ours.plain.dwPlatformId, asked->plain.dwPlatformId) &&
                   wants(VER_BUILDNUMBER, ours.plain.dwBuildNumber, asked->plain.dwBuildNumber) &&
                   ((fields & VER_SUITENAME) == 0 ||
                    suite_holds(asked->wSuiteMask, condition_of(conditions, VER_SUITENAME))) &&
                   version_holds(*asked, fields, conditions);
  return all ? NTSTATUS{STATUS_SUCCESS} : static_cast<NTSTATUS>(STATUS_REVISION_MISMATCH);
}

BOOL VerifyVersionInfoW(VersionEx* asked, DWORD fields, ULONGLONG conditions) {
  const NTSTATUS status = RtlVerifyVersionInfo(asked, fields, conditions);
  if (status == STATUS_SUCCESS) return TRUE;
  const bool mismatch = status == static_cast<NTSTATUS>(STATUS_REVISION_MISMATCH);
  return failed(mismatch ? ERROR_OLD_WIN_VERSION : ERROR_BAD_ARGUMENTS);
}

BOOL VerifyVersionInfoA(const OSVERSIONINFOEX<char>* asked, DWORD fields, ULONGLONG conditions) {
  VersionEx wide{};
  wide.plain = {sizeof wide,
                asked->plain.dwMajorVersion,
                asked->plain.dwMinorVersion,
                asked->plain.dwBuildNumber,
                asked->plain.dwPlatformId,
                {}};
  wide.wServicePackMajor = asked->wServicePackMajor;
  wide.wServicePackMinor = asked->wServicePackMinor;
  wide.wSuiteMask = asked->wSuiteMask;
  wide.wProductType = asked->wProductType;
  return VerifyVersionInfoW(&wide, fields, conditions);
}

// ---- names -----------------------------------------------------------------------------------------------

constexpr std::u16string_view kWindowsDirectory = u"C:\\windows";
constexpr std::u16string_view kSystemDirectory = u"C:\\windows\\system32";

UINT GetWindowsDirectoryW(LPWSTR out, UINT room) { return deliver_terminated(kWindowsDirectory, out, room); }
UINT GetSystemWindowsDirectoryW(LPWSTR out, UINT room) { return GetWindowsDirectoryW(out, room); }
UINT GetSystemDirectoryW(LPWSTR out, UINT room) { return deliver_terminated(kSystemDirectory, out, room); }

UINT GetWindowsDirectoryA(LPSTR out, UINT room) {
  return deliver_terminated(std::string_view(nls::to_utf8(kWindowsDirectory)), out, room);
}
UINT GetSystemWindowsDirectoryA(LPSTR out, UINT room) { return GetWindowsDirectoryA(out, room); }
UINT GetSystemDirectoryA(LPSTR out, UINT room) {
  return deliver_terminated(std::string_view(nls::to_utf8(kSystemDirectory)), out, room);
}

enum : int {
  ComputerNameNetBIOS,
  ComputerNameDnsHostname,
  ComputerNameDnsDomain,
  ComputerNameDnsFullyQualified,
  ComputerNamePhysicalNetBIOS,
  ComputerNameMax = 8,
};

/// The old name: 15 characters of upper case.
std::u16string netbios_name() {
  std::u16string name = nls::to_utf16(os::host_name());
  name.resize(std::min<std::size_t>(name.size(), 15));
  std::ranges::transform(name, name.begin(), nls::to_upper);
  return name;
}

std::u16string computer_name(int kind) {
  switch (kind % ComputerNamePhysicalNetBIOS) {
    case ComputerNameNetBIOS:
      return netbios_name();
    case ComputerNameDnsDomain:
      return u"";
    default:
      return nls::to_utf16(os::host_name());
  }
}

/// `size` is the room before; after success the length, after failure the room that it takes.
template <class Char>
BOOL deliver_computer_name(const std::basic_string<Char>& name, Char* out, DWORD* size, DWORD too_small) {
  if (size == nullptr) return failed(ERROR_INVALID_PARAMETER);
  const DWORD room = *size;
  *size = deliver_terminated(std::basic_string_view<Char>(name), out, room);
  return *size <= name.size() ? TRUE : failed(too_small);
}

BOOL GetComputerNameW(LPWSTR out, DWORD* size) {
  return deliver_computer_name(netbios_name(), out, size, ERROR_BUFFER_OVERFLOW);
}
BOOL GetComputerNameA(LPSTR out, DWORD* size) {
  return deliver_computer_name(nls::to_utf8(netbios_name()), out, size, ERROR_BUFFER_OVERFLOW);
}
BOOL GetComputerNameExW(int kind, LPWSTR out, DWORD* size) {
  if (kind < 0 || kind >= ComputerNameMax) return failed(ERROR_INVALID_PARAMETER);
  return deliver_computer_name(computer_name(kind), out, size, ERROR_MORE_DATA);
}
BOOL GetComputerNameExA(int kind, LPSTR out, DWORD* size) {
  if (kind < 0 || kind >= ComputerNameMax) return failed(ERROR_INVALID_PARAMETER);
  return deliver_computer_name(nls::to_utf8(computer_name(kind)), out, size, ERROR_MORE_DATA);
}

const Export kExports[] = {
    NATIVE(kKernel32, GetComputerNameA),
    NATIVE(kKernel32, GetComputerNameExA),
    NATIVE(kKernel32, GetComputerNameExW),
    NATIVE(kKernel32, GetComputerNameW),
    NATIVE(kKernel32, GetProductInfo),
    NATIVE(kKernel32, GetSystemDirectoryA),
    NATIVE(kKernel32, GetSystemDirectoryW),
    NATIVE(kKernel32, GetSystemWindowsDirectoryA),
    NATIVE(kKernel32, GetSystemWindowsDirectoryW),
    NATIVE(kKernel32, GetVersion),
    NATIVE(kKernel32, GetVersionExA),
    NATIVE(kKernel32, GetVersionExW),
    NATIVE(kKernel32, GetWindowsDirectoryA),
    NATIVE(kKernel32, GetWindowsDirectoryW),
    NATIVE(kKernel32 | kNtdll, VerSetConditionMask),
    NATIVE(kKernel32, VerifyVersionInfoA),
    NATIVE(kKernel32, VerifyVersionInfoW),
    NATIVE(kNtdll, RtlGetNtVersionNumbers),
    NATIVE(kNtdll, RtlGetProductInfo),
    NT_NATIVE(kNtdll, RtlGetVersion),
    NT_NATIVE(kNtdll, RtlVerifyVersionInfo),
};

}  // namespace

std::span<const Export> sysinfoapi_natives() { return kExports; }

}  // namespace bobbin::win32
