#include "tls_directory.h"

PER_THREAD(int, value, 0x1a7e);

__declspec(dllexport) int late_value(void) { return MY(value); }

DLL_ENTRY() { return TRUE; }
