// Case 74: the main thread's ExitThread ends that thread; the last thread's return ends the process, on that
// thread, with its exit code.
#include "guest.h"

static HANDLE g_main;

static DWORD WINAPI last(void* unused) {
  DWORD code = 0;
  WaitForSingleObject(g_main, INFINITE);
  GetExitCodeThread(g_main, &code);
  case_line(74, "the main thread has ended with %u", code);
  void (*remember)(DWORD) = (void*)GetProcAddress(GetModuleHandleA("told.dll"), "remember");
  remember(GetCurrentThreadId());
  return 9;
}

ENTRY() {
  LoadLibraryA("told.dll");
  DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &g_main, 0, FALSE,
                  DUPLICATE_SAME_ACCESS);
  start_thread(last, NULL);
  ExitThread(5);
}
