#pragma once

#include <windows.h>

struct Shared {
  volatile LONG64 counters[2];
  HANDLE threads[3];  // two that count, one that owns the mutex
  HANDLE mutex;
  HMODULE plain;
};
