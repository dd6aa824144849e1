#include "tls_directory.h"

PER_THREAD(int, value, 0x41);

static void NTAPI callback(void* module, DWORD reason, void* reserved) {
  if (reason != DLL_PROCESS_DETACH) case_line(41, "callback: %s, reads %x", reason_name(reason), MY(value));
}
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  case_line(41, "DllMain: %s, reads %x", reason_name(reason), MY(value));
  return FALSE;
}
