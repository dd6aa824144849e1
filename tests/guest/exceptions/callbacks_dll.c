// Faults in its TLS callback when a thread comes, raises in its DllMain when one goes, and refuses to be
// attached, by an exception, if it is told to.
#include <windows.h>

#include <stdio.h>

static void note(const char* who, DWORD reason) {
  printf("  %s %lu\n", who, reason);
  fflush(stdout);
}

static volatile int* volatile g_nowhere = (int*)0x10;

static void NTAPI callback(void* module, DWORD reason, void* reserved) {
  note("callback", reason);
  if (reason == DLL_THREAD_ATTACH) *g_nowhere = 1;
}
__attribute__((section(".CRT$XLC"), used)) static const PIMAGE_TLS_CALLBACK g_callback = callback;

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void* reserved) {
  note("DllMain", reason);
  if (reason == DLL_THREAD_DETACH) RaiseException(0xE0000001, 0, 0, NULL);
  char told[4];
  if (reason == DLL_PROCESS_ATTACH && GetEnvironmentVariableA("RAISE", told, sizeof told) != 0)
    RaiseException(0xE0000002, EXCEPTION_NONCONTINUABLE, 0, NULL);
  return TRUE;
}
