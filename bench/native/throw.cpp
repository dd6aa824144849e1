// What mingw's C++ exceptions are compared with: the host's.
#include "../throw.hpp"

#include "bench.hpp"

static void measure(const char* name, int depth) {
  const auto from = Clock::now();
  for (int i = 0; i < kThrows; ++i) require(catch_from(depth) == depth + 1);
  report(name, from, kThrows);
}

int main() {
  measure("throw.near", 0);
  measure("throw.far", 9);
}
