#define NOTING_NAME "A"
#define NOTING_VALUE 1
#include "noting_dll.h"

__declspec(dllimport) int b_value(void);

__declspec(dllexport) int a_and_b(void) { return MY(value) + b_value(); }
