// How a process can end: by the function that is named on the command line, with exit code 67. Never by
// main's return, and nothing after the call runs. "HeapLock": by ExitProcess, whose notification allocates
// from a heap that a stopped thread holds the lock of. Whether it gets the memory or the process ends there
// and then (Windows, for locks of dead threads), it does not hang.
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

static HANDLE g_heap, g_locked;

static DWORD WINAPI hold_lock(void* unused) {
  (void)unused;
  HeapLock(g_heap);
  SetEvent(g_locked);
  for (;;) Sleep(1000);
  return 0;
}

static int g_shut_down;

static void NTAPI on_detach(void* module, DWORD reason, void* reserved) {
  (void)module, (void)reserved;
  if (reason == DLL_PROCESS_DETACH) ++g_shut_down;
  if (reason == DLL_PROCESS_DETACH && g_heap != NULL) HeapAlloc(g_heap, 0, 16);
}
__attribute__((section(".CRT$XLD"), used)) static const PIMAGE_TLS_CALLBACK kCallback = on_detach;

static void exit_with_locked_heap(void) {
  g_heap = HeapCreate(0, 0, 0);
  g_locked = CreateEventA(NULL, TRUE, FALSE, NULL);
  CloseHandle(CreateThread(NULL, 0, hold_lock, NULL, 0, NULL));
  WaitForSingleObject(g_locked, INFINITE);
  ExitProcess(67);
}

int main(int count, char** arguments) {
  NTDLL(LONG, NtTerminateProcess, (HANDLE, LONG));
  NTDLL(void, RtlExitUserProcess, (LONG));
  const char* by = count > 1 ? arguments[1] : "";
  printf("ok\n");
  fflush(stdout);
  if (!strcmp(by, "NtTerminateProcess")) return (int)NtTerminateProcess(GetCurrentProcess(), 67);
  if (!strcmp(by, "LdrShutdownProcess")) {  // by halves: notifications, which come once, and then the end
    NTDLL(void, LdrShutdownProcess, (void));
    LdrShutdownProcess();
    LdrShutdownProcess();
    return (int)NtTerminateProcess(GetCurrentProcess(), g_shut_down == 1 ? 67 : 1);
  }
  if (!strcmp(by, "RtlExitUserProcess")) RtlExitUserProcess(67);
  if (!strcmp(by, "ExitProcess")) ExitProcess(67);
  if (!strcmp(by, "TerminateProcess")) return TerminateProcess(GetCurrentProcess(), 67);
  if (!strcmp(by, "HeapLock")) exit_with_locked_heap();
  if (!strcmp(by, "ExitThread")) ExitThread(67);  // the last thread's exit code is the process's
  printf("still here after %s\n", by);
  return 1;
}
