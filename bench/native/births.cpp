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

// Destructors run in the order opposite to registration.
static Clock::time_point g_last_told;
static Clock::duration g_telling;

static void listen_to(void* library, void (*listener)()) {
  auto* tell = static_cast<void (**)()>(dlsym(library, "g_tell"));
  require(tell != nullptr);
  *tell = listener;
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
    if (touched == 2 && i == 0) listen_to(library, [] { g_telling += Clock::now() - g_last_told; });
    if (touched == 2 && i == libraries - 1) listen_to(library, [] { g_last_told = Clock::now(); });
    g_touch.push_back(reinterpret_cast<void (*)()>(dlsym(library, "touch")));
  }
  auto* routine = touched != 0 ? &touch_all : &nothing;
  birth(routine);
  g_telling = {};
  int births = 0;
  const auto from = Clock::now();
  do birth(routine);
  while (++births < 100 && (births < 3 || Clock::now() - from < std::chrono::milliseconds(50)));
  char name[48];
  std::snprintf(name, sizeof name, "birth.%d.%d.%d", bytes, libraries, touched);
  report(name, from, static_cast<std::uint64_t>(births));
  if (touched == 2) {
    std::snprintf(name, sizeof name, "told.%d", libraries);
    report(name, g_telling, static_cast<std::uint64_t>(births) * static_cast<unsigned>(libraries - 1));
  }
}
