#include "guest.h"

__declspec(dllimport) int s_here(void);
__declspec(dllimport) int t_here(void);

__declspec(dllexport) int r_uses(void) { return s_here() + t_here(); }

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) line("r is attached, which cannot be");
  return TRUE;
}
