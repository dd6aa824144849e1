// A DLL whose import of libloaderapi_near.dll is delayed: lld's thunk calls the helper, the helper the
// system.
#include <windows.h>

extern char __ImageBase;
__declspec(dllimport) int answer(void);
PVOID WINAPI ResolveDelayLoadedAPI(PVOID, const void*, PVOID, PVOID, PVOID, ULONG);

static int g_resolved;

PVOID __delayLoadHelper2(const void* descriptor, PVOID thunk) {
  ++g_resolved;
  return ResolveDelayLoadedAPI(&__ImageBase, descriptor, NULL, NULL, thunk, 0);
}

__declspec(dllexport) int delayed_answer(void) { return answer(); }
__declspec(dllexport) int resolved(void) { return g_resolved; }

BOOL WINAPI DllMainCRTStartup(HINSTANCE self, DWORD reason, LPVOID reserved) { return TRUE; }
