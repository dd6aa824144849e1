// Case 25: several callbacks in one array, in the EXE and in a DLL.
#include "callbacks.h"

__declspec(dllimport) int marker(void);

static DWORD WINAPI nothing(void* unused) { return 0; }

ENTRY() {
  case_line(25, "the entry point; the DLL answers: %b", marker() == 25);
  run_in_thread(nothing, NULL);
  case_line(25, "a thread has come and gone");
  return 0;
}
