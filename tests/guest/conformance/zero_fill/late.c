#define TLS_ZERO_FILL 64
#include "tls_directory.h"

PER_THREAD(int, variable, 0x63);

__declspec(dllexport) int variable_here(void) { return MY(variable); }

DLL_ENTRY() { return TRUE; }
