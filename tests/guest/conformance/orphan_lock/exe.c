// Case 73: a lock whose owner was stopped at the exit of the process. Whoever waits for it ends the process
// there and then, and what had still to be told is told no more.
#include "guest.h"
#include "shared.h"

static struct Shared g_shared = {.srw = SRWLOCK_INIT};
static HANDLE g_ready;

static DWORD WINAPI own(void* unused) {
  EnterCriticalSection(&g_shared.section);
  AcquireSRWLockExclusive(&g_shared.srw);
  SetEvent(g_ready);
  Sleep(INFINITE);
  return 0;
}

ENTRY() {
  const char* how = GetCommandLineA();
  while (*how) ++how;
  while (how[-1] != ' ') --how;
  void (*share)(struct Shared*) = (void*)GetProcAddress(LoadLibraryA("a.dll"), "share");
  g_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  InitializeCriticalSection(&g_shared.section);
  g_shared.how = how;
  start_thread(own, NULL);
  WaitForSingleObject(g_ready, INFINITE);
  share(&g_shared);
  line("exit");
  return 0;
}
