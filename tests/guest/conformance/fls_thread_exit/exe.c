// Cases 50, 51 and 57: FLS callbacks at the end of a thread come before every THREAD_DETACH, and hold no
// loader lock; what is set afterwards is never called back for.
#include "journal.h"
#include "tls_directory.h"

__declspec(dllimport) void a_try_to_join(int on);

static DWORD index, watched;

static void NTAPI exe_callback(void* module, DWORD reason, void* reserved) {
  journal_note("EXE.tls", reason);
  if (reason != DLL_THREAD_DETACH || GetCurrentThreadId() != watched) return;
  SetLastError(1234);
  void* value = FlsGetValue(index);
  DWORD error = GetLastError();
  case_line(57, "in THREAD_DETACH: %p, last error %u, set: %u", (ULONG64)value, error,
            FlsSetValue(index, (void*)0x57));
}
TLS_CALLBACK(exe_callback, "C");

static void WINAPI on_end(void* value) { case_line(50, "FLS callback for %p", (ULONG64)value); }

static DWORD WINAPI set(void* value) {
  FlsSetValue(index, value);
  watched = GetCurrentThreadId();
  journal_keep(0);
  return 0;
}

static DWORD WINAPI do_nothing(void* unused) { return 51; }

// Everything that needs the loader lock: a new module, an old one, a thread that starts and one that ends.
static void WINAPI join_a_thread(void* value) {
  HMODULE late = LoadLibraryA("late.dll");
  case_line(51, "loaded: %b, found: %b", late != NULL, GetModuleHandleA("late.dll") == late);
  case_line(51, "freed: %b", FreeLibrary(late));
  // Under Wine this would wait for ever.
  BOOL wine = GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
  HANDLE thread = start_thread(do_nothing, NULL);
  case_line(51, "joined in an FLS callback: %b",
            WaitForSingleObject(thread, wine ? 500 : INFINITE) == WAIT_OBJECT_0);
  CloseHandle(thread);
}

static DWORD WINAPI set_quietly(void* value) {
  FlsSetValue(index, value);
  return 0;
}

ENTRY() {
  index = FlsAlloc(on_end);
  line("a thread ends:");
  journal_keep(1);
  run_in_thread(set, (void*)0x50);
  journal_keep(1);
  FlsFree(index);

  index = FlsAlloc(join_a_thread);
  run_in_thread(set_quietly, (void*)0x51);
  FlsFree(index);
  a_try_to_join(1);
  run_in_thread(set_quietly, NULL);
  a_try_to_join(0);
  return 0;
}
