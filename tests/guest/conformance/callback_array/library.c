#define MODULE "DLL"
#include "callbacks.h"

__declspec(dllexport) int marker(void) { return 25; }

DLL_ENTRY() {
  case_line(25, "DLL, DllMain: %s", reason_name(reason));
  return TRUE;
}
