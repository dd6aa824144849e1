#include "tls_directory.h"

PER_THREAD(int, unused, 0);

__declspec(dllexport) ULONG get_index(void) { return _tls_index; }

DLL_ENTRY() { return TRUE; }
