// A DLL whose DllMain refuses.
#include <windows.h>
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void* reserved) {
  (void)self;
  (void)reserved;
  return reason != DLL_PROCESS_ATTACH;
}
