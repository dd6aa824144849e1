// Case 39: a thread killed by TerminateThread leaves no notice, and does not stop a TLS DLL from being
// loaded.
#include "journal.h"
#include "tls_directory.h"

__declspec(dllimport) int early_value(void);

PER_THREAD(int, of_the_exe, 0x39);

static HANDLE running;

static DWORD WINAPI sleep_for_ever(void* unused) {
  MY(of_the_exe) = early_value();
  SetEvent(running);
  Sleep(INFINITE);
  return 0;
}

static DWORD WINAPI read_late(void* late_value) { return (DWORD)((int (*)(void))late_value)(); }

static void kill_one(void) {
  HANDLE victim = start_thread(sleep_for_ever, NULL);
  WaitForSingleObject(running, INFINITE);
  BOOL killed = TerminateThread(victim, 39);
  case_line(39, "TerminateThread: %u, exit code %u", killed, join(victim));
}

ENTRY() {
  running = CreateEventA(NULL, FALSE, FALSE, NULL);
  journal_keep(1);
  for (int i = 0; i < 3; ++i) kill_one();
  case_line(
      39, "THREAD_ATTACH noted: %b, THREAD_DETACH noted: %b",
      journal_position("early.tls", DLL_THREAD_ATTACH) != 0,
      journal_position("early.tls", DLL_THREAD_DETACH) || journal_position("early.main", DLL_THREAD_DETACH));
  HMODULE late = LoadLibraryA("late.dll");
  case_line(39, "loaded: %b", late != NULL);
  case_line(39, "a new thread reads %x", run_in_thread(read_late, (void*)GetProcAddress(late, "late_value")));
  case_line(39, "FreeLibrary: %u", FreeLibrary(late));
  return 0;
}
