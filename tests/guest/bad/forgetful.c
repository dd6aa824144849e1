// A DLL that takes an FLS index and goes without freeing it.
#include "../guest.h"

static DWORD g_index;

static void NTAPI told_of_end(void* value) { line("the DLL's callback is called"); }

__declspec(dllexport) void set_value(void) { FlsSetValue(g_index, &g_index); }
__declspec(dllexport) DWORD index_of(void) { return g_index; }

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) g_index = FlsAlloc(told_of_end);
  return TRUE;
}
