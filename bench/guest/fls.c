// Fiber-local values: reading and writing them, an index's life while other threads live that have values,
// and what a callback costs when a thread ends.
#include "bench.h"

enum { kIterations = 20000000, kLives = 2000, kCallbacks = 1000, kEnds = 200 };

static HANDLE g_end;

static void values(DWORD index, const char* get, const char* set) {
  LONGLONG from = ticks();
  for (int i = 0; i < kIterations; ++i) FlsSetValue(index, &index);
  report(set, ticks() - from, kIterations);
  unsigned wrong = 0;
  from = ticks();
  for (int i = 0; i < kIterations; ++i) wrong += FlsGetValue(index) != &index;
  report(get, ticks() - from, kIterations);
  require(wrong == 0);
}

static DWORD WINAPI idle(void* index) {
  require(FlsSetValue(*(DWORD*)index, &g_end));
  return WaitForSingleObject(g_end, INFINITE);
}

static void lives(const char* name) {
  const LONGLONG from = ticks();
  for (int i = 0; i < kLives; ++i) require(FlsFree(FlsAlloc(NULL)));
  report(name, ticks() - from, kLives);
}

static DWORD g_indices[kCallbacks];
static LONGLONG g_pass, g_from;
static volatile int g_count;

// The pass is ascending: the first one starts the clock, the last one stops it.
static void WINAPI first(void* value) {
  (void)value;
  g_from = ticks();
}
static void WINAPI count(void* value) {
  (void)value;
  ++g_count;
}
static void WINAPI last(void* value) {
  (void)value;
  g_pass += ticks() - g_from;
}

static DWORD WINAPI set_all(void* unused) {
  for (int i = 0; i < kCallbacks; ++i) FlsSetValue(g_indices[i], &g_indices);
  return unused != NULL;
}

static void ends(void) {
  for (int i = 0; i < kCallbacks; ++i)
    g_indices[i] = FlsAlloc(i == 0 ? first : i == kCallbacks - 1 ? last : count);
  for (int i = 0; i < kEnds; ++i) {
    HANDLE thread = CreateThread(NULL, 0, set_all, NULL, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
  }
  require(g_count == kEnds * (kCallbacks - 2));
  report("callback", g_pass, (unsigned long long)kEnds * (kCallbacks - 1));
  void (*volatile direct)(void*) = count;
  const LONGLONG from = ticks();
  for (int i = 0; i < kEnds * kCallbacks; ++i) direct(&g_indices);
  report("direct", ticks() - from, (unsigned long long)kEnds * kCallbacks);
}

void start(void) {
  DWORD index = FlsAlloc(NULL);
  values(index, "get.fls", "set.fls");
  lives("fls.1");
  g_end = CreateEventA(NULL, TRUE, FALSE, NULL);
  ends();
  for (unsigned threads = 1; threads < 1000; ++threads) {
    HANDLE thread = CreateThread(NULL, 65536, idle, &index, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    require(thread != NULL);
    CloseHandle(thread);
  }
  lives("fls.1000");
  ExitProcess(0);
}
