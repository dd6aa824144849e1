// Case 28: the index word of a DLL is written as 32 bits, over whatever the file holds there.
#include "tls_directory.h"

PER_THREAD(int, variable, 28);

static void show(const char* file) {
  HMODULE dll = LoadLibraryA(file);
  ULONG (*index)(void) = (void*)GetProcAddress(dll, "index");
  int (*variable_here)(void) = (void*)GetProcAddress(dll, "variable_here");
  case_line(28, "%s: not 0: %b, below 32: %b, its variable: %x", file, index() != 0, index() < 32,
            variable_here());
  FreeLibrary(dll);
}

ENTRY() {
  case_line(28, "the EXE has TLS: %b", MY(variable) == 28 && _tls_index == 0);
  show("high.dll");
  return 0;
}
