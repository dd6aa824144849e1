// C++ exceptions as mingw throws them.
#include "../throw.hpp"

#include "bench.h"

static void measure(const char* name, int depth) {
  const LONGLONG from = ticks();
  for (int i = 0; i < kThrows; ++i) require(catch_from(depth) == depth + 1);
  report(name, ticks() - from, kThrows);
}

int main() {
  measure("throw.near", 0);
  measure("throw.far", 9);
}
