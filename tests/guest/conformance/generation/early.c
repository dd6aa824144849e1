#include "tls_directory.h"

PER_THREAD(int, value, 0xEA);

__declspec(dllexport) int early_touch(void) { return MY(value); }

DLL_ENTRY() { return TRUE; }
