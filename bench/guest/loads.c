// Load of a TLS DLL of 64 bytes while so many threads live: loads THREADS.
#include "bench.h"

enum { kLibraries = 20, kRounds = 5 };

static HANDLE g_end;
static volatile LONG g_alive = 1;

static DWORD WINAPI idle(void* unused) {
  (void)unused;
  InterlockedIncrement(&g_alive);
  return WaitForSingleObject(g_end, INFINITE);
}

void start(void) {
  const unsigned threads = argument();
  g_end = CreateEventA(NULL, TRUE, FALSE, NULL);
  for (unsigned i = 1; i < threads; ++i) {
    HANDLE thread = CreateThread(NULL, 65536, idle, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    require(thread != NULL);
    CloseHandle(thread);
  }
  while (g_alive != (LONG)threads) Sleep(1);
  HMODULE libraries[kLibraries];
  LONGLONG elapsed = 0;
  for (int round = 0; round <= kRounds; ++round) {
    const LONGLONG from = ticks();
    for (unsigned i = 0; i < kLibraries; ++i) {
      char name[] = "tls_64_000.dll";
      append_number(name + 7, i, 3);
      libraries[i] = LoadLibraryA(name);
      require(libraries[i] != NULL);
    }
    if (round != 0) elapsed += ticks() - from;  // the first brings the files into the cache
    for (unsigned i = 0; i < kLibraries; ++i) require(FreeLibrary(libraries[i]));
  }
  char name[32] = "load";
  append_part(name + 4, threads);
  report(name, elapsed, kLibraries * kRounds);
  ExitProcess(0);
}
