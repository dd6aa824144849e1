// Fibers: there and back again, and making one that never runs.
#include "bench.h"

enum { kRoundTrips = 5000000, kLives = 100000 };

static void* g_main;

static void WINAPI come_back(void* unused) {
  (void)unused;
  for (;;) SwitchToFiber(g_main);
}

void start(void) {
  g_main = ConvertThreadToFiber(NULL);
  void* fiber = CreateFiber(0, come_back, NULL);
  require(g_main != NULL && fiber != NULL);
  LONGLONG from = ticks();
  for (int i = 0; i < kRoundTrips; ++i) SwitchToFiber(fiber);
  report("round_trip", ticks() - from, kRoundTrips);
  DeleteFiber(fiber);
  from = ticks();
  for (int i = 0; i < kLives; ++i) DeleteFiber(CreateFiber(0, come_back, NULL));
  report("life", ticks() - from, kLives);
  ExitProcess(0);
}
