// A DLL for libloaderapi_test: has something to find, and counts the threads it is told of.
#include <windows.h>

static int g_threads;

__declspec(dllexport) int answer(void) { return 42; }
#ifdef WITH_MISSING
// Only in the DLL that libloaderapi_delay.dll is linked with.
__declspec(dllexport) int missing(void) { return 0; }
#endif
__declspec(dllexport) int threads_seen(void) { return g_threads; }

BOOL WINAPI DllMainCRTStartup(HINSTANCE self, DWORD reason, LPVOID reserved) {
  if (reason == DLL_THREAD_ATTACH) ++g_threads;
  return TRUE;
}
