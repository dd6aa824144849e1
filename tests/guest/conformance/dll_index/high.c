#define TLS_INDEX_BEFORE 0x12345678
#include "tls_directory.h"

PER_THREAD(int, variable, 0x28);

__declspec(dllexport) ULONG index(void) { return _tls_index; }
__declspec(dllexport) int variable_here(void) { return MY(variable); }

DLL_ENTRY() { return TRUE; }
