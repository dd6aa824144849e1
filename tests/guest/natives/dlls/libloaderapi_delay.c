// A DLL whose imports are delayed: lld's thunk calls the helper, the helper the system. libloaderapi_near.dll
// has `answer` but not `missing`; libloaderapi_gone.dll is not there.
#include "libloaderapi_delay.h"

extern char __ImageBase;
__declspec(dllimport) int answer(void);
__declspec(dllimport) int missing(void);
__declspec(dllimport) int gone(void);

static int g_resolved;
__declspec(dllexport) Seen seen;
__declspec(dllexport) int hooks = 0;  // bit 0: a DLL hook, bit 1: that has an answer, bit 2: a system hook

static int from_dll_hook(void) { return 7; }
static int from_system_hook(void) { return 8; }
static int from_nobody(void) { return 9; }

static PVOID WINAPI dll_hook(ULONG reason, const DelayLoadInfo* info) {
  seen.reason = reason;
  seen.info = *info;
  seen.last_error = GetLastError();
  return hooks & 2 ? (PVOID)from_dll_hook : NULL;
}

static PVOID WINAPI system_hook(LPCSTR dll, LPCSTR function) {
  seen.system_dll = dll;
  seen.system_function = function;
  return (PVOID)from_system_hook;
}

PVOID __delayLoadHelper2(const void* descriptor, PVOID thunk) {
  ++g_resolved;
  PVOID found = ResolveDelayLoadedAPI(&__ImageBase, descriptor, hooks & 1 ? dll_hook : NULL,
                                      hooks & 4 ? system_hook : NULL, thunk, 0);
  return found != NULL ? found : (PVOID)from_nobody;
}

__declspec(dllexport) int delayed_answer(void) { return answer(); }
__declspec(dllexport) int delayed_missing(void) { return missing(); }
__declspec(dllexport) int delayed_gone(void) { return gone(); }
__declspec(dllexport) int resolved(void) { return g_resolved; }

BOOL WINAPI DllMainCRTStartup(HINSTANCE self, DWORD reason, LPVOID reserved) { return TRUE; }

// What the compiler calls to copy a struct.
void* memcpy(void* to, const void* from, size_t count) {
  char* out = to;
  for (const char* in = from; count != 0; --count) *out++ = *in++;
  return to;
}
