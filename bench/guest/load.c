// Load and unload of a small DLL with TLS.
#include "bench.h"

enum { kIterations = 300 };

void start(void) {
  FreeLibrary(LoadLibraryA("bench_tls_000.dll"));  // its pages are in the cache from now on
  const LONGLONG from = ticks();
  for (int i = 0; i < kIterations; ++i) {
    HMODULE library = LoadLibraryA("bench_tls_000.dll");
    require(library != NULL && FreeLibrary(library));
  }
  report("load", ticks() - from, kIterations);
  ExitProcess(0);
}
