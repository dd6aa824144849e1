// A DLL whose template is TEMPLATE bytes: all of tls_64_*.dll, tls_64k_*.dll and tls_4m_*.dll. NOTIFIED ones
// have an entry point and a TLS callback, which every birth and death of a thread calls; the others have
// neither.
#include <windows.h>

#ifdef NOTIFIED
__declspec(dllexport) void (*g_tell)(DWORD reason) = NULL;  // whom to pass it on to
static void NTAPI callback(void* module, DWORD reason, void* reserved) {
  (void)module, (void)reserved;
  if (g_tell != NULL) g_tell(reason);
}
BOOL start(HINSTANCE instance, DWORD reason, void* reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
#define CALLBACK_OR_NONE callback,
#else
#define CALLBACK_OR_NONE
#endif
#define TLS_CALLBACKS {CALLBACK_OR_NONE NULL}
#include "tls.h"

// In the file to its last byte, so all of it is template; the 16 are what tls.h adds, rounded up.
static _Thread_local volatile unsigned char g_block[TEMPLATE - 16] = {1, [TEMPLATE - 17] = 1};

__declspec(dllexport) void touch(void) { ++g_block[0]; }
