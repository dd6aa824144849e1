// B is below A: it finds A's reader by name, and the EXE hands in its own.
#include "tls_directory.h"

static int (*read_exe)(void);

PER_THREAD(int, value, 0xB);

__declspec(dllexport) int b_value(void) { return MY(value); }
__declspec(dllexport) void b_set(int value_now) { MY(value) = value_now; }
__declspec(dllexport) void set_exe_reader(int (*reader)(void)) { read_exe = reader; }
__declspec(dllexport) int exe_reader(void) { return read_exe(); }

static int a_value_by_name(void) {
  int (*a_value)(void) = (void*)GetProcAddress(GetModuleHandleA("a.dll"), "a_value");
  return a_value();
}

static void show(const char* who, DWORD reason) {
  if (reason == DLL_THREAD_DETACH)
    case_line(43, "%s reads EXE %x, A %x, B %x", who, exe_reader(), a_value_by_name(), b_value());
}

static void NTAPI callback(void* module, DWORD reason, void* reserved) { show("B.tls", reason); }
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  show("B.main", reason);
  return TRUE;
}
