// A small DLL with a thread-local variable and an entry point: access.dll, and all of the bench_tls_*.dll.
#include "tls.h"

static _Thread_local volatile unsigned g_counter = 1;

__declspec(dllexport) void bump_in_library(void) { ++g_counter; }

BOOL start(HINSTANCE instance, DWORD reason, void* reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
