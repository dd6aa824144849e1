#pragma once

#include "tls_directory.h"

PER_THREAD(int, variable, TEMPLATE_VALUE);

__declspec(dllexport) int get_and_set(int value) {
  int before = MY(variable);
  MY(variable) = value;
  return before;
}

__declspec(dllexport) ULONG index(void) { return _tls_index; }

DLL_ENTRY() { return TRUE; }
