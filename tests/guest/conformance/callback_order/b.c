#define NOTING_NAME "B"
#define NOTING_VALUE 2
#include "noting_dll.h"

__declspec(dllexport) int b_value(void) { return MY(value); }
