// C++ exceptions as mingw throws them, by frames with something to clean up.
#include "bench.h"

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
  const LONGLONG from = ticks();
  for (int i = 0; i < kThrows; ++i) require(catch_from(depth) == depth + 1);
  report(name, ticks() - from, kThrows);
}

}  // namespace

int main() {
  measure("throw.near", 0);
  measure("throw.far", 9);
}
