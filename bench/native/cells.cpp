// Twin of guest/cells.c: POSIX leaves stale values to the program where Windows promises NULL, so this is the
// cost without that promise.
#include <unistd.h>

#include <string>

#include "idle.hpp"

constexpr int kPairs = 2000, kSet = 40, kPassesAlone = 100;
static pthread_key_t g_keys[kSet];

static void set_all() {
  for (const pthread_key_t key : g_keys) pthread_setspecific(key, g_keys);
}

static std::string name_of(const char* kind, unsigned threads) {
  return std::string("cell.") + kind + "." + std::to_string(threads);
}

int main(int count, char** arguments) {
  const unsigned threads = count > 1 ? static_cast<unsigned>(std::atoi(arguments[1])) : 1;
  for (pthread_key_t& key : g_keys) require(pthread_key_create(&key, nullptr) == 0);
  set_all();
  live(threads, set_all);
  const int passes = threads == 1 ? kPassesAlone : 1;
  Clock::duration elapsed{};
  for (int pass = 0; pass < passes; ++pass) {
    const auto from = Clock::now();
    for (pthread_key_t& key : g_keys)
      require(pthread_key_delete(key) == 0 && pthread_key_create(&key, nullptr) == 0);
    elapsed += Clock::now() - from;
    for (const pthread_key_t key : g_keys) pthread_setspecific(key, g_keys);
  }
  report(name_of("set", threads).c_str(), elapsed, kSet * static_cast<unsigned>(passes));
  const auto from = Clock::now();
  for (int i = 0; i < kPairs; ++i) {
    pthread_key_t key;
    require(pthread_key_create(&key, nullptr) == 0 && pthread_key_delete(key) == 0);
  }
  report(name_of("unset", threads).c_str(), from, kPairs);
  std::fflush(stdout);
  _exit(0);
}
