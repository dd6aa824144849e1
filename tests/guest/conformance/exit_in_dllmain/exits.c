#include "guest.h"

DLL_ENTRY() {
  if (reason == DLL_PROCESS_DETACH && reserved == NULL) {
    line("exits.dll is freed");
    ExitProcess(11);
  }
  return TRUE;
}
