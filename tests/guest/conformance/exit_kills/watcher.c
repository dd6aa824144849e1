#include "guest.h"
#include "shared.h"

static struct Shared* g_shared;

__declspec(dllexport) void watch(struct Shared* shared) { g_shared = shared; }

static DWORD WINAPI never(void* unused) {
  line("a thread runs");
  return 0;
}

DLL_ENTRY() {
  if (reason != DLL_PROCESS_DETACH) return TRUE;
  BOOL(WINAPI * in_progress)(void) =
      (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlDllShutdownInProgress");
  case_line(70, "at the exit of the process (reserved: %b): shutdown in progress %b", reserved != NULL,
            (in_progress() & 0xFF) != 0);
  LONG64 before[] = {g_shared->counters[0], g_shared->counters[1]};
  Sleep(30);
  case_line(70, "the counters stand still: %b, %b", before[0] == g_shared->counters[0],
            before[1] == g_shared->counters[1]);
  for (int i = 0; i < 3; ++i) {
    DWORD code = 0;
    GetExitCodeThread(g_shared->threads[i], &code);
    case_line(70, "thread %u is signalled: %b, exit code %u", i,
              WaitForSingleObject(g_shared->threads[i], 0) == WAIT_OBJECT_0, code);
  }
  case_line(70, "its mutex is abandoned: %b",
            WaitForSingleObject(g_shared->mutex, INFINITE) == WAIT_ABANDONED_0);
  SetLastError(0);
  HANDLE thread = CreateThread(NULL, 0, never, NULL, 0, NULL);
  case_line(71, "CreateThread: %b, error %u", thread != NULL, GetLastError());
  BOOL freed = FreeLibrary(g_shared->plain);
  case_line(72, "FreeLibrary: %b, still there: %b", freed, GetModuleHandleA("plain.dll") == g_shared->plain);
  return TRUE;
}
