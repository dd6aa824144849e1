#include "journal.h"

__declspec(dllexport) int b_here(void) { return 1; }

static void load_others(HMODULE self) {
  HMODULE c = LoadLibraryA("c.dll");
  int (*c_ready)(void) = (void*)GetProcAddress(c, "c_ready");
  line("b has loaded c; c is attached: %b", c_ready != NULL && c_ready());
  HMODULE again = LoadLibraryA("b.dll");
  line("b has loaded itself: %b", again == self);
  line("b frees both: %b", FreeLibrary(c) && FreeLibrary(again));
}

DLL_ENTRY() {
  journal_note("b.main", reason);
  if (reason == DLL_PROCESS_ATTACH) load_others(module);
  return TRUE;
}
