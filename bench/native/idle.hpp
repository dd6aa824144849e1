// Threads that do nothing until the process ends.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include <atomic>

#include "bench.hpp"

/// Brings the process to `wanted` threads, each of which has run `first`.
inline void live(unsigned wanted, void (*first)() = nullptr) {
  static sem_t end;
  static std::atomic<unsigned> alive{1};
  static void (*begin)() = first;
  sem_init(&end, 0, 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  const auto idle = [](void*) -> void* {
    if (begin != nullptr) begin();
    ++alive;
    sem_wait(&end);
    return nullptr;
  };
  for (unsigned i = 1; i < wanted; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, &attributes, idle, nullptr) == 0);
  }
  while (alive != wanted) sched_yield();
}
