#pragma once

#include <windows.h>

struct Shared {
  CRITICAL_SECTION section;
  SRWLOCK srw;
  const char* how;  // "section", "exclusive", "shared", "try"
};
