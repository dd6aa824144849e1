// Twin of guest/slots.c: pthread_getspecific and pthread_setspecific. glibc keeps the first 32 keys in the
// thread's own record and reaches the others through an array of arrays: "high" is one of those.
#include <pthread.h>

#include "bench.hpp"

constexpr int kIterations = 2'000'000;

static void measure(pthread_key_t key, const char* get, const char* set) {
  auto from = Clock::now();
#pragma GCC unroll 8
  for (int i = 0; i < kIterations; ++i) pthread_setspecific(key, &key);
  report(set, from, kIterations);
  unsigned wrong = 0;
  from = Clock::now();
#pragma GCC unroll 8
  for (int i = 0; i < kIterations; ++i) wrong += pthread_getspecific(key) != &key;
  report(get, from, kIterations);
  require(wrong == 0);
}

int main() {
  pthread_key_t key = 0;
  require(pthread_key_create(&key, nullptr) == 0 && key < 32);
  measure(key, "get.low", "set.low");
  while (key < 64) require(pthread_key_create(&key, nullptr) == 0);
  measure(key, "get.high", "set.high");
}
