// Twin of ../host/calls.cpp: the same two loops over plain function pointers.
#include "bench.hpp"

constexpr int kIterations = 10'000'000;

[[gnu::noipa]] static int add(int a, int b) { return a + b; }

[[gnu::noipa]] static int repeat(int (*function)(int), int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += function(i);
  return sum;
}

int main() {
  int (*volatile pointer)(int, int) = add;
  unsigned sum = 0;
  auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) sum += static_cast<unsigned>(pointer(i, 1));
  report("call.into_guest", from, kIterations);
  from = Clock::now();
  sum += static_cast<unsigned>(repeat([](int i) { return i & 1; }, kIterations));
  report("call.into_host", from, kIterations);
  require(sum != 0);
}
