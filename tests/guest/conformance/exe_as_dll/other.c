// An EXE in all but name: it is linked without -shared. Nothing of it may ever run.
#define TLS_INDEX_BEFORE 0x30303030
#include "tls_directory.h"

PER_THREAD(int, variable, 1);

static void NTAPI callback(void* module, DWORD reason, void* reserved) { line("other.exe: callback called"); }
TLS_CALLBACK(callback, "C");

ENTRY() {
  line("other.exe: entry point called");
  return MY(variable);
}
