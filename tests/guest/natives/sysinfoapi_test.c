// The machine and the Windows that a guest finds.
#include "../check.h"

#define FROM(dll, type, name, arguments) \
  type(WINAPI* name) arguments = (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA(dll), #name)

static void machine(void) {
  SYSTEM_INFO info, native;
  GetSystemInfo(&info);
  CHECK(info.dwPageSize == 4096 && info.dwAllocationGranularity == 65536);
  CHECK(info.wProcessorArchitecture == 9 && info.dwNumberOfProcessors >= 1);
  CHECK((info.dwActiveProcessorMask & 1) == 1 && info.lpMinimumApplicationAddress == (void*)0x10000);
  GetNativeSystemInfo(&native);
  CHECK(native.dwNumberOfProcessors == info.dwNumberOfProcessors);

  MEMORYSTATUSEX memory = {sizeof memory};
  CHECK(GlobalMemoryStatusEx(&memory));
  CHECK(memory.ullTotalPhys > 0 && memory.ullAvailPhys <= memory.ullTotalPhys && memory.dwMemoryLoad <= 100);
  CHECK(memory.ullTotalVirtual > (ULONGLONG)1 << 40 && memory.ullAvailVirtual <= memory.ullTotalVirtual);
  memory.dwLength = 3;
  if (!running_under_wine()) {  // which does not look
    CHECK(!GlobalMemoryStatusEx(&memory) && GetLastError() == ERROR_INVALID_PARAMETER);
  }
}

static void processors(void) {
  FROM("kernel32.dll", DWORD, GetActiveProcessorCount, (WORD));
  FROM("kernel32.dll", DWORD, GetMaximumProcessorCount, (WORD));
  FROM("kernel32.dll", WORD, GetActiveProcessorGroupCount, (void));
  FROM("kernel32.dll", WORD, GetMaximumProcessorGroupCount, (void));
  FROM("kernel32.dll", DWORD, GetCurrentProcessorNumber, (void));
  FROM("kernel32.dll", void, GetCurrentProcessorNumberEx, (PROCESSOR_NUMBER*));
  FROM("ntdll.dll", DWORD, NtGetCurrentProcessorNumber, (void));
  FROM("kernel32.dll", BOOL, GetNumaHighestNodeNumber, (ULONG*));
  FROM("kernel32.dll", BOOL, GetLogicalProcessorInformation, (void*, DWORD*));
  FROM("kernel32.dll", BOOL, GetLogicalProcessorInformationEx, (int, void*, DWORD*));
  FROM("ntdll.dll", BOOLEAN, RtlIsProcessorFeaturePresent, (DWORD));
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  CHECK(GetActiveProcessorCount(0) == info.dwNumberOfProcessors);
  CHECK(GetActiveProcessorCount(0xFFFF) == info.dwNumberOfProcessors);
  CHECK(GetMaximumProcessorCount(0) >= info.dwNumberOfProcessors);
  CHECK(GetActiveProcessorGroupCount() == 1);
  CHECK(GetMaximumProcessorGroupCount() == 1);
  CHECK(GetCurrentProcessorNumber() < 64);
  CHECK(NtGetCurrentProcessorNumber() < 64);
  PROCESSOR_NUMBER number = {9, 99, 9};
  GetCurrentProcessorNumberEx(&number);
  CHECK(number.Group == 0 && number.Number < 64 && number.Reserved == 0);
  ULONG node = 99;
  CHECK(GetNumaHighestNodeNumber(&node) && node < 64);

  static SYSTEM_LOGICAL_PROCESSOR_INFORMATION rows[256];
  DWORD size = 0;
  CHECK(!GetLogicalProcessorInformation(NULL, &size) && GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(size > 0 && size <= sizeof rows && size % sizeof rows[0] == 0);
  CHECK(GetLogicalProcessorInformation(rows, &size));
  ULONG_PTR cores = 0;
  for (DWORD i = 0; i < size / sizeof rows[0]; ++i) {
    if (rows[i].Relationship == RelationProcessorCore) cores |= rows[i].ProcessorMask;
  }
  CHECK(cores == info.dwActiveProcessorMask || running_under_wine());  // which counts the host's, not ours
  static char more[4096];
  size = sizeof more;
  CHECK(GetLogicalProcessorInformationEx(RelationGroup, more, &size));
  CHECK(*(DWORD*)more == RelationGroup && *(DWORD*)(more + 4) == size);

  CHECK(IsProcessorFeaturePresent(PF_XMMI64_INSTRUCTIONS_AVAILABLE));
  CHECK(RtlIsProcessorFeaturePresent(PF_COMPARE_EXCHANGE_DOUBLE));
  CHECK(!IsProcessorFeaturePresent(60000));
}

static void versions(void) {
  FROM("ntdll.dll", LONG, RtlGetVersion, (OSVERSIONINFOEXW*));
  FROM("ntdll.dll", void, RtlGetNtVersionNumbers, (DWORD*, DWORD*, DWORD*));
  FROM("ntdll.dll", LONG, RtlVerifyVersionInfo, (const OSVERSIONINFOEXW*, DWORD, ULONGLONG));
  FROM("kernel32.dll", BOOL, GetProductInfo, (DWORD, DWORD, DWORD, DWORD, DWORD*));
  FROM("ntdll.dll", BOOLEAN, RtlGetProductInfo, (DWORD, DWORD, DWORD, DWORD, DWORD*));
  OSVERSIONINFOEXW wide = {sizeof wide}, exact = {sizeof exact};
  OSVERSIONINFOA plain = {sizeof plain};
  CHECK(GetVersionExW((OSVERSIONINFOW*)&wide) && wide.dwMajorVersion >= 5 &&
        wide.dwPlatformId == VER_PLATFORM_WIN32_NT);
  CHECK(wide.wProductType == VER_NT_WORKSTATION);
  CHECK(GetVersionExA(&plain) && plain.dwMajorVersion == wide.dwMajorVersion);
  plain.dwOSVersionInfoSize = 3;
  CHECK(!GetVersionExA(&plain) && GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK((GetVersion() & 0xFF) == wide.dwMajorVersion);
  CHECK(RtlGetVersion(&exact) == 0 && exact.dwMajorVersion >= wide.dwMajorVersion &&
        exact.dwBuildNumber > 2600);
  DWORD major = 0, minor = 0, build = 0, type = 0;
  RtlGetNtVersionNumbers(&major, &minor, &build);
  CHECK(major == exact.dwMajorVersion && (build & 0xFFFF) == exact.dwBuildNumber && (build >> 28) == 0xF);
  CHECK(GetProductInfo(6, 1, 0, 0, &type) && type != 0);
  CHECK(RtlGetProductInfo(6, 1, 0, 0, &type) && type != 0);

  ULONGLONG at_least = VerSetConditionMask(0, VER_MAJORVERSION, VER_GREATER_EQUAL);
  at_least = VerSetConditionMask(at_least, VER_MINORVERSION, VER_GREATER_EQUAL);
  CHECK(at_least == ((ULONGLONG)VER_GREATER_EQUAL << 3 | VER_GREATER_EQUAL));
  OSVERSIONINFOEXW asked = {sizeof asked};
  asked.dwMajorVersion = 5;
  asked.dwMinorVersion = 9;
  CHECK(VerifyVersionInfoW(&asked, VER_MAJORVERSION | VER_MINORVERSION, at_least));
  OSVERSIONINFOEXA narrow = {sizeof narrow};
  narrow.dwMajorVersion = 5;
  narrow.dwMinorVersion = 1;
  CHECK(VerifyVersionInfoA(&narrow, VER_MAJORVERSION | VER_MINORVERSION, at_least));
  asked.dwMajorVersion = 99;
  CHECK(!VerifyVersionInfoW(&asked, VER_MAJORVERSION, at_least) && GetLastError() == ERROR_OLD_WIN_VERSION);
  CHECK(RtlVerifyVersionInfo(&asked, VER_MAJORVERSION, at_least) == (LONG)0xC0000059);
}

static void names(void) {
  WCHAR wide[MAX_PATH];
  char narrow[MAX_PATH];
  CHECK(GetSystemDirectoryA(narrow, MAX_PATH) == 19 && _stricmp(narrow, "C:\\windows\\system32") == 0);
  CHECK(GetSystemDirectoryW(wide, MAX_PATH) == 19);
  CHECK(GetSystemDirectoryW(wide, 3) == 20);
  CHECK(GetWindowsDirectoryA(narrow, MAX_PATH) == 10 && _stricmp(narrow, "C:\\windows") == 0);
  CHECK(GetWindowsDirectoryW(wide, MAX_PATH) == 10);
  CHECK(GetSystemWindowsDirectoryA(narrow, MAX_PATH) == 10);
  CHECK(GetSystemWindowsDirectoryW(wide, MAX_PATH) == 10);

  DWORD size = MAX_PATH;
  CHECK(GetComputerNameA(narrow, &size) && size == strlen(narrow) && size > 0);
  size = MAX_PATH;
  CHECK(GetComputerNameW(wide, &size) && size == wcslen(wide));
  DWORD small = 0;
  CHECK(!GetComputerNameW(wide, &small) && GetLastError() == ERROR_BUFFER_OVERFLOW);
  CHECK(small == size + 1 || running_under_wine());
  size = MAX_PATH;
  CHECK(GetComputerNameExW(ComputerNameDnsHostname, wide, &size) && size == wcslen(wide) && size > 0);
  size = MAX_PATH;
  CHECK(GetComputerNameExA(ComputerNamePhysicalNetBIOS, narrow, &size) && size == strlen(narrow));
  CHECK(!GetComputerNameExA((COMPUTER_NAME_FORMAT)77, narrow, &size) &&
        GetLastError() == ERROR_INVALID_PARAMETER);
}

int main(void) {
  machine();
  processors();
  versions();
  names();
  return DONE();
}
