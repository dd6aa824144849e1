#include "journal.h"
#include "tls_directory.h"

PER_THREAD(int, value, 0x2627);

static void show(const char* who, DWORD reason, void* reserved) {
  journal_note(who, reason);
  if (reason == DLL_PROCESS_DETACH) line("reserved: %p", reserved);
}

static void NTAPI callback(void* module, DWORD reason, void* reserved) { show("late.tls", reason, NULL); }
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  show("late.main", reason, reserved);
  return TRUE;
}

__declspec(dllexport) int late_value(void) { return MY(value)++; }
