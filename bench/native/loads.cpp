// Twin of guest/loads.c: dlopen, which allocates a thread's block when the thread first touches it.
#include <dlfcn.h>
#include <unistd.h>

#include "idle.hpp"

constexpr int kLibraries = 20, kRounds = 5;

int main(int count, char** arguments) {
  const unsigned threads = count > 1 ? static_cast<unsigned>(std::atoi(arguments[1])) : 1;
  live(threads);
  Clock::duration elapsed{};
  for (int round = 0; round <= kRounds; ++round) {
    void* libraries[kLibraries];
    const auto from = Clock::now();
    for (int i = 0; i < kLibraries; ++i) {
      char name[32];
      std::snprintf(name, sizeof name, "./tls_64_%03d.so", i);
      require((libraries[i] = dlopen(name, RTLD_NOW)) != nullptr);
    }
    if (round != 0) elapsed += Clock::now() - from;
    for (void* library : libraries) dlclose(library);
  }
  char name[32];
  std::snprintf(name, sizeof name, "load.%u", threads);
  report(name, Clock::now() - elapsed, kLibraries * kRounds);
  std::fflush(stdout);
  _exit(0);
}
