// Specification 6.5: ExitProcess in a DllMain that FreeLibrary calls exits with its code; a second one, out
// of a PROCESS_DETACH of that exit, ends the process at once: what had still to be told is told no more.
#include "guest.h"

ENTRY() {
  LoadLibraryA("again.dll");
  HMODULE exits = LoadLibraryA("exits.dll");
  FreeLibrary(exits);
  line("still here");
  return 1;
}
