// Twin of guest/threads.c: creation and join of a thread with so many shared libraries with TLS loaded.
#include <dlfcn.h>
#include <pthread.h>

#include "bench.hpp"

constexpr int kIterations = 100;

int main(int count, char** arguments) {
  const int libraries = count > 1 ? std::atoi(arguments[1]) : 0;
  for (int i = 0; i < libraries; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "./bench_tls_%03d.so", i);
    require(dlopen(name, RTLD_NOW) != nullptr);
  }
  const auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0);
    pthread_join(thread, nullptr);
  }
  char name[16];
  std::snprintf(name, sizeof name, "thread.%d", libraries);
  report(name, from, kIterations);
}
