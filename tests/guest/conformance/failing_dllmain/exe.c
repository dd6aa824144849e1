// Case 41: a DllMain that refuses. (Whether the TLS callback hears of the detach is not certain: not shown.)
#include "tls_directory.h"

PER_THREAD(int, of_the_exe, 1);

static void try_it(void) {
  SetLastError(0);
  HMODULE refusing = LoadLibraryA("refusing.dll");
  DWORD error = GetLastError();
  case_line(41, "loaded: %b, last error %u", refusing != NULL, error);
  case_line(41, "known to GetModuleHandle: %b", GetModuleHandleA("refusing.dll") != NULL);
}

ENTRY() {
  try_it();
  try_it();
  HMODULE willing = LoadLibraryA("willing.dll");
  ULONG (*index)(void) = (void*)GetProcAddress(willing, "index");
  case_line(41, "the next TLS DLL gets index %u: none was lost", index());
  return MY(of_the_exe) - 1;
}
