#define TEMPLATE_VALUE 0xB
#include "late.h"
