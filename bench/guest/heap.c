// HeapAlloc and HeapFree: one block at a time, a thousand live ones, four threads at once; in the process
// heap and in a heap of the program's own, which is what Wine's msvcrt gives malloc.
#include "bench.h"

enum { kIterations = 1000000, kLive = 1000, kThreads = 4 };

static HANDLE g_heap;

static void pairs(HANDLE heap, SIZE_T size, int iterations) {
  for (int i = 0; i < iterations; ++i) HeapFree(heap, 0, HeapAlloc(heap, 0, size));
}

static void measure_pairs(const char* name, HANDLE heap, SIZE_T size) {
  pairs(heap, size, kIterations / 10);
  const LONGLONG from = ticks();
  pairs(heap, size, kIterations);
  report(name, ticks() - from, kIterations);
}

static void measure_live(const char* name, HANDLE heap, SIZE_T size) {
  static void* blocks[kLive];
  const LONGLONG from = ticks();
  for (int turn = 0; turn < kIterations / kLive; ++turn) {
    for (int i = 0; i < kLive; ++i) require((blocks[i] = HeapAlloc(heap, 0, size)) != NULL);
    for (int i = 0; i < kLive; ++i) HeapFree(heap, 0, blocks[i]);
  }
  report(name, ticks() - from, kIterations);
}

static DWORD WINAPI work(void* unused) {
  (void)unused;
  pairs(g_heap, 64, kIterations);
  return 0;
}

static void measure_threads(const char* name) {
  HANDLE threads[kThreads];
  const LONGLONG from = ticks();
  for (int i = 0; i < kThreads; ++i)
    require((threads[i] = CreateThread(NULL, 0, work, NULL, 0, NULL)) != NULL);
  require(WaitForMultipleObjects(kThreads, threads, TRUE, INFINITE) == WAIT_OBJECT_0);
  report(name, ticks() - from, kThreads * kIterations);
}

void start(void) {
  g_heap = HeapCreate(0, 0, 0);
  require(g_heap != NULL);
  measure_pairs("heap.16", GetProcessHeap(), 16);
  measure_pairs("heap.own", g_heap, 16);
  measure_pairs("heap.1000", GetProcessHeap(), 1000);
  measure_pairs("heap.64k", GetProcessHeap(), 65536);
  measure_live("heap.live", GetProcessHeap(), 64);
  measure_threads("heap.threads");
  ExitProcess(0);
}
