// A DLL that is there to be loaded.
#include "../guest.h"

DLL_ENTRY() { return TRUE; }
