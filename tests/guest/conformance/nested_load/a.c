#include "journal.h"

__declspec(dllimport) int b_here(void);
__declspec(dllimport) int c_ready(void);

__declspec(dllexport) int a_uses(void) { return b_here() + c_ready(); }

DLL_ENTRY() {
  journal_note("a.main", reason);
  return TRUE;
}
