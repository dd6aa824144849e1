// A DLL with an FLS index of its own: taken when it comes, freed when it goes. A value is the address of a
// count, which is raised when its callback comes.
#include "../guest.h"

static DWORD g_index;

static void NTAPI count(void* value) { InterlockedIncrement(value); }

__declspec(dllexport) int owner_set(volatile LONG* told) {
  return FlsGetValue(g_index) == NULL && FlsSetValue(g_index, (void*)told);
}

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) return (g_index = FlsAlloc(count)) != FLS_OUT_OF_INDEXES;
  return reason != DLL_PROCESS_DETACH || FlsFree(g_index);
}
