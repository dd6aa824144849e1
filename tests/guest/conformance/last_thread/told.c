#include "guest.h"

static DWORD g_last;

__declspec(dllexport) void remember(DWORD thread) { g_last = thread; }

DLL_ENTRY() {
  if (reason == DLL_THREAD_DETACH)
    case_line(74, "THREAD_DETACH, on the last thread: %b", g_last == GetCurrentThreadId());
  if (reason == DLL_PROCESS_DETACH)
    case_line(74, "PROCESS_DETACH (reserved: %b), on the last thread: %b", reserved != NULL,
              g_last == GetCurrentThreadId());
  return TRUE;
}
