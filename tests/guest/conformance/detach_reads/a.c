#include "tls_directory.h"

__declspec(dllimport) int b_value(void);
__declspec(dllimport) int exe_reader(void);

PER_THREAD(int, value, 0xA);

__declspec(dllexport) int a_value(void) { return MY(value); }
__declspec(dllexport) void a_set(int value_now) { MY(value) = value_now; }

static void show(const char* who, DWORD reason) {
  if (reason == DLL_THREAD_DETACH)
    case_line(43, "%s reads EXE %x, A %x, B %x", who, exe_reader(), a_value(), b_value());
}

static void NTAPI callback(void* module, DWORD reason, void* reserved) { show("A.tls", reason); }
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  show("A.main", reason);
  return TRUE;
}
