#include "tls_directory.h"

PER_THREAD(int, value, 0x14);

__declspec(dllexport) ULONG index(void) { return MY(value) == 0x14 ? _tls_index : 999; }

DLL_ENTRY() { return TRUE; }
