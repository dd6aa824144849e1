// Threads: how they end, what is known of them, and another thread's registers.
#include "check.h"

#include <winternl.h>

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

static DWORD WINAPI by_return(void* code) { return (DWORD)(ULONG_PTR)code; }
static DWORD WINAPI by_exit_thread(void* code) {
  ExitThread((DWORD)(ULONG_PTR)code);
  return 1;
}
static DWORD WINAPI by_rtl_exit(void* code) {
  NTDLL(void, RtlExitUserThread, (LONG));
  RtlExitUserThread((LONG)(LONG_PTR)code);
  return 1;
}
static DWORD WINAPI by_terminating_itself(void* code) {
  NTDLL(LONG, NtTerminateThread, (HANDLE, LONG));
  return NtTerminateThread(GetCurrentThread(), (LONG)(LONG_PTR)code) + 1000;
}

/* The exit code of a thread that was just created. */
static DWORD ended(HANDLE thread) {
  DWORD code = 0;
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code));
  CloseHandle(thread);
  return code;
}

static void check_ends(void) {
  HANDLE self = GetCurrentProcess();
  DWORD id = 0;
  HANDLE remote = CreateRemoteThread(self, NULL, 0, by_return, (void*)11, CREATE_SUSPENDED, &id);
  CHECK(remote != NULL && GetThreadId(remote) == id && GetProcessIdOfThread(remote) == GetCurrentProcessId());
  CHECK(ResumeThread(remote) == 1 && ended(remote) == 11);
  CHECK(ended(CreateThread(NULL, 0, by_exit_thread, (void*)12, 0, NULL)) == 12);
  CHECK(ended(CreateThread(NULL, 0, by_rtl_exit, (void*)13, 0, NULL)) == 13);
  CHECK(ended(CreateThread(NULL, 0, by_terminating_itself, (void*)14, 0, NULL)) == 14);
  CHECK(CreateRemoteThread(NULL, NULL, 0, by_return, NULL, 0, NULL) == NULL);
  CHECK(GetProcessIdOfThread(NULL) == 0 && GetLastError() == ERROR_INVALID_HANDLE);
}

static unsigned long long units(FILETIME time) {
  return ((unsigned long long)time.dwHighDateTime << 32) | time.dwLowDateTime;
}

static void check_facts(void) {
  HANDLE self = GetCurrentThread();
  ULONG_PTR low = 0, high = 0;
  FILETIME created, end, kernel, user, now;
  BOOL pending = TRUE;
  GetCurrentThreadStackLimits(&low, &high);
  CHECK(low < (ULONG_PTR)&low && (ULONG_PTR)&low < high);
  CHECK(high == (ULONG_PTR)((NT_TIB*)NtCurrentTeb())->StackBase);
  CHECK(GetThreadIOPendingFlag(self, &pending) && !pending);
  GetSystemTimeAsFileTime(&now);
  CHECK(GetThreadTimes(self, &created, &end, &kernel, &user));
  CHECK(units(created) != 0 && units(created) <= units(now));

  CHECK(GetThreadPriority(self) == THREAD_PRIORITY_NORMAL);
  CHECK(SetThreadPriority(self, THREAD_PRIORITY_BELOW_NORMAL));
  CHECK(GetThreadPriority(self) == THREAD_PRIORITY_BELOW_NORMAL);
  CHECK(!SetThreadPriority(self, 7));
  CHECK(GetThreadPriority(NULL) == THREAD_PRIORITY_ERROR_RETURN && GetLastError() == ERROR_INVALID_HANDLE);

  HANDLE opened = OpenThread(THREAD_ALL_ACCESS, FALSE, GetCurrentThreadId());
  CHECK(opened != NULL && GetThreadId(opened) == GetCurrentThreadId() && CloseHandle(opened));
  CHECK(OpenThread(THREAD_ALL_ACCESS, FALSE, 0xFFFFFFF0) == NULL &&
        GetLastError() == ERROR_INVALID_PARAMETER);

  HANDLE thread = CreateThread(NULL, 0, by_return, NULL, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetThreadTimes(thread, &created, &end, &kernel, &user) && units(end) >= units(created));
  CloseHandle(thread);
}

static void check_stack_guarantee(void) {
  ULONG bytes = 0x4000, again = 0;
  CHECK(SetThreadStackGuarantee(&bytes));
  CHECK(SetThreadStackGuarantee(&again) && again >= 0x4000);
}

static volatile LONG g_spins, g_landed;
static ULONG_PTR g_low, g_high;

static DWORD WINAPI spin(void* unused) {
  GetCurrentThreadStackLimits(&g_low, &g_high);
  while (g_landed == 0) ++g_spins;
  return 1;
}

static void landed(void) {
  g_landed = 1;
  ExitThread(77);
}

static void check_registers(void) {
  HANDLE thread = CreateThread(NULL, 0, spin, NULL, 0, NULL);
  CONTEXT* context = VirtualAlloc(NULL, sizeof *context, MEM_COMMIT, PAGE_READWRITE);  // aligned
  while (g_spins == 0) Sleep(1);
  CHECK(SuspendThread(thread) == 0 && SuspendThread(thread) == 1);
  context->ContextFlags = CONTEXT_FULL;
  CHECK(GetThreadContext(thread, context));
  CHECK(context->Rip >= (ULONG_PTR)spin && context->Rip < (ULONG_PTR)spin + 0x100);
  CHECK(context->Rsp > g_low && context->Rsp < g_high);
  LONG spins = g_spins;
  Sleep(20);
  CHECK(g_spins == spins);
  context->Rip = (ULONG_PTR)landed;
  context->Rsp = (context->Rsp - 256) / 16 * 16 - 8;  // as after a call
  CHECK(SetThreadContext(thread, context));
  CHECK(ResumeThread(thread) == 2 && ResumeThread(thread) == 1);
  CHECK(ended(thread) == 77 && g_landed == 1);
  CHECK(SuspendThread(NULL) == (DWORD)-1 && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(!GetThreadContext(NULL, context) && !SetThreadContext(NULL, context));
}

static void check_terminating(void) {
  g_landed = 0;
  NTDLL(LONG, NtTerminateThread, (HANDLE, LONG));
  NTDLL(LONG, NtTerminateProcess, (HANDLE, LONG));
  HANDLE thread = CreateThread(NULL, 0, spin, NULL, 0, NULL);
  CHECK(NtTerminateThread(thread, 15) == 0 && ended(thread) == 15);
  CHECK(NtTerminateThread((HANDLE)0x7FF0, 15) == (LONG)0xC0000008);
  thread = CreateThread(NULL, 0, spin, NULL, 0, NULL);
  CHECK(NtTerminateProcess(NULL, 16) == 0);  // all threads but this one; the process has begun to end
  CHECK(ended(thread) == 16);
}

int main(void) {
  check_ends();
  check_facts();
  check_stack_guarantee();
  check_registers();
  check_terminating();
  return DONE();
}
