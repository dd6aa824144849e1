// A DLL that libloaderapi_delay.dll is linked with, and that is not there when it runs.
#include <windows.h>

__declspec(dllexport) int gone(void) { return 0; }

BOOL WINAPI DllMainCRTStartup(HINSTANCE self, DWORD reason, LPVOID reserved) { return TRUE; }
