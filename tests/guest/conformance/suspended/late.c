#include "tls_directory.h"

PER_THREAD(int, value, 0x38);

__declspec(dllexport) int late_value(void) { return MY(value); }

DLL_ENTRY() { return TRUE; }
