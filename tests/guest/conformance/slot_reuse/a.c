#define TEMPLATE_VALUE 0xA
#include "late.h"
