// Imports b.dll, so it is initialised after it and told before it.
#include "guest.h"
#include "shared.h"

__declspec(dllimport) int answer(void);

static struct Shared* g_shared;
__declspec(dllexport) void share(struct Shared* shared) { g_shared = shared; }

DLL_ENTRY() {
  if (reason != DLL_PROCESS_DETACH) return answer() != 0;
  const char* how = g_shared->how;
  line("a.dll takes an orphaned lock: %s", how);
  if (same_text(how, "section")) EnterCriticalSection(&g_shared->section);
  if (same_text(how, "exclusive")) AcquireSRWLockExclusive(&g_shared->srw);
  if (same_text(how, "try")) TryEnterCriticalSection(&g_shared->section);
  if (same_text(how, "shared")) AcquireSRWLockShared(&g_shared->srw);
  line("a.dll goes on");
  return TRUE;
}
