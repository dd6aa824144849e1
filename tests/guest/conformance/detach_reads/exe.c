// Case 43: THREAD_DETACH callbacks can read the implicit TLS of every module, whichever came first.
#include "tls_directory.h"

__declspec(dllimport) int a_value(void);
__declspec(dllimport) int b_value(void);
__declspec(dllimport) void a_set(int value);
__declspec(dllimport) void b_set(int value);
__declspec(dllimport) void set_exe_reader(int (*reader)(void));

PER_THREAD(int, value, 0xE);

static int exe_value(void) { return MY(value); }

static void NTAPI callback(void* module, DWORD reason, void* reserved) {
  if (reason == DLL_THREAD_DETACH)
    case_line(43, "EXE.tls reads EXE %x, A %x, B %x", exe_value(), a_value(), b_value());
}
TLS_CALLBACK(callback, "C");

static DWORD WINAPI worker(void* unused) {
  MY(value) = 0xE1;
  a_set(0xA1);
  b_set(0xB1);
  return 0;
}

static DWORD WINAPI worker_that_touches_nothing(void* unused) { return 0; }

ENTRY() {
  set_exe_reader(exe_value);
  run_in_thread(worker, NULL);
  run_in_thread(worker_that_touches_nothing, NULL);
  return 0;
}
