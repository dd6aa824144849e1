// C++ exceptions, by frames with something to clean up: the same for the host's compiler and for mingw's.
#pragma once

enum { kThrows = 200000 };

struct Counted {
  int& count;
  ~Counted() { ++count; }
};

[[gnu::noinline]] inline void throw_from(int depth, int& count) {
  const Counted counted{count};
  if (depth == 0) throw depth;
  throw_from(depth - 1, count);
  asm volatile("");
}

/// How many frames were cleaned up: one more than `depth`.
[[gnu::noinline]] inline int catch_from(int depth) {
  int count = 0;
  try {
    throw_from(depth, count);
  } catch (int) {
    return count;
  }
  return 0;
}
