#include "journal.h"
#include "tls_directory.h"

__declspec(dllexport) int a_is_there(void) { return 1; }

static void NTAPI callback(void* module, DWORD reason, void* reserved) { journal_note("A.tls", reason); }
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  if (reason == DLL_THREAD_ATTACH || reason == DLL_THREAD_DETACH) journal_note("A.main", reason);
  return TRUE;
}
