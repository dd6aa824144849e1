// Threads alive at once: alive THREADS DLLS. When it has them all it loads so many TLS DLLs of 64 bytes. Says
// "ready" when it has one thread and when it has everything, each time waiting for a line, so that whoever
// runs it can look at the process from outside.
#include "bench.h"

static HANDLE g_end;
static volatile LONG g_alive = 1;

static DWORD WINAPI idle(void* unused) {
  (void)unused;
  InterlockedIncrement(&g_alive);
  return WaitForSingleObject(g_end, INFINITE);
}

static void pause_here(void) {
  DWORD done;
  char answer;
  WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), "ready\n", 6, &done, NULL);
  ReadFile(GetStdHandle(STD_INPUT_HANDLE), &answer, 1, &done, NULL);
}

void start(void) {
  unsigned wanted[2] = {0, 0};
  last_numbers(wanted, 2);
  const unsigned threads = wanted[0];
  g_end = CreateEventA(NULL, TRUE, FALSE, NULL);
  pause_here();
  for (unsigned i = 1; i < threads; ++i) {
    HANDLE thread = CreateThread(NULL, 65536, idle, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    require(thread != NULL);
    CloseHandle(thread);
  }
  while (g_alive != (LONG)threads) Sleep(1);
  for (unsigned i = 0; i < wanted[1]; ++i) {
    char name[] = "tls_64_000.dll";
    append_number(name + 7, i, 3);
    require(LoadLibraryA(name) != NULL);
  }
  pause_here();
  ExitProcess(0);
}
