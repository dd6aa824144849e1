// Case 69: a thread that DllMain creates does not run before DllMain has returned.
#include "guest.h"

ENTRY() {
  HMODULE dll = LoadLibraryA("creator.dll");
  HANDLE* thread = (void*)GetProcAddress(dll, "thread");
  volatile LONG* ran = (void*)GetProcAddress(dll, "ran");
  WaitForSingleObject(*thread, INFINITE);
  case_line(69, "it ran after DllMain: %b", *ran == 1);
  return 0;
}
