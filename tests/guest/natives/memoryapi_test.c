// memoryapi.h and its ntdll twins.
#define _WIN32_WINNT 0x0A00
#include "check.h"

#define PAGE 0x1000
#define FAILS(call, error) (SetLastError(0xdead), !(call) && GetLastError() == (error))

typedef LONG(WINAPI* NtAllocateVirtualMemory_t)(HANDLE, PVOID*, ULONG_PTR, SIZE_T*, ULONG, ULONG);
typedef LONG(WINAPI* NtFreeVirtualMemory_t)(HANDLE, PVOID*, SIZE_T*, ULONG);
typedef LONG(WINAPI* NtProtectVirtualMemory_t)(HANDLE, PVOID*, SIZE_T*, ULONG, ULONG*);
typedef LONG(WINAPI* NtQueryVirtualMemory_t)(HANDLE, LPCVOID, ULONG, PVOID, SIZE_T, SIZE_T*);

static MEMORY_BASIC_INFORMATION query(const void* address) {
  MEMORY_BASIC_INFORMATION info = {0};
  MEMORY_BASIC_INFORMATION same = {0};
  CHECK(VirtualQuery(address, &info, sizeof info) == sizeof info);
  CHECK(VirtualQueryEx(GetCurrentProcess(), address, &same, sizeof same) == sizeof same);
  CHECK(memcmp(&info, &same, sizeof info) == 0);
  return info;
}

static void reserve_and_commit(void) {
  char* base = VirtualAlloc(NULL, 16 * PAGE, MEM_RESERVE, PAGE_READWRITE);
  CHECK(base != NULL && (ULONG_PTR)base % 0x10000 == 0);
  MEMORY_BASIC_INFORMATION info = query(base + 5);
  CHECK(info.BaseAddress == base && info.AllocationBase == base && info.RegionSize == 16 * PAGE);
  CHECK(info.State == MEM_RESERVE && info.Protect == 0 && info.AllocationProtect == PAGE_READWRITE);
  CHECK(info.Type == MEM_PRIVATE);

  // An address and a size are rounded to the pages that they touch.
  CHECK(VirtualAlloc(base + PAGE + 10, PAGE, MEM_COMMIT, PAGE_READWRITE) == base + PAGE);
  info = query(base + PAGE);
  CHECK(info.State == MEM_COMMIT && info.RegionSize == 2 * PAGE && info.Protect == PAGE_READWRITE);
  CHECK(info.AllocationBase == base);
  CHECK(base[PAGE] == 0);
  base[PAGE] = 42;
  CHECK(VirtualAlloc(base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE) == base);
  CHECK(base[PAGE] == 42);
  CHECK(query(base + 2 * PAGE).RegionSize == 2 * PAGE);
  CHECK(query(base + 4 * PAGE).State == MEM_RESERVE);

  CHECK(VirtualFree(base + PAGE, PAGE, MEM_DECOMMIT));
  CHECK(query(base + PAGE).State == MEM_RESERVE);
  CHECK(VirtualAlloc(base + PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE) == base + PAGE);
  CHECK(base[PAGE] == 0);
  CHECK(VirtualFree(base, 0, MEM_DECOMMIT));
  CHECK(query(base).State == MEM_RESERVE && query(base).RegionSize == 16 * PAGE);

  CHECK(FAILS(VirtualFree(base, PAGE, MEM_RELEASE), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualFree(base + PAGE, 0, MEM_RELEASE), ERROR_INVALID_ADDRESS));
  CHECK(FAILS(VirtualFree(base, 0, MEM_RELEASE | MEM_DECOMMIT), ERROR_INVALID_PARAMETER));
  CHECK(VirtualFree(base, 0, MEM_RELEASE));
  info = query(base);
  CHECK(info.State == MEM_FREE && info.AllocationBase == NULL && info.Protect == PAGE_NOACCESS);
  CHECK(info.Type == 0 && info.AllocationProtect == 0);
  CHECK(!VirtualFree(base, 0, MEM_RELEASE));

  // The same address again: a reservation starts at the multiple of 64 KiB below it.
  CHECK(VirtualAlloc(base + PAGE, 2 * PAGE, MEM_RESERVE | MEM_COMMIT, PAGE_READONLY) == base);
  CHECK(query(base).RegionSize == 3 * PAGE && query(base).Protect == PAGE_READONLY);
  CHECK(FAILS(VirtualAlloc(base, PAGE, MEM_RESERVE, PAGE_READONLY), ERROR_INVALID_ADDRESS));
  CHECK(VirtualFreeEx(GetCurrentProcess(), base, 0, MEM_RELEASE));

  char* direct = VirtualAllocEx(GetCurrentProcess(), NULL, 100, MEM_COMMIT, PAGE_READWRITE);
  CHECK(direct != NULL && query(direct).RegionSize == PAGE);
  CHECK(VirtualFree(direct, 0, MEM_RELEASE));
}

static void refusals(void) {
  CHECK(FAILS(VirtualAlloc(NULL, 0, MEM_COMMIT, PAGE_READWRITE), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualAlloc(NULL, PAGE, 0, PAGE_READWRITE), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualAlloc(NULL, PAGE, MEM_COMMIT, 3), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualAlloc(NULL, PAGE, MEM_COMMIT, 0), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualAlloc(NULL, PAGE, MEM_COMMIT, PAGE_WRITECOPY), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualAlloc(NULL, (SIZE_T)1 << 62, MEM_RESERVE, PAGE_READWRITE), ERROR_INVALID_PARAMETER) ||
        GetLastError() == ERROR_NOT_ENOUGH_MEMORY);
  CHECK(FAILS(VirtualFree(NULL, 0, MEM_RELEASE), ERROR_INVALID_PARAMETER) ||
        GetLastError() == ERROR_INVALID_ADDRESS);
  MEMORY_BASIC_INFORMATION info;
  CHECK(FAILS(VirtualQuery(&info, &info, sizeof info - 1), ERROR_BAD_LENGTH));
  CHECK(FAILS(VirtualQuery((void*)0x7FFFFFFF0000, &info, sizeof info), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualQuery((void*)~(ULONG_PTR)0, &info, sizeof info), ERROR_INVALID_PARAMETER));
}

static void protect(void) {
  DWORD old = 0xdead;
  char* base = VirtualAlloc(NULL, 4 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
  CHECK(VirtualAlloc(base, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE) == base);
  CHECK(VirtualProtect(base + PAGE, 1, PAGE_READONLY, &old) && old == PAGE_READWRITE);
  CHECK(query(base).RegionSize == PAGE && query(base + PAGE).Protect == PAGE_READONLY);
  CHECK(VirtualProtectEx(GetCurrentProcess(), base, 2 * PAGE, PAGE_EXECUTE_READ, &old) &&
        old == PAGE_READWRITE);
  CHECK(VirtualProtect(base + PAGE, PAGE, PAGE_READWRITE, &old) && old == PAGE_EXECUTE_READ);
  CHECK(FAILS(VirtualProtect(base, 3 * PAGE, PAGE_READWRITE, &old), ERROR_INVALID_ADDRESS));
  CHECK(FAILS(VirtualProtect(base, PAGE, 0, &old), ERROR_INVALID_PARAMETER));
  CHECK(FAILS(VirtualProtect(base, PAGE, PAGE_READWRITE, NULL), ERROR_NOACCESS));
  CHECK(query(base).Protect == PAGE_EXECUTE_READ);

  // Code written at run time: mov eax, 42; ret.
  static const unsigned char kCode[] = {0xB8, 42, 0, 0, 0, 0xC3};
  memcpy(base + PAGE, kCode, sizeof kCode);
  CHECK(VirtualProtect(base + PAGE, PAGE, PAGE_EXECUTE_READ, &old));
  CHECK(FlushInstructionCache(GetCurrentProcess(), base + PAGE, sizeof kCode));
  CHECK(((int (*)(void))(base + PAGE))() == 42);
  // WriteProcessMemory patches code without being asked to unprotect it.
  unsigned char patched = 43;
  SIZE_T count = 0;
  CHECK(WriteProcessMemory(GetCurrentProcess(), base + PAGE + 1, &patched, 1, &count) && count == 1);
  CHECK(((int (*)(void))(base + PAGE))() == 43);
  CHECK(query(base + PAGE).Protect == PAGE_EXECUTE_READ);
  CHECK(VirtualFree(base, 0, MEM_RELEASE));
}

static void lock(void) {
  char* base = VirtualAlloc(NULL, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
  CHECK(VirtualLock(base, PAGE) || GetLastError() == ERROR_WORKING_SET_QUOTA);
  if (VirtualLock(base, PAGE)) CHECK(VirtualUnlock(base, PAGE));
  CHECK(VirtualFree(base, 0, MEM_RELEASE));
}

static void copies(void) {
  char from[] = "sixteen letters", to[16] = "";
  SIZE_T count = 0;
  CHECK(ReadProcessMemory(GetCurrentProcess(), from, to, 16, &count) && count == 16 && !strcmp(to, from));
  CHECK(WriteProcessMemory(GetCurrentProcess(), to, "ten lette", 10, &count) && count == 10);
  CHECK(!strcmp(to, "ten lette"));
  CHECK(FAILS(ReadProcessMemory(GetCurrentProcess(), NULL, to, 16, &count), ERROR_PARTIAL_COPY) ||
        GetLastError() == ERROR_NOACCESS);
  CHECK(!WriteProcessMemory(GetCurrentProcess(), NULL, to, 16, &count));
  char* kernels = (char*)0xFFFF800000000000;
  CHECK(!ReadProcessMemory(GetCurrentProcess(), kernels, to, 16, &count));
  CHECK(!WriteProcessMemory(GetCurrentProcess(), kernels, to, 16, &count));
}

static void walk(void) {
  // Every address once, from nothing to the end; our own code, stack and heap are among them.
  static const char* kImage = "in the image";
  int local, seen_image = 0, seen_stack = 0;
  char* at = NULL;
  MEMORY_BASIC_INFORMATION info;
  while (VirtualQuery(at, &info, sizeof info) == sizeof info) {
    CHECK(info.BaseAddress == at && info.RegionSize != 0);
    char* end = at + info.RegionSize;
    if (at <= kImage && kImage < end) seen_image = info.State == MEM_COMMIT && info.Type == MEM_IMAGE;
    if (at <= (char*)&local && (char*)&local < end) seen_stack = info.State == MEM_COMMIT;
    at = end;
  }
  CHECK(seen_image && seen_stack);
  CHECK(at >= (char*)0x7FFFFFFE0000);
}

static void ntdll_twins(void) {
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  NtAllocateVirtualMemory_t allocate =
      (NtAllocateVirtualMemory_t)GetProcAddress(ntdll, "NtAllocateVirtualMemory");
  NtFreeVirtualMemory_t release = (NtFreeVirtualMemory_t)GetProcAddress(ntdll, "NtFreeVirtualMemory");
  NtProtectVirtualMemory_t change = (NtProtectVirtualMemory_t)GetProcAddress(ntdll, "NtProtectVirtualMemory");
  NtQueryVirtualMemory_t ask = (NtQueryVirtualMemory_t)GetProcAddress(ntdll, "NtQueryVirtualMemory");
  void* base = NULL;
  SIZE_T size = 100, returned = 0;
  ULONG old = 0;
  CHECK(allocate(GetCurrentProcess(), &base, 0, &size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) == 0);
  CHECK(base != NULL && size == PAGE);
  void* at = (char*)base + 7;
  size = 1;
  CHECK(change(GetCurrentProcess(), &at, &size, PAGE_READONLY, &old) == 0);
  CHECK(at == base && size == PAGE && old == PAGE_READWRITE);
  MEMORY_BASIC_INFORMATION info;
  CHECK(ask(GetCurrentProcess(), base, 0, &info, sizeof info, &returned) == 0 && returned == sizeof info);
  CHECK(info.Protect == PAGE_READONLY);
  CHECK(ask(GetCurrentProcess(), base, 0, &info, 8, NULL) == (LONG)0xC0000004);
  size = 0;
  CHECK(release(GetCurrentProcess(), &base, &size, MEM_RELEASE) == 0 && size == PAGE);
  CHECK(release(GetCurrentProcess(), &base, &size, MEM_RELEASE) < 0);
}

int main(void) {
  reserve_and_commit();
  refusals();
  protect();
  lock();
  copies();
  walk();
  ntdll_twins();
  FlushProcessWriteBuffers();
  CHECK(GetLargePageMinimum() == 0 || GetLargePageMinimum() % 0x10000 == 0);
  return DONE();
}
