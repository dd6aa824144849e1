#include "guest.h"

__declspec(dllexport) int s_here(void) { return 1; }

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) {
    line("s loads t: %b", LoadLibraryA("t.dll") != NULL);
    line("error %u", GetLastError());
  }
  return TRUE;
}
