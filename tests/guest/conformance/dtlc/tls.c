#include "journal.h"
#include "tls_directory.h"

PER_THREAD(int, value, 1);

__declspec(dllexport) int tls_marker(void) { return MY(value); }

// Only what threads cause: the order of the two DLLs' PROCESS_ATTACH is the linker's.
static void NTAPI callback(void* module, DWORD reason, void* reserved) {
  if (reason != DLL_PROCESS_ATTACH) journal_note("tls.tls", reason);
}
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  if (reason != DLL_PROCESS_ATTACH) journal_note("tls.main", reason);
  return TRUE;
}
