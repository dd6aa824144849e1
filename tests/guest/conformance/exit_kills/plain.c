// Loaded last, so it is told before the watcher, and once.
#include "guest.h"

DLL_ENTRY() {
  if (reason == DLL_PROCESS_DETACH) line("plain.dll is told (reserved: %b)", reserved != NULL);
  return TRUE;
}
