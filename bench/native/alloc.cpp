// Twin of guest/alloc.c: pthread_key_create and pthread_key_delete while other threads live. POSIX leaves
// stale values to the program where Windows promises NULL, so this is the cost without that promise.
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "bench.hpp"

constexpr int kIterations = 2000;

static sem_t g_end;

static void* idle(void*) {
  sem_wait(&g_end);
  return nullptr;
}

static void live(unsigned& threads, unsigned wanted) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  for (; threads < wanted; ++threads) {
    pthread_t thread;
    require(pthread_create(&thread, &attributes, idle, nullptr) == 0);
  }
}

static void measure(const char* name) {
  const auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) {
    pthread_key_t key;
    require(pthread_key_create(&key, nullptr) == 0 && pthread_key_delete(key) == 0);
  }
  report(name, from, kIterations);
}

int main() {
  sem_init(&g_end, 0, 0);
  unsigned threads = 1;
  measure("alloc.1");
  live(threads, 64);
  measure("alloc.64");
  live(threads, 1000);
  measure("alloc.1000");
  std::fflush(stdout);
  _exit(0);  // the idle threads end with the process, as in the guest
}
