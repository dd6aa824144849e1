// Creation and join of a thread with TLS DLLs loaded: births BYTES COUNT TOUCHED. The DLLs are
// tls_BYTES_NNN.dll; TOUCHED 1: the thread writes to each one's block; 2: the DLLs are those that want to be
// notified.
#include "bench.h"

typedef void (*Touch)(void);

static Touch g_touch[100];
static unsigned g_count;

static DWORD WINAPI nothing(void* unused) {
  (void)unused;
  return 0;
}

static DWORD WINAPI touch_all(void* unused) {
  (void)unused;
  for (unsigned i = 0; i < g_count; ++i) g_touch[i]();
  return 0;
}

static void birth(LPTHREAD_START_ROUTINE routine) {
  HANDLE thread = CreateThread(NULL, 0, routine, NULL, 0, NULL);
  require(thread != NULL && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CloseHandle(thread);
}

void start(void) {
  unsigned wanted[3] = {0, 0, 0};
  last_numbers(wanted, 3);
  const unsigned bytes = wanted[0], touched = wanted[2];
  g_count = wanted[1];
  require(g_count <= 100);
  for (unsigned i = 0; i < g_count; ++i) {
    char name[32] = "tls_", *end = append_number(name + 4, bytes, 1);
    *end++ = touched == 2 ? 'n' : '_';
    end = append_number(end, i, 3);
    for (const char* rest = ".dll"; (*end++ = *rest) != 0; ++rest) {
    }
    HMODULE library = LoadLibraryA(name);
    require(library != NULL);
    g_touch[i] = (Touch)(void*)GetProcAddress(library, "touch");
    require(g_touch[i] != NULL);
  }
  const LPTHREAD_START_ROUTINE routine = touched == 1 ? touch_all : nothing;
  birth(routine);
  LARGE_INTEGER frequency;
  QueryPerformanceFrequency(&frequency);
  unsigned births = 0;
  const LONGLONG from = ticks();
  do birth(routine);
  while (++births < 500 && (births < 3 || ticks() - from < frequency.QuadPart / 4));
  char name[48] = "birth";
  append_part(append_part(append_part(name + 5, bytes), g_count), touched);
  report(name, ticks() - from, births);
  ExitProcess(0);
}
