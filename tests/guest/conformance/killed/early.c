#define NOTING_NAME "early"
#define NOTING_VALUE 0x93
#include "noting_dll.h"

__declspec(dllexport) int early_value(void) { return MY(value); }
