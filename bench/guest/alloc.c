// TlsAlloc and TlsFree while other threads live: freeing a slot clears it in every one of them.
#include "bench.h"

enum { kIterations = 2000 };

static HANDLE g_end;

static DWORD WINAPI idle(void* unused) {
  (void)unused;
  return WaitForSingleObject(g_end, INFINITE);
}

static void live(unsigned* threads, unsigned wanted) {
  for (; *threads < wanted; ++*threads) {
    HANDLE thread = CreateThread(NULL, 65536, idle, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    require(thread != NULL);
    CloseHandle(thread);
  }
}

static void measure(const char* name) {
  const LONGLONG from = ticks();
  for (int i = 0; i < kIterations; ++i) require(TlsFree(TlsAlloc()));
  report(name, ticks() - from, kIterations);
}

void start(void) {
  g_end = CreateEventA(NULL, TRUE, FALSE, NULL);
  unsigned threads = 1;
  measure("alloc.1");
  live(&threads, 64);
  measure("alloc.64");
  live(&threads, 1000);
  measure("alloc.1000");
  ExitProcess(0);
}
