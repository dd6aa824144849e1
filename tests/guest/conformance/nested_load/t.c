#include "guest.h"

__declspec(dllexport) int t_here(void) { return 1; }

DLL_ENTRY() { return FALSE; }
