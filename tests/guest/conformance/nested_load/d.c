#include "journal.h"

static int attached;
__declspec(dllexport) int d_ready(void) { return attached; }

DLL_ENTRY() {
  journal_note("d.main", reason);
  attached = reason == DLL_PROCESS_ATTACH;
  return TRUE;
}
