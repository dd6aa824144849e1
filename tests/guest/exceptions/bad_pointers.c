// Natives that are handed bad pointers: each raises an access violation where it was called, with the right
// access and address; then it is called again with a good pointer, which would hang if a lock of its were
// still taken. What is the kernel's to read or write on Windows answers an error instead, and has done
// nothing. By clang only: GCC knows no __try.
#define _WIN32_WINNT 0x0A00
#include "../check.h"

#include <string.h>
#include <winternl.h>

/// ntdll's own, which compilers would replace.
static struct {
  void(WINAPI* RtlInitUnicodeString)(UNICODE_STRING*, const WCHAR*);
  void(WINAPI* RtlInitAnsiString)(ANSI_STRING*, const char*);
  BOOLEAN(WINAPI* RtlEqualUnicodeString)(const UNICODE_STRING*, const UNICODE_STRING*, BOOLEAN);
  LONG(WINAPI* RtlCompareUnicodeString)(const UNICODE_STRING*, const UNICODE_STRING*, BOOLEAN);
  void(WINAPI* RtlZeroMemory)(void*, SIZE_T);
  SIZE_T(WINAPI* RtlCompareMemory)(const void*, const void*, SIZE_T);
  SIZE_T (*strlen)(const char*);
  SIZE_T (*wcslen)(const WCHAR*);
  int (*strcmp)(const char*, const char*);
  int (*memcmp)(const void*, const void*, SIZE_T);
  void* (*memcpy)(void*, const void*, SIZE_T);
  void* (*memmove)(void*, const void*, SIZE_T);
  void* (*memset)(void*, int, SIZE_T);
  char* (*strchr)(const char*, int);
  char* (*strcpy)(char*, const char*);
  int (*_stricmp)(const char*, const char*);
  void(WINAPI* RtlRaiseException)(EXCEPTION_RECORD*);
  void(WINAPI* RtlUnwindEx)(void*, void*, EXCEPTION_RECORD*, void*, CONTEXT*, void*);
  void(WINAPI* RtlRestoreContext)(CONTEXT*, EXCEPTION_RECORD*);
  DWORD(WINAPI* RtlAddGrowableFunctionTable)(void**, RUNTIME_FUNCTION*, DWORD, DWORD, ULONG_PTR, ULONG_PTR);
  void(WINAPI* RtlGrowFunctionTable)(void*, DWORD);
  void(WINAPI* RtlDeleteGrowableFunctionTable)(void*);
} nt;
static const char kNtNames[] =
    "RtlInitUnicodeString RtlInitAnsiString RtlEqualUnicodeString RtlCompareUnicodeString RtlZeroMemory "
    "RtlCompareMemory strlen wcslen strcmp memcmp memcpy memmove memset strchr strcpy _stricmp "
    "RtlRaiseException RtlUnwindEx RtlRestoreContext RtlAddGrowableFunctionTable RtlGrowFunctionTable "
    "RtlDeleteGrowableFunctionTable ";

static void find_natives(void) {
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  const char* name = kNtNames;
  for (FARPROC* to = (FARPROC*)&nt; *name != 0; ++to, ++name) {
    char one[32] = {0};
    for (char* end = one; *name != ' ';) *end++ = *name++;
    *to = GetProcAddress(ntdll, one);
    CHECK(*to != NULL);
  }
}

#define NOINLINE __attribute__((noinline))
enum { kSize = 0x2000 };

static char *g_unmapped, *g_readonly, *g_good;
static int g_cases;

NTSTATUS NTAPI NtQueryVirtualMemory(HANDLE, void*, int, void*, SIZE_T, SIZE_T*);
NTSTATUS NTAPI NtProtectVirtualMemory(HANDLE, void**, SIZE_T*, ULONG, ULONG*);
NTSTATUS NTAPI NtDuplicateObject(HANDLE, HANDLE, HANDLE, HANDLE*, ACCESS_MASK, ULONG, ULONG);

/// What came of a call with a bad pointer.
static struct {
  int raised;
  EXCEPTION_RECORD record;
  ULONG64 rip;
} g_seen;

static int keep(EXCEPTION_POINTERS* pointers) {
  g_seen.raised = 1;
  g_seen.record = *pointers->ExceptionRecord;
  g_seen.rip = pointers->ContextRecord->Rip;
  return EXCEPTION_EXECUTE_HANDLER;
}

static int in_this_program(ULONG64 address) {
  HMODULE module = NULL;
  return GetModuleHandleExA(
             GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
             (const char*)address, &module) &&
         module == GetModuleHandleA(NULL);
}

static void judge(const char* call, const char* which, ULONG64 access, const char* bad) {
  ULONG64 address = g_seen.record.ExceptionInformation[1];
  if (g_seen.raised && g_seen.record.ExceptionCode == (DWORD)STATUS_ACCESS_VIOLATION &&
      g_seen.record.NumberParameters == 2 && g_seen.record.ExceptionInformation[0] == access &&
      address - (ULONG64)bad < kSize && in_this_program(g_seen.rip) &&
      (ULONG64)g_seen.record.ExceptionAddress == g_seen.rip)
    return;
  ++g_failures;
  printf("%s, %s: raised %d, code %lx, access %llu (%llu), address %llx (%p), rip %llx\n", call, which,
         g_seen.raised, g_seen.record.ExceptionCode, g_seen.record.ExceptionInformation[0], access, address,
         bad, g_seen.rip);
  fflush(stdout);
}

static NOINLINE void prepare(void) {
  memset(&g_seen, 0, sizeof g_seen);
  memset(g_good, 0, kSize);
}

#define TRY(which, access, bad, call)              \
  do {                                             \
    p = (bad);                                     \
    prepare();                                     \
    __try {                                        \
      (void)(call);                                \
    } __except (keep(GetExceptionInformation())) { \
    }                                              \
    judge(#call, which, access, bad);              \
  } while (0)
#define GOOD(setup, call) \
  do {                    \
    p = g_good;           \
    prepare();            \
    setup;                \
    ++g_cases;            \
    SetLastError(0);      \
    CHECK(call);          \
  } while (0)
/// Writes to what p points to: cannot to low addresses, unmapped memory, nor to read-only memory. Afterwards,
/// `setup` done, the call is to be true.
#define WRITES_AFTER(setup, call)          \
  do {                                     \
    char* p;                               \
    TRY("low", 1, (char*)0x10, call);      \
    TRY("unmapped", 1, g_unmapped, call);  \
    TRY("read-only", 1, g_readonly, call); \
    GOOD(setup, call);                     \
  } while (0)
#define WRITES(call) WRITES_AFTER((void)0, call)
/// Reads what p points to, be it to write there afterwards.
#define READS_AFTER(setup, call)          \
  do {                                    \
    char* p;                              \
    TRY("low", 0, (char*)0x10, call);     \
    TRY("unmapped", 0, g_unmapped, call); \
    GOOD(setup, call);                    \
  } while (0)
#define READS(text, call) READS_AFTER(strcpy(g_good, text), call)
#define READS_WIDE(text, call) READS_AFTER(wcscpy((WCHAR*)g_good, text), call)

static char g_file_name[MAX_PATH];
static HANDLE g_file, g_event, g_semaphore;

// ---- strings ---------------------------------------------------------------------------------------------

static void check_strings(void) {
  char out[64];
  WCHAR wide[64];
  READS("abc", MultiByteToWideChar(CP_UTF8, 0, p, -1, wide, 64) == 4);
  READS("abc", MultiByteToWideChar(CP_UTF8, 0, p, 3, wide, 64) == 3);
  WRITES(MultiByteToWideChar(CP_UTF8, 0, "abc", -1, (WCHAR*)p, 64) == 4);
  READS_WIDE(L"abc", WideCharToMultiByte(CP_UTF8, 0, (WCHAR*)p, -1, out, 64, NULL, NULL) == 4);
  WRITES(WideCharToMultiByte(CP_UTF8, 0, L"abc", -1, p, 64, NULL, NULL) == 4);
  READS_WIDE(L"abc", CompareStringW(LOCALE_INVARIANT, 0, (WCHAR*)p, -1, L"abc", -1) == CSTR_EQUAL);
  READS_WIDE(L"abc", CompareStringOrdinal((WCHAR*)p, -1, L"ABC", -1, TRUE) == CSTR_EQUAL);
  READS_WIDE(L"abc",
             CompareStringEx(LOCALE_NAME_INVARIANT, 0, (WCHAR*)p, -1, L"abc", -1, NULL, NULL, 0) == 2);
  READS_WIDE(L"abc", LCMapStringW(LOCALE_INVARIANT, LCMAP_UPPERCASE, (WCHAR*)p, -1, wide, 64) == 4);
  WRITES(LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_LOWERCASE, L"abc", -1, (WCHAR*)p, 64, NULL, NULL, 0) ==
         4);
  WORD types[8];
  READS_WIDE(L"abc", GetStringTypeW(CT_CTYPE1, (WCHAR*)p, 3, types));
  WRITES(GetStringTypeW(CT_CTYPE1, L"abc", 3, (WORD*)p));
  WRITES(GetLocaleInfoW(LOCALE_INVARIANT, LOCALE_SDECIMAL, (WCHAR*)p, 8) != 0);
  WRITES(GetCPInfo(CP_UTF8, (CPINFO*)p));
  WRITES(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, ERROR_FILE_NOT_FOUND, 0, p, 200, NULL) != 0);
  READS("text", FormatMessageA(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_IGNORE_INSERTS, p, 0, 0, out, 60,
                               NULL) == 4);
}

// ---- ntdll's strings and memory: leaves
// ----------------------------------------------------------------------

static void check_ntdll(void) {
  UNICODE_STRING string = {0, 0, NULL};
  ANSI_STRING ansi;
  char out[64];
  READS_WIDE(L"abc", (nt.RtlInitUnicodeString(&string, (WCHAR*)p), string.Length == 6));
  WRITES((nt.RtlInitUnicodeString((UNICODE_STRING*)p, L"abc"), ((UNICODE_STRING*)p)->Length == 6));
  READS("abc", (nt.RtlInitAnsiString(&ansi, p), ansi.Length == 3));
  nt.RtlInitUnicodeString(&string, L"abc");
  READS_AFTER(*(UNICODE_STRING*)p = string, nt.RtlEqualUnicodeString((UNICODE_STRING*)p, &string, TRUE));
  READS_AFTER(*(UNICODE_STRING*)p = string,
              nt.RtlCompareUnicodeString((UNICODE_STRING*)p, &string, TRUE) == 0);
  UNICODE_STRING bad = {6, 8, NULL};
  READS_AFTER(wcscpy((WCHAR*)p, L"abc"),
              (bad.Buffer = (WCHAR*)p, nt.RtlEqualUnicodeString(&bad, &string, TRUE)));
  READS("abc", nt.strlen(p) == 3);
  READS_WIDE(L"abc", nt.wcslen((WCHAR*)p) == 3);
  READS("abc", nt.strcmp(p, "abc") == 0);
  READS("abc", nt.memcmp(p, "abc", 3) == 0);
  READS("abc", nt.memcpy(out, p, 4) == out);
  WRITES(nt.memcpy(p, "abc", 4) == p);
  WRITES(nt.memmove(p, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 50) == p);
  WRITES(nt.memset(p, 7, 100) == p);
  WRITES((nt.RtlZeroMemory(p, 100), 1));
  READS("abc", nt.RtlCompareMemory(p, "abd", 3) == 2);
  READS("abc", nt.strchr(p, 'c') == p + 2);
  WRITES(nt.strcpy(p, "abc") == p);
  READS("abc", nt._stricmp(p, "ABC") == 0);
}

// ---- structures that are filled in
// ---------------------------------------------------------------------------

static void check_structures(void) {
  SYSTEMTIME time = {2024, 2, 4, 29, 12, 0, 0, 0};
  FILETIME file_time = {0, 0x01D00000};
  WRITES((GetSystemTime((SYSTEMTIME*)p), ((SYSTEMTIME*)p)->wYear > 2000));
  WRITES((GetLocalTime((SYSTEMTIME*)p), ((SYSTEMTIME*)p)->wYear > 2000));
  WRITES((GetSystemTimeAsFileTime((FILETIME*)p), ((FILETIME*)p)->dwHighDateTime != 0));
  WRITES((GetSystemTimePreciseAsFileTime((FILETIME*)p), ((FILETIME*)p)->dwHighDateTime != 0));
  WRITES(QueryPerformanceCounter((LARGE_INTEGER*)p));
  WRITES(QueryPerformanceFrequency((LARGE_INTEGER*)p));
  WRITES(SystemTimeToFileTime(&time, (FILETIME*)p));
  READS_AFTER(*(SYSTEMTIME*)p = time, SystemTimeToFileTime((SYSTEMTIME*)p, &file_time));
  WRITES(FileTimeToSystemTime(&file_time, (SYSTEMTIME*)p));
  WRITES((GetSystemInfo((SYSTEM_INFO*)p), ((SYSTEM_INFO*)p)->dwPageSize == 4096));
  WRITES((GetNativeSystemInfo((SYSTEM_INFO*)p), ((SYSTEM_INFO*)p)->dwPageSize == 4096));
  WRITES((GetStartupInfoW((STARTUPINFOW*)p), ((STARTUPINFOW*)p)->cb == sizeof(STARTUPINFOW)));
  READS_AFTER(((OSVERSIONINFOW*)p)->dwOSVersionInfoSize = sizeof(OSVERSIONINFOW),
              GetVersionExW((OSVERSIONINFOW*)p));
  WRITES(GetTimeZoneInformation((TIME_ZONE_INFORMATION*)p) != TIME_ZONE_ID_INVALID);
  DWORD size = 64;
  WRITES(GetComputerNameW((WCHAR*)p, (size = 64, &size)));
  WRITES(GetExitCodeProcess(GetCurrentProcess(), (DWORD*)p));
  WRITES(GetExitCodeThread(GetCurrentThread(), (DWORD*)p));
  FILETIME a, b, c;
  WRITES(GetProcessTimes(GetCurrentProcess(), &a, &b, &c, (FILETIME*)p));
  WRITES(GetThreadTimes(GetCurrentThread(), (FILETIME*)p, &a, &b, &c));
  DWORD_PTR other;
  WRITES(GetProcessAffinityMask(GetCurrentProcess(), (DWORD_PTR*)p, &other));
  WRITES(GetHandleInformation(g_event, (DWORD*)p));
  READS_AFTER(((MEMORYSTATUSEX*)p)->dwLength = sizeof(MEMORYSTATUSEX),
              GlobalMemoryStatusEx((MEMORYSTATUSEX*)p));
  WRITES(GetWindowsDirectoryW((WCHAR*)p, 200) != 0);
  WRITES(GetSystemDirectoryA(p, 200) != 0);
}

// ---- files, modules, environment
// -----------------------------------------------------------------------------

static void check_files(void) {
  DWORD count;
  WRITES(GetFileSizeEx(g_file, (LARGE_INTEGER*)p));
  WRITES(GetFileSize(g_file, (DWORD*)p) != INVALID_FILE_SIZE);
  LARGE_INTEGER zero = {.QuadPart = 0};
  WRITES(SetFilePointerEx(g_file, zero, (LARGE_INTEGER*)p, FILE_CURRENT));
  WRITES(GetFileTime(g_file, (FILETIME*)p, NULL, NULL));
  WRITES(GetFileInformationByHandle(g_file, (BY_HANDLE_FILE_INFORMATION*)p));
  char byte;
  WRITES(ReadFile(g_file, &byte, 1, (DWORD*)p, NULL));
  WRITES(WriteFile(g_file, "x", 1, (DWORD*)p, NULL));
  READS(g_file_name, GetFileAttributesA(p) != INVALID_FILE_ATTRIBUTES);
  WRITES(GetFileAttributesExA(g_file_name, GetFileExInfoStandard, p));
  READS_WIDE(L"Z:\\not there",
             CreateFileW((WCHAR*)p, 0, 0, NULL, OPEN_EXISTING, 0, NULL) == INVALID_HANDLE_VALUE);
  READS("Z:\\not there", !DeleteFileA(p));
  READS("Z:\\not there\\x", !CreateDirectoryA(p, NULL));
  READS_WIDE(L"a", GetFullPathNameW((WCHAR*)p, 0, NULL, NULL) != 0);
  WRITES(GetFullPathNameW(L"a", 200, (WCHAR*)p, NULL) != 0);
  WRITES(GetCurrentDirectoryW(200, (WCHAR*)p) != 0);
  READS(".", SetCurrentDirectoryA(p));
  WRITES(GetTempPathA(200, p) != 0);
  HANDLE found = INVALID_HANDLE_VALUE;
  WRITES((found = FindFirstFileA(g_file_name, (WIN32_FIND_DATAA*)p)) != INVALID_HANDLE_VALUE);
  FindClose(found);
  WRITES(GetModuleFileNameW(NULL, (WCHAR*)p, 200) != 0);
  READS_WIDE(L"kernel32.dll", GetModuleHandleW((WCHAR*)p) != NULL);
  READS("kernel32.dll", LoadLibraryA(p) != NULL);
  {
    char* p;  // a low address would be an ordinal
    TRY("unmapped", 0, g_unmapped, GetProcAddress(GetModuleHandleA("kernel32.dll"), p));
    GOOD(strcpy(p, "CreateFileW"), GetProcAddress(GetModuleHandleA("kernel32.dll"), p) != NULL);
  }
  WRITES(GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, "kernel32.dll", (HMODULE*)p));
  READS("BAD_POINTERS", SetEnvironmentVariableA(p, "1"));
  READS("1", SetEnvironmentVariableA("BAD_POINTERS", p));
  READS_WIDE(L"BAD_POINTERS", GetEnvironmentVariableW((WCHAR*)p, NULL, 0) != 0);
  WRITES(GetEnvironmentVariableW(L"BAD_POINTERS", (WCHAR*)p, 8) == 1);
  READS_WIDE(L"%BAD_POINTERS%", ExpandEnvironmentStringsW((WCHAR*)p, NULL, 0) == 2);
  WRITES(CreatePipe((HANDLE*)p, &found, NULL, 0));
  READS_AFTER(((OVERLAPPED*)p)->Internal = 0, GetOverlappedResult(g_file, (OVERLAPPED*)p, &count, FALSE));
  WRITES(GetVolumeInformationA("Z:\\", NULL, 0, (DWORD*)p, NULL, NULL, NULL, 0));
  WRITES(GetDiskFreeSpaceExA("Z:\\", (ULARGE_INTEGER*)p, NULL, NULL));
}

// ---- waits, locks, lists ---------------------------------------------------------------------------------

static DWORD WINAPI thread(void* unused) { return unused != NULL; }

static void check_waits(void) {
  HANDLE handles[2] = {g_event, g_semaphore};
  READS_AFTER(memcpy(p, handles, sizeof handles),
              WaitForMultipleObjects(2, (HANDLE*)p, TRUE, 0) == WAIT_OBJECT_0);
  READS_AFTER(memcpy(p, handles, sizeof handles),
              WaitForMultipleObjectsEx(2, (HANDLE*)p, FALSE, 0, TRUE) == WAIT_OBJECT_0);
  READS("an event", CreateEventA(NULL, TRUE, FALSE, p) != NULL);
  READS_WIDE(L"a mutex", CreateMutexW(NULL, FALSE, (WCHAR*)p) != NULL);
  READS("a semaphore", CreateSemaphoreA(NULL, 1, 1, p) != NULL);
  READS_WIDE(L"an event", OpenEventW(SYNCHRONIZE, FALSE, (WCHAR*)p) != NULL);
  HANDLE made = NULL;
  WRITES((made = CreateThread(NULL, 0, thread, NULL, 0, (DWORD*)p)) != NULL);
  WaitForSingleObject(made, INFINITE);
  HANDLE timer = CreateWaitableTimerA(NULL, TRUE, NULL);
  READS_AFTER(((LARGE_INTEGER*)p)->QuadPart = -1,
              SetWaitableTimer(timer, (LARGE_INTEGER*)p, 0, NULL, NULL, FALSE));
  ULONG one = 1;
  READS_AFTER(*(ULONG*)p = 2, WaitOnAddress(p, &one, 4, 0) || GetLastError() == ERROR_TIMEOUT);
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  ULONG_PTR key;
  OVERLAPPED* overlapped;
  {
    char* p;
    for (int i = 0; i < 2; ++i) CHECK(PostQueuedCompletionStatus(port, 7, 8, NULL));
    TRY("low", 1, (char*)0x10, GetQueuedCompletionStatus(port, (DWORD*)p, &key, &overlapped, 0));
    GOOD((void)0, GetQueuedCompletionStatus(port, (DWORD*)p, &key, &overlapped, 0));
  }
}

static void check_locks(void) {
  WRITES_AFTER(InitializeCriticalSection((CRITICAL_SECTION*)p),
               (EnterCriticalSection((CRITICAL_SECTION*)p), 1));
  WRITES_AFTER(InitializeCriticalSection((CRITICAL_SECTION*)p),
               TryEnterCriticalSection((CRITICAL_SECTION*)p));
  WRITES((InitializeCriticalSection((CRITICAL_SECTION*)p), 1));
  WRITES(InitializeCriticalSectionEx((CRITICAL_SECTION*)p, 0, 0));
  WRITES_AFTER((void)0, (AcquireSRWLockExclusive((SRWLOCK*)p), 1));
  WRITES_AFTER((void)0, TryAcquireSRWLockExclusive((SRWLOCK*)p));
  WRITES_AFTER(AcquireSRWLockExclusive((SRWLOCK*)p), (ReleaseSRWLockExclusive((SRWLOCK*)p), 1));
  WRITES((InitializeSRWLock((SRWLOCK*)p), 1));
  WRITES((InitializeConditionVariable((CONDITION_VARIABLE*)p), 1));
  WRITES((InitializeSListHead((SLIST_HEADER*)p), 1));
  static SLIST_ENTRY entry;
  READS_AFTER((void)0, InterlockedPushEntrySList((SLIST_HEADER*)p, &entry) == NULL);
  READS_AFTER((void)0, InterlockedPopEntrySList((SLIST_HEADER*)p) == NULL);
  READS_AFTER((void)0, QueryDepthSList((SLIST_HEADER*)p) == 0);
}

// ---- registers -------------------------------------------------------------------------------------------

/// What a call preserves is as it was when the exception is raised.
static ULONG64 g_integers[8];  // rbx, rbp, rsi, rdi, r12 to r15
static unsigned __int128 g_floats[10];

static LONG CALLBACK look(EXCEPTION_POINTERS* pointers) {
  CONTEXT* context = pointers->ContextRecord;
  const ULONG64 integers[8] = {context->Rbx, context->Rbp, context->Rsi, context->Rdi,
                               context->R12, context->R13, context->R14, context->R15};
  memcpy(g_integers, integers, sizeof integers);
  memcpy(g_floats, &context->Xmm6, sizeof g_floats);
  return EXCEPTION_CONTINUE_EXECUTION;  // after the call
}

/// Calls function(bad, bad, bad, bad) with numbers in all registers that a call preserves.
void call_with_numbers(void* function, void* bad);
__asm__(
    "call_with_numbers:\n"
    "pushq %rbx\npushq %rbp\npushq %rsi\npushq %rdi\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "subq $0xE8, %rsp\n"
    ".irp n,6,7,8,9,10,11,12,13,14,15\n"
    "movaps %xmm\\n, 0x40+16*(\\n-6)(%rsp)\n"
    "movl $1000+\\n, %eax\nmovq %rax, %xmm\\n\npunpcklqdq %xmm\\n, %xmm\\n\n"
    ".endr\n"
    "movq %rcx, %rax\nmovq %rdx, %rcx\nmovq %rcx, %r8\nmovq %rcx, %r9\n"
    "movl $101, %ebx\nmovl $102, %ebp\nmovl $103, %esi\nmovl $104, %edi\n"
    "movl $105, %r12d\nmovl $106, %r13d\nmovl $107, %r14d\nmovl $108, %r15d\n"
    "movq $0, 0x20(%rsp)\nmovq $0, 0x28(%rsp)\nmovq $0, 0x30(%rsp)\nmovq $0, 0x38(%rsp)\n"
    "callq *%rax\n"
    ".irp n,6,7,8,9,10,11,12,13,14,15\n"
    "movaps 0x40+16*(\\n-6)(%rsp), %xmm\\n\n"
    ".endr\n"
    "addq $0xE8, %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rdi\npopq %rsi\npopq %rbp\npopq %rbx\nretq\n");

static void check_registers(void) {
  static const char* const kNames[] = {"GetSystemTime",
                                       "SystemTimeToFileTime",
                                       "FileTimeToSystemTime",
                                       "QueryPerformanceCounter",
                                       "lstrcatW",
                                       "GetFileAttributesW",
                                       "EnterCriticalSection",
                                       "InterlockedPopEntrySList",
                                       "SetCurrentDirectoryW",
                                       "FindFirstFileW",
                                       "GetVersionExA"};
  void* handler = AddVectoredExceptionHandler(1, look);
  for (unsigned i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
    void* function = (void*)GetProcAddress(GetModuleHandleA("kernel32.dll"), kNames[i]);
    if (function == NULL) continue;
    memset(g_integers, 0, sizeof g_integers);
    memset(g_floats, 0, sizeof g_floats);
    call_with_numbers(function, g_unmapped);
    int right = 1;
    for (unsigned n = 0; n < 8; ++n) right &= g_integers[n] == 101 + n;
    for (unsigned n = 0; n < 10; ++n)
      right &= (ULONG64)g_floats[n] == 1006 + n && (ULONG64)(g_floats[n] >> 64) == 1006 + n;
    if (!right)
      printf("%s: rbx %llu, r15 %llu, xmm6 %llu, xmm15 %llu\n", kNames[i], g_integers[0], g_integers[7],
             (ULONG64)g_floats[0], (ULONG64)g_floats[9]);
    CHECK(right);
  }
  RemoveVectoredExceptionHandler(handler);
}

// ---- records of exceptions -------------------------------------------------------------------------------

/// Raising writes the address to a record, unwinding the flags, so they cannot be read-only.
static void check_records(void) {
  CONTEXT context;
  char* p;
  RtlCaptureContext(&context);
  TRY("low", 0, (char*)0x10, (nt.RtlRaiseException((EXCEPTION_RECORD*)p), 0));
  TRY("unmapped", 0, g_unmapped, (nt.RtlRaiseException((EXCEPTION_RECORD*)p), 0));
  TRY("read-only", 1, g_readonly, (nt.RtlRaiseException((EXCEPTION_RECORD*)p), 0));
  TRY("low", 0, (char*)0x10, (nt.RtlUnwindEx(&p, NULL, (EXCEPTION_RECORD*)p, NULL, &context, NULL), 0));
  TRY("unmapped", 0, g_unmapped, (nt.RtlUnwindEx(&p, NULL, (EXCEPTION_RECORD*)p, NULL, &context, NULL), 0));
  TRY("read-only", 1, g_readonly, (nt.RtlUnwindEx(&p, NULL, (EXCEPTION_RECORD*)p, NULL, &context, NULL), 0));
  TRY("low", 0, (char*)0x10, (nt.RtlRestoreContext(&context, (EXCEPTION_RECORD*)p), 0));
  TRY("unmapped", 0, g_unmapped, (nt.RtlRestoreContext(&context, (EXCEPTION_RECORD*)p), 0));
  EXCEPTION_RECORD record = {.ExceptionCode = 0xE0000001};
  prepare();
  __try {
    nt.RtlRaiseException(&record);
  } __except (keep(GetExceptionInformation())) {
  }
  CHECK(g_seen.raised && g_seen.record.ExceptionCode == 0xE0000001);
  CHECK((ULONG64)record.ExceptionAddress == g_seen.rip && in_this_program(g_seen.rip));
}

// ---- function tables -------------------------------------------------------------------------------------

/// Rows that are not there say nothing; and whoever looks at them holds no lock.
static void check_tables(void) {
  const DWORD64 base = (DWORD64)g_good;
  RUNTIME_FUNCTION* rows = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  DWORD64 found = 0;
  void* table = NULL;
  rows[0] = (RUNTIME_FUNCTION){0x10, 0x20, 0x40};
  CHECK(nt.RtlAddGrowableFunctionTable(&table, rows, 1, 1000, base, base + kSize) == 0);
  CHECK(RtlLookupFunctionEntry(base + 0x10, &found, NULL) == rows && found == base);
  nt.RtlGrowFunctionTable(table, 1000);
  CHECK(RtlLookupFunctionEntry(base + 0x18, &found, NULL) == NULL);
  nt.RtlGrowFunctionTable(table, 1);
  CHECK(RtlLookupFunctionEntry(base + 0x1F, &found, NULL) == rows);
  nt.RtlDeleteGrowableFunctionTable(table);
  rows[1] = (RUNTIME_FUNCTION){0x8, 0x10, 0x40};  // not sorted
  CHECK(RtlAddFunctionTable(rows, 2, base));
  CHECK(RtlLookupFunctionEntry(base + 0x8, &found, NULL) == rows + 1);
  CHECK(VirtualFree(rows, 0, MEM_RELEASE));
  CHECK(RtlLookupFunctionEntry(base + 0x8, &found, NULL) == NULL);
  CHECK(RtlDeleteFunctionTable(rows));
  char* p;
  TRY("low", 0, (char*)0x10, RtlAddFunctionTable((RUNTIME_FUNCTION*)p, 4, base));
}

// ---- what the kernel looks at ----------------------------------------------------------------------------

/// Is FALSE or 0 and sets ERROR_NOACCESS.
#define TRY_ANSWER(which, bad, call)                                                         \
  do {                                                                                       \
    p = (bad);                                                                               \
    prepare();                                                                               \
    SetLastError(0);                                                                         \
    __try {                                                                                  \
      if (call) SetLastError(0);                                                             \
    } __except (keep(GetExceptionInformation())) {                                           \
    }                                                                                        \
    if (g_seen.raised || GetLastError() != ERROR_NOACCESS) {                                 \
      ++g_failures;                                                                          \
      printf("%s, %s: raised %d, error %lu\n", #call, which, g_seen.raised, GetLastError()); \
    }                                                                                        \
  } while (0)
#define ANSWERS_READ(setup, call)             \
  do {                                        \
    char* p;                                  \
    TRY_ANSWER("low", (char*)0x10, call);     \
    TRY_ANSWER("unmapped", g_unmapped, call); \
    GOOD(setup, call);                        \
  } while (0)
#define ANSWERS(call)                          \
  do {                                         \
    char* p;                                   \
    TRY_ANSWER("read-only", g_readonly, call); \
    ANSWERS_READ((void)0, call);               \
  } while (0)

static DWORD WINAPI waits(void* event) { return WaitForSingleObject(event, INFINITE); }

static void check_system_calls(void) {
  const HANDLE self = GetCurrentProcess();
  MEMORY_BASIC_INFORMATION memory;
  ANSWERS(VirtualQuery(g_good, (MEMORY_BASIC_INFORMATION*)p, sizeof memory) == sizeof memory);
  ANSWERS(VirtualQueryEx(self, g_good, (MEMORY_BASIC_INFORMATION*)p, sizeof memory) == sizeof memory);
  char* const page = g_good + kSize;
  ANSWERS(VirtualProtect(page, 1, PAGE_READONLY, (DWORD*)p) && *(DWORD*)p == PAGE_READWRITE);
  ANSWERS(VirtualProtectEx(self, page, 1, PAGE_READWRITE, (DWORD*)p) && *(DWORD*)p == PAGE_READONLY);
  CHECK(!VirtualProtect(page, 1, PAGE_READONLY, NULL) && GetLastError() == ERROR_NOACCESS);
  CHECK(VirtualQuery(page, &memory, sizeof memory) && memory.Protect == PAGE_READWRITE);

  DWORD before = 0, after = 0;
  CHECK(GetProcessHandleCount(self, &before));
  ANSWERS(DuplicateHandle(self, g_event, self, (HANDLE*)p, 0, FALSE, DUPLICATE_SAME_ACCESS));
  CHECK(GetProcessHandleCount(self, &after) && after == before + 1);
  CloseHandle(*(HANDLE*)g_good);

  const HANDLE semaphore = CreateSemaphoreA(NULL, 1, 2, NULL);
  ANSWERS(ReleaseSemaphore(semaphore, 1, (LONG*)p) && *(LONG*)p == 1);
  CloseHandle(semaphore);

  const HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  ULONG count;
  OVERLAPPED_ENTRY entry;
  PostQueuedCompletionStatus(port, 1, 2, NULL);
  PostQueuedCompletionStatus(port, 3, 4, NULL);
  ANSWERS(GetQueuedCompletionStatusEx(port, (OVERLAPPED_ENTRY*)p, 1, &count, 0, FALSE) &&
          ((OVERLAPPED_ENTRY*)p)->lpCompletionKey == 2);
  ANSWERS(GetQueuedCompletionStatusEx(port, &entry, 1, (ULONG*)p, 0, FALSE) && entry.lpCompletionKey == 4);
  CloseHandle(port);

  ANSWERS(GetFileInformationByHandleEx(g_file, FileStandardInfo, p, sizeof(FILE_STANDARD_INFO)));

  // What a suspended thread is asked for; two calls, for a lock that the first left taken.
  const HANDLE go = CreateEventA(NULL, TRUE, FALSE, NULL);
  const HANDLE thread = CreateThread(NULL, 0, waits, go, CREATE_SUSPENDED, NULL);
  CONTEXT context = {.ContextFlags = CONTEXT_CONTROL};
  ANSWERS_READ(((CONTEXT*)p)->ContextFlags = CONTEXT_CONTROL,
               GetThreadContext(thread, (CONTEXT*)p) && ((CONTEXT*)p)->Rip != 0);
  context.Rip = ((CONTEXT*)g_good)->Rip;
  context.Rsp = ((CONTEXT*)g_good)->Rsp;
  context.EFlags = ((CONTEXT*)g_good)->EFlags;
  ANSWERS_READ(*(CONTEXT*)p = context, SetThreadContext(thread, (CONTEXT*)p));
  {
    char* p;
    TRY_ANSWER("read-only", g_readonly, GetThreadContext(thread, (CONTEXT*)p));
  }
  ResumeThread(thread);
  SetEvent(go);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CloseHandle(thread);
  CloseHandle(go);
}

static void check_errors(void) {
  DWORD count = 77;
  SetLastError(0);
  CHECK(!WriteFile(g_file, g_unmapped, 100, &count, NULL) && GetLastError() == ERROR_NOACCESS);
  CHECK(SetFilePointer(g_file, 0, NULL, FILE_BEGIN) == 0);
  CHECK(!ReadFile(g_file, g_unmapped, 1, &count, NULL) && GetLastError() == ERROR_NOACCESS);
  CHECK(!ReadFile(g_file, g_readonly, 1, &count, NULL) && GetLastError() == ERROR_NOACCESS);
  // System calls answer it; what they answer with is as after any return.
  MEMORY_BASIC_INFORMATION memory;
  SIZE_T size = sizeof memory;
  void* base = g_good;
  ULONG before;
  CHECK(NtQuerySystemTime((LARGE_INTEGER*)g_readonly) == STATUS_ACCESS_VIOLATION);
  CHECK(NtWaitForSingleObject(g_event, FALSE, (LARGE_INTEGER*)g_unmapped) == STATUS_ACCESS_VIOLATION);
  CHECK(NtQueryVirtualMemory(GetCurrentProcess(), g_good, 0, g_readonly, size, NULL) ==
        STATUS_ACCESS_VIOLATION);
  CHECK(NtQueryVirtualMemory(GetCurrentProcess(), g_good, 0, &memory, size, NULL) == 0);
  CHECK(NtProtectVirtualMemory(GetCurrentProcess(), (void**)g_unmapped, &size, PAGE_READWRITE, &before) ==
        STATUS_ACCESS_VIOLATION);
  CHECK(NtProtectVirtualMemory(GetCurrentProcess(), &base, &size, PAGE_READWRITE, &before) == 0);
  CHECK(NtDuplicateObject(GetCurrentProcess(), g_event, GetCurrentProcess(), (HANDLE*)g_readonly, 0, 0,
                          DUPLICATE_SAME_ACCESS) == STATUS_ACCESS_VIOLATION);
}

/// Natives are left in time: nothing grows, and no lock is taken, when it is done by several at once.
static DWORD WINAPI faults_often(void* unused) {
  volatile DWORD raised = 0;
  for (int i = 0; i < 200; ++i) {
    __try {
      GetFileSizeEx(g_file, (LARGE_INTEGER*)g_unmapped);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
      ++raised;
    }
  }
  return raised + (unused != NULL);
}

int main(void) {
  g_unmapped = VirtualAlloc(NULL, 0x10000, MEM_RESERVE, PAGE_NOACCESS);
  g_readonly = VirtualAlloc(NULL, 0x10000, MEM_RESERVE | MEM_COMMIT, PAGE_READONLY);
  g_good = VirtualAlloc(NULL, 0x10000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  char folder[MAX_PATH];
  GetTempPathA(sizeof folder, folder);
  GetTempFileNameA(folder, "bad", 0, g_file_name);
  g_file =
      CreateFileA(g_file_name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
  CHECK(g_file != INVALID_HANDLE_VALUE);
  g_event = CreateEventA(NULL, TRUE, TRUE, NULL);
  g_semaphore = CreateSemaphoreA(NULL, 100, 100, NULL);
  find_natives();
  check_strings();
  check_ntdll();
  check_structures();
  check_files();
  check_waits();
  check_locks();
  check_registers();
  check_records();
  check_tables();
  check_errors();
  check_system_calls();
  HANDLE threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = CreateThread(NULL, 0, faults_often, NULL, 0, NULL);
  CHECK(WaitForMultipleObjects(4, threads, TRUE, INFINITE) == WAIT_OBJECT_0);
  for (int i = 0; i < 4; ++i) {
    DWORD raised = 0;
    CHECK(GetExitCodeThread(threads[i], &raised) && raised == 200);
  }
  CloseHandle(g_file);
  CHECK(DeleteFileA(g_file_name));
  CHECK(g_cases >= 60);
  DONE();
}
