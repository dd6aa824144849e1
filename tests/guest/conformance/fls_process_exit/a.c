#include "journal.h"

__declspec(dllexport) int a_is_there(void) { return 1; }

DLL_ENTRY() {
  if (reason == DLL_PROCESS_DETACH) journal_note("A.main", reason);
  return TRUE;
}
