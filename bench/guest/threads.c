// Creation and join of a thread that does nothing, with as many TLS DLLs loaded as the argument says.
#include "bench.h"

enum { kIterations = 100 };

static DWORD WINAPI nothing(void* unused) {
  (void)unused;
  return 0;
}

static void load(unsigned number) {
  char name[] = "bench_tls_000.dll";
  append_number(name + 10, number, 3);
  require(LoadLibraryA(name) != NULL);
}

void start(void) {
  const unsigned libraries = argument();
  for (unsigned i = 0; i < libraries; ++i) load(i);
  char name[16] = "thread.";
  *append_number(name + 7, libraries, 1) = 0;
  const LONGLONG from = ticks();
  for (int i = 0; i < kIterations; ++i) {
    HANDLE thread = CreateThread(NULL, 0, nothing, NULL, 0, NULL);
    require(thread != NULL && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
    CloseHandle(thread);
  }
  report(name, ticks() - from, kIterations);
  ExitProcess(0);
}
