#include "journal.h"

__declspec(dllexport) int plain_marker(void) { return 2; }

DLL_ENTRY() {
  if (reason != DLL_PROCESS_ATTACH) journal_note("plain.main", reason);
  return TRUE;
}
