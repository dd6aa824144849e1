// Twin of guest/load.c: dlopen and dlclose of a small shared library with TLS.
#include <dlfcn.h>

#include "bench.hpp"

constexpr int kIterations = 300;

int main() {
  dlclose(dlopen("./bench_tls_000.so", RTLD_NOW));  // its pages are in the cache from now on
  const auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) {
    void* library = dlopen("./bench_tls_000.so", RTLD_NOW);
    require(library != nullptr && dlclose(library) == 0);
  }
  report("load", from, kIterations);
}
