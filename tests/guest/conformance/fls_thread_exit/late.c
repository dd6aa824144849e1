#include "guest.h"

DLL_ENTRY() { return TRUE; }
