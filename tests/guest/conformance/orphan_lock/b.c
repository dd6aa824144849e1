#include "guest.h"

__declspec(dllexport) int answer(void) { return 42; }

DLL_ENTRY() {
  if (reason == DLL_PROCESS_DETACH) line("b.dll is told");
  return TRUE;
}
