// LoadLibrary in a DllMain, of DLLs that the same load has mapped and not yet attached (specification 6.2: it
// works). a imports b and c, c imports d; b loads c. r imports s and t, s loads t, and t refuses.
#include "guest.h"

static int gone(const char* name) { return GetModuleHandleA(name) == NULL; }

ENTRY() {
  HMODULE a = LoadLibraryA("a.dll");
  line("a is loaded: %b", a != NULL);
  line("a is freed: %b", FreeLibrary(a));
  line("all are gone: %b", gone("a.dll") && gone("b.dll") && gone("c.dll") && gone("d.dll"));
  line("r is loaded: %b", LoadLibraryA("r.dll") != NULL);
  line("error %u", GetLastError());
  line("all are gone: %b", gone("r.dll") && gone("s.dll") && gone("t.dll"));
  return 0;
}
