// What mingw's C++ exceptions are compared with: the host's.
#include "bench.hpp"

namespace {

enum { kThrows = 200000 };

struct Counted {
  int& count;
  ~Counted() { ++count; }
};

[[gnu::noinline]] void throw_from(int depth, int& count) {
  const Counted counted{count};
  if (depth == 0) throw depth;
  throw_from(depth - 1, count);
  asm volatile("");
}

[[gnu::noinline]] int catch_from(int depth) {
  int count = 0;
  try {
    throw_from(depth, count);
  } catch (int) {
    return count;
  }
  return 0;
}

void measure(const char* name, int depth) {
  const auto from = Clock::now();
  for (int i = 0; i < kThrows; ++i) require(catch_from(depth) == depth + 1);
  report(name, from, kThrows);
}

}  // namespace

int main() {
  measure("throw.near", 0);
  measure("throw.far", 9);
}
