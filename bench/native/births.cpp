// Twin of guest/births.c. Native libraries are told of a thread's end only by what the thread registered, so
// notified births (TOUCHED 2) register one destructor for each library.
#include <dlfcn.h>
#include <pthread.h>

#include <vector>

#include "bench.hpp"

static std::vector<void (*)()> g_touch;

static void* nothing(void*) { return nullptr; }
static void* touch_all(void*) {
  for (auto* touch : g_touch) touch();
  return nullptr;
}

static void birth(void* (*routine)(void*)) {
  pthread_t thread;
  require(pthread_create(&thread, nullptr, routine, nullptr) == 0);
  pthread_join(thread, nullptr);
}

int main(int count, char** arguments) {
  require(count == 4);
  const int bytes = std::atoi(arguments[1]), libraries = std::atoi(arguments[2]),
            touched = std::atoi(arguments[3]);
  for (int i = 0; i < libraries; ++i) {
    char name[48];
    std::snprintf(name, sizeof name, "./tls_%d%c%03d.so", bytes, touched == 2 ? 'n' : '_', i);
    void* library = dlopen(name, RTLD_NOW);
    require(library != nullptr);
    g_touch.push_back(reinterpret_cast<void (*)()>(dlsym(library, "touch")));
  }
  auto* routine = touched != 0 ? &touch_all : &nothing;
  birth(routine);
  int births = 0;
  const auto from = Clock::now();
  do birth(routine);
  while (++births < 500 && (births < 3 || Clock::now() - from < std::chrono::milliseconds(250)));
  char name[48];
  std::snprintf(name, sizeof name, "birth.%d.%d.%d", bytes, libraries, touched);
  report(name, from, static_cast<std::uint64_t>(births));
}
