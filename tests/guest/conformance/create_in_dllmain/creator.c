#include "guest.h"

__declspec(dllexport) HANDLE thread;
__declspec(dllexport) volatile LONG ran;

static DWORD WINAPI run(void* unused) {
  ran = 1;
  return 0;
}

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) {
    thread = start_thread(run, NULL);
    case_line(69, "CreateThread in DllMain: %b", thread != NULL);
    case_line(69, "it ends meanwhile: %b", WaitForSingleObject(thread, 300) != WAIT_TIMEOUT);
    case_line(69, "it ran meanwhile: %b", ran == 1);
  }
  return TRUE;
}
