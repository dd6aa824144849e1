// What both modules of the native thread_local test print.
#pragma once

#include <cstdio>

struct Noted {
  const char* name;
  bool used = false;
  explicit constexpr Noted(const char* n) : name(n) {}
  ~Noted() {
    if (used) std::printf("  %s goes\n", name);
  }
};
