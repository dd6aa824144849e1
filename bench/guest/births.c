// Creation and join of a thread with TLS DLLs loaded: births BYTES COUNT TOUCHED. The DLLs are
// tls_BYTES_NNN.dll; TOUCHED 1: the thread writes to each one's block; 2: the DLLs are those that want to be
// notified, and how long it takes from telling the first to telling the last is measured too.
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

// Births are told to the modules in the order of their loading, deaths the other way round.
static LONGLONG g_first_told, g_last_told, g_telling;

static void tell_first(DWORD reason) {
  g_first_told = ticks();
  if (reason == DLL_THREAD_DETACH) g_telling += g_first_told - g_last_told;
}

static void tell_last(DWORD reason) {
  g_last_told = ticks();
  if (reason == DLL_THREAD_ATTACH) g_telling += g_last_told - g_first_told;
}

static void listen_to(HMODULE library, void (*listener)(DWORD)) {
  void (**tell)(DWORD) = (void*)GetProcAddress(library, "g_tell");
  require(tell != NULL);
  *tell = listener;
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
    if (touched == 2 && i == 0) listen_to(library, tell_first);
    if (touched == 2 && i == g_count - 1) listen_to(library, tell_last);
  }
  const LPTHREAD_START_ROUTINE routine = touched == 1 ? touch_all : nothing;
  birth(routine);
  g_telling = 0;
  LARGE_INTEGER frequency;
  QueryPerformanceFrequency(&frequency);
  unsigned births = 0;
  const LONGLONG from = ticks();
  do birth(routine);
  while (++births < 100 && (births < 3 || ticks() - from < frequency.QuadPart / 20));
  char name[48] = "birth";
  append_part(append_part(append_part(name + 5, bytes), g_count), touched);
  report(name, ticks() - from, births);
  if (touched == 2) {
    char told[32] = "told";
    append_part(told + 4, g_count);
    report(told, g_telling, 2ull * births * (g_count - 1));
  }
  ExitProcess(0);
}
