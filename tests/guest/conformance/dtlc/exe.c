// Case 37: DisableThreadLibraryCalls silences a DLL without TLS, and never one with TLS.
#include "journal.h"

__declspec(dllimport) int tls_marker(void);
__declspec(dllimport) int plain_marker(void);

static DWORD WINAPI nothing(void* unused) { return 0; }

static void show(const char* when) {
  journal_keep(1);
  run_in_thread(nothing, NULL);
  for (DWORD reason = DLL_THREAD_ATTACH; reason <= DLL_THREAD_DETACH; ++reason)
    case_line(37, "%s: %s: tls.dll: callback %b, DllMain %b; plain.dll: DllMain %b", when,
              reason_name(reason), journal_position("tls.tls", reason) != 0,
              journal_position("tls.main", reason) != 0, journal_position("plain.main", reason) != 0);
}

ENTRY() {
  case_line(37, "both answer: %b", tls_marker() == 1 && plain_marker() == 2);
  show("before");
  DisableThreadLibraryCalls(GetModuleHandleA("tls.dll"));  // its result varies with the version of Windows
  case_line(37, "for plain.dll: %u", DisableThreadLibraryCalls(GetModuleHandleA("plain.dll")));
  show("after");
  return 0;
}
