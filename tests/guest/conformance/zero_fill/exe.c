// Case 36: SizeOfZeroFill, which Windows ignores, does no harm. What lies behind the template is not shown.
#define TLS_ZERO_FILL 64
#include "tls_directory.h"

PER_THREAD(int, variable, 0x36);

static int (*in_dll)(void);

static DWORD WINAPI worker(void* unused) { return (DWORD)(MY(variable) << 8 | in_dll()); }

ENTRY() {
  in_dll = (void*)GetProcAddress(LoadLibraryA("late.dll"), "variable_here");
  case_line(36, "EXE, main: %x", MY(variable));
  case_line(36, "DLL, main: %x", in_dll());
  case_line(36, "both, another thread: %x", run_in_thread(worker, NULL));
  return 0;
}
