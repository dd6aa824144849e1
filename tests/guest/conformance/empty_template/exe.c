// Case 28, of a template of length zero: still an index, and a block in every thread.
#include "guest.h"

ENTRY() {
  HMODULE dll = LoadLibraryA("empty.dll");
  ULONG (*index)(void) = (void*)GetProcAddress(dll, "index");
  const ULONG64* vector = (const ULONG64*)teb_read(0x58);
  case_line(28, "empty.dll: loaded: %b, index below 32: %b", dll != NULL, index() < 32);
  if (index() >= 32) return 0;
  case_line(28, "vector[index] is a block: %b", vector[index()] != 0);
  case_line(28, "FreeLibrary: %u", FreeLibrary(dll));
  return 0;
}
