#include "journal.h"
#include "tls_directory.h"

static int try_to_join;
__declspec(dllexport) void a_try_to_join(int on) { try_to_join = on; }

static void NTAPI callback(void* module, DWORD reason, void* reserved) { journal_note("A.tls", reason); }
TLS_CALLBACK(callback, "C");

static DWORD WINAPI nothing(void* unused) { return 0; }

DLL_ENTRY() {
  journal_note("A.main", reason);
  if (reason == DLL_THREAD_DETACH && try_to_join) {
    try_to_join = 0;
    HANDLE thread = start_thread(nothing, NULL);
    case_line(51, "joined in DllMain: %b", WaitForSingleObject(thread, 300) == WAIT_OBJECT_0);
    CloseHandle(thread);
  }
  return TRUE;
}
