// Case 59: a thread that sleeps for ever in an FLS callback does not keep the process from ending, though the
// exiting thread has a value of the same index.
#include "guest.h"

static HANDLE asleep;
static DWORD index;

static void WINAPI sleep_for_ever(void* value) {
  case_line(59, "FLS callback for %p", (ULONG64)value);
  if (value != (void*)1) return;
  SetEvent(asleep);
  Sleep(INFINITE);
}

static DWORD WINAPI set(void* value) {
  FlsSetValue(index, value);
  return 0;
}

ENTRY() {
  asleep = CreateEventA(NULL, FALSE, FALSE, NULL);
  index = FlsAlloc(sleep_for_ever);
  start_thread(set, (void*)1);
  WaitForSingleObject(asleep, INFINITE);
  FlsSetValue(index, (void*)2);
  return 0;
}
