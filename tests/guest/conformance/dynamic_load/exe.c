// Cases 26, 27 and 33: a TLS DLL comes and goes while threads run.
#include "journal.h"

static int (*late_value)(void);

static HANDLE running, go;

static DWORD WINAPI read_when_told(void* unused) {
  SetEvent(running);
  WaitForSingleObject(go, INFINITE);
  return (DWORD)late_value();
}

static DWORD WINAPI read_at_once(void* unused) { return (DWORD)late_value(); }

static DWORD WINAPI wait_only(void* event) { return WaitForSingleObject(event, INFINITE); }

static void unload_with_live_threads(HMODULE late) {
  HANDLE threads[3], leave = CreateEventA(NULL, TRUE, FALSE, NULL);
  journal_keep(1);
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(wait_only, leave);
  while (journal_length() < 6) Sleep(1);  // each has had its two THREAD_ATTACH
  journal_keep(0);
  case_line(33, "three threads live; unloading");
  case_line(33, "FreeLibrary: %u", FreeLibrary(late));
  case_line(33, "the DLL is gone: %b", GetModuleHandleA("late.dll") == NULL);
  SetEvent(leave);
  for (int i = 0; i < 3; ++i) join(threads[i]);
  case_line(33, "the threads have ended");
}

ENTRY() {
  running = CreateEventA(NULL, TRUE, FALSE, NULL);
  go = CreateEventA(NULL, TRUE, FALSE, NULL);
  HANDLE older = start_thread(read_when_told, NULL);
  WaitForSingleObject(running, INFINITE);
  case_line(26, "a thread waits; loading");
  HMODULE late = LoadLibraryA("late.dll");
  late_value = (void*)GetProcAddress(late, "late_value");
  case_line(26, "loaded: %b, its export found: %b", late != NULL, late_value != NULL);
  SetEvent(go);
  case_line(26, "the older thread reads %x", join(older));
  case_line(27, "a younger thread starts");
  case_line(27, "the younger thread reads %x", run_in_thread(read_at_once, NULL));
  unload_with_live_threads(late);
  return 0;
}
