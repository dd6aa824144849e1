// Twin of guest/access.c: thread_local in the program, and in a shared library by a function of that library.
#include "bench.hpp"

constexpr int kIterations = 2'000'000;

extern "C" void bump_in_library();
static thread_local volatile unsigned g_counter = 1;

[[gnu::noinline]] static void bump() {
  g_counter = g_counter + 1;
  asm volatile("");  // keeps the call
}

int main() {
  auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) bump();
  report("access.exe", from, kIterations);
  from = Clock::now();
  for (int i = 0; i < kIterations; ++i) bump_in_library();
  report("access.dll", from, kIterations);
}
