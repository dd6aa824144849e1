// TlsGetValue and TlsSetValue, in the TEB's own 64 slots and in the expansion array. The loops are unrolled:
// a jump back after each call would cost about a third of what the call does.
#include "bench.h"

enum { kIterations = 2000000 };

static void measure(DWORD slot, const char* get, const char* set) {
  LONGLONG from = ticks();
#pragma clang loop unroll_count(8)
  for (int i = 0; i < kIterations; ++i) TlsSetValue(slot, &slot);
  report(set, ticks() - from, kIterations);
  unsigned wrong = 0;
  from = ticks();
#pragma clang loop unroll_count(8)
  for (int i = 0; i < kIterations; ++i) wrong += TlsGetValue(slot) != &slot;
  report(get, ticks() - from, kIterations);
  require(wrong == 0);
}

void start(void) {
  DWORD slot = TlsAlloc();
  require(slot < 64);
  measure(slot, "get.low", "set.low");
  while (slot < 64) slot = TlsAlloc();
  require(slot < 1088);
  measure(slot, "get.high", "set.high");
  ExitProcess(0);
}
