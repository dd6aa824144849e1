// What the native twins of ../guest share: the same lines, `name nanoseconds`, by the same names.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

using Clock = std::chrono::steady_clock;

inline void report(const char* name, Clock::duration elapsed, std::uint64_t iterations) {
  const std::chrono::duration<double, std::nano> ns = elapsed;
  std::printf("%s %.3f\n", name, ns.count() / static_cast<double>(iterations));
}

inline void report(const char* name, Clock::time_point from, std::uint64_t iterations) {
  report(name, Clock::now() - from, iterations);
}

/// A benchmark that cannot measure says so by its exit code.
inline void require(bool condition) {
  if (!condition) std::exit(1);
}
