// Imports after.dll, so it is told before it.
#include "guest.h"

__declspec(dllimport) int answer(void);

DLL_ENTRY() {
  if (reason != DLL_PROCESS_DETACH) return answer() != 0;
  line("again.dll is told (reserved: %b)", reserved != NULL);
  ExitProcess(12);
}
