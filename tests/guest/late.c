#include "tls_directory.h"

PER_THREAD(int, variable, 0x41);

// The variable's value, to which `more` is then added.
__declspec(dllexport) int touch(int more) {
  int before = MY(variable);
  MY(variable) += more;
  return before;
}

DLL_ENTRY() { return TRUE; }
