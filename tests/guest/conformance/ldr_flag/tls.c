#include "tls_directory.h"

PER_THREAD(int, variable, 2);

__declspec(dllexport) int with_tls(void) { return MY(variable); }

DLL_ENTRY() { return TRUE; }
