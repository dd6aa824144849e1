// Twin of guest/cells.c: POSIX leaves stale values to the program where Windows promises NULL, so this is the
// cost without that promise.
#include <unistd.h>

#include "idle.hpp"

constexpr int kPairs = 2000, kSet = 40;
static pthread_key_t g_keys[kSet];

static void set_all() {
  for (const pthread_key_t key : g_keys) pthread_setspecific(key, g_keys);
}

static void report_as(const char* kind, unsigned threads, Clock::time_point from, int count) {
  char name[32];
  std::snprintf(name, sizeof name, "cell.%s.%u", kind, threads);
  report(name, from, static_cast<std::uint64_t>(count));
}

int main(int count, char** arguments) {
  const unsigned threads = count > 1 ? static_cast<unsigned>(std::atoi(arguments[1])) : 1;
  for (pthread_key_t& key : g_keys) require(pthread_key_create(&key, nullptr) == 0);
  set_all();
  live(threads, set_all);
  auto from = Clock::now();
  for (pthread_key_t& key : g_keys)
    require(pthread_key_delete(key) == 0 && pthread_key_create(&key, nullptr) == 0);
  report_as("set", threads, from, kSet);
  from = Clock::now();
  for (int i = 0; i < kPairs; ++i) {
    pthread_key_t key;
    require(pthread_key_create(&key, nullptr) == 0 && pthread_key_delete(key) == 0);
  }
  report_as("unset", threads, from, kPairs);
  std::fflush(stdout);
  _exit(0);
}
