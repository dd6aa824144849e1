// Access to a thread-local variable in the EXE, and by a function of a DLL to the DLL's own.
#include "bench.h"
#include "tls.h"

enum { kIterations = 2000000 };

__declspec(dllimport) void bump_in_library(void);
static _Thread_local volatile unsigned g_counter = 1;

__attribute__((noinline)) static void bump(void) {
  ++g_counter;
  __asm__ volatile("");  // keeps the call
}

void start(void) {
  LONGLONG from = ticks();
  for (int i = 0; i < kIterations; ++i) bump();
  report("access.exe", ticks() - from, kIterations);
  from = ticks();
  for (int i = 0; i < kIterations; ++i) bump_in_library();
  report("access.dll", ticks() - from, kIterations);
  ExitProcess(0);
}
