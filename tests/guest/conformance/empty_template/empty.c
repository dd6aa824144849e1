#define TLS_INDEX_BEFORE 0x87654321
#define TLS_NO_DATA
#define TLS_CALLBACKS 0
#include "tls_directory.h"

__declspec(dllexport) ULONG index(void) { return _tls_index; }

DLL_ENTRY() { return TRUE; }
