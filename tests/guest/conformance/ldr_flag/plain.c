#include "guest.h"

__declspec(dllexport) int without_tls(void) { return 3; }

DLL_ENTRY() { return TRUE; }
