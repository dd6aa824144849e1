// TlsAlloc and TlsFree while so many threads live: cells THREADS. The slot is one that no thread has set, or
// (cell.set) one that every thread has set: freeing it makes it NULL in all of them. That can be done once,
// unless there is one thread only, which sets them again.
#include "bench.h"

enum { kPairs = 2000, kSet = 40, kPassesAlone = 100 };

static HANDLE g_end;
static volatile LONG g_alive;
static DWORD g_slots[kSet];

static void set_all(void) {
  for (int i = 0; i < kSet; ++i) TlsSetValue(g_slots[i], g_slots);
  InterlockedIncrement(&g_alive);
}

static DWORD WINAPI idle(void* unused) {
  (void)unused;
  set_all();
  return WaitForSingleObject(g_end, INFINITE);
}

static void report_as(const char* kind, unsigned threads, LONGLONG elapsed, unsigned count) {
  char name[32] = "cell.";
  char* end = name + 5;
  while (*kind != 0) *end++ = *kind++;
  append_part(end, threads);
  report(name, elapsed, count);
}

void start(void) {
  const unsigned threads = argument();
  for (int i = 0; i < kSet; ++i) require((g_slots[i] = TlsAlloc()) < 64);
  g_end = CreateEventA(NULL, TRUE, FALSE, NULL);
  set_all();
  for (unsigned i = 1; i < threads; ++i) {
    HANDLE thread = CreateThread(NULL, 65536, idle, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    require(thread != NULL);
    CloseHandle(thread);
  }
  while (g_alive != (LONG)threads) Sleep(1);
  const int passes = threads == 1 ? kPassesAlone : 1;
  LONGLONG elapsed = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const LONGLONG from = ticks();
    for (int i = 0; i < kSet; ++i) {
      require(TlsFree(g_slots[i]));
      require(TlsAlloc() == g_slots[i]);
    }
    elapsed += ticks() - from;
    for (int i = 0; i < kSet; ++i) TlsSetValue(g_slots[i], g_slots);
  }
  report_as("set", threads, elapsed, kSet * passes);
  const LONGLONG from = ticks();
  for (int i = 0; i < kPairs; ++i) require(TlsFree(TlsAlloc()));
  report_as("unset", threads, ticks() - from, kPairs);
  ExitProcess(0);
}
