// Case 58: at the end of the process the exiting thread's values are called back for, and no other's, before
// any PROCESS_DETACH.
#include "journal.h"

__declspec(dllimport) int a_is_there(void);

static HANDLE ready;
static DWORD index;

static void WINAPI on_end(void* value) {
  BOOLEAN(WINAPI * in_progress)(void) =
      (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlDllShutdownInProgress");
  case_line(58, "FLS callback for %p; shutdown in progress: %b", (ULONG64)value, in_progress());
}

static DWORD WINAPI wait_for_ever(void* value) {
  FlsSetValue(index, value);
  SetEvent(ready);
  Sleep(INFINITE);
  return 0;
}

ENTRY() {
  ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  index = FlsAlloc(on_end);
  start_thread(wait_for_ever, (void*)0x581);
  WaitForSingleObject(ready, INFINITE);
  FlsSetValue(index, (void*)0x582);
  case_line(58, "the process ends (A is there: %b):", a_is_there());
  return 0;
}
