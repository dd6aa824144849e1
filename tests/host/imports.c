// A DLL that imports what a host provides, and one name that nobody does (if MISSING is defined).
#include <windows.h>
__declspec(dllimport) int host_double(int);
__declspec(dllimport) int host_missing(int);
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void* reserved) {
  (void)self;
  (void)reserved;
  (void)reason;
  return TRUE;
}
#ifdef MISSING
__declspec(dllexport) int use(int n) { return host_missing(n); }
#else
__declspec(dllexport) int use(int n) { return host_double(n) + 1; }
#endif
