#include "journal.h"

__declspec(dllimport) int d_ready(void);

static int attached;
__declspec(dllexport) int c_ready(void) { return attached; }

DLL_ENTRY() {
  journal_note("c.main", reason);
  attached = reason == DLL_PROCESS_ATTACH && d_ready();
  return TRUE;
}
