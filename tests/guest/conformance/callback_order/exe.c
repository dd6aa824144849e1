// Cases 21-24: the order of notifications, of an EXE and two DLLs of which A imports B.
#include "journal.h"
#include "tls_directory.h"

__declspec(dllimport) int a_and_b(void);

static HANDLE thread_being_watched, it_is_watched;

static void NTAPI exe_callback(void* module, DWORD reason, void* reserved) {
  if (reason == DLL_THREAD_DETACH)
    line("the thread's handle is signalled: %b",
         WaitForSingleObject(thread_being_watched, 0) == WAIT_OBJECT_0);
  journal_note("EXE.tls", reason);
}
TLS_CALLBACK(exe_callback, "C");

// The thread does not end before its handle is where exe_callback looks for it.
static void watch_thread(LPTHREAD_START_ROUTINE routine) {
  it_is_watched = CreateEventA(NULL, TRUE, FALSE, NULL);
  thread_being_watched = start_thread(routine, NULL);
  SetEvent(it_is_watched);
  WaitForSingleObject(thread_being_watched, INFINITE);
}

static DWORD WINAPI note_the_start(void* unused) {
  WaitForSingleObject(it_is_watched, INFINITE);
  journal_note("the start routine", DLL_THREAD_ATTACH);
  return 0;
}

// The order between A and B at THREAD_ATTACH is not certain on Windows, and not shown.
static void thread_attach(void) {
  journal_keep(1);
  watch_thread(note_the_start);
  unsigned a_tls = journal_position("A.tls", DLL_THREAD_ATTACH),
           a = journal_position("A.main", DLL_THREAD_ATTACH);
  unsigned b_tls = journal_position("B.tls", DLL_THREAD_ATTACH),
           b = journal_position("B.main", DLL_THREAD_ATTACH);
  unsigned exe = journal_position("EXE.tls", DLL_THREAD_ATTACH);
  case_line(22, "A.tls directly before A.main: %b", a_tls && a_tls + 1 == a);
  case_line(22, "B.tls directly before B.main: %b", b_tls && b_tls + 1 == b);
  case_line(22, "EXE.tls after all DLLs: %b", exe > a && exe > b);
  case_line(22, "the start routine last: %b",
            journal_position("the start routine", DLL_THREAD_ATTACH) == exe + 1);
  journal_keep(0);
}

static DWORD WINAPI only_detach_is_shown(void* unused) {
  WaitForSingleObject(it_is_watched, INFINITE);
  journal_keep(0);
  return 0;
}

static void thread_detach(void) {
  case_line(23, "a thread ends:");
  journal_keep(1);
  watch_thread(only_detach_is_shown);
  case_line(23, "the thread has ended");
}

ENTRY() {
  case_line(21, "the entry point, after the attach notifications above");
  case_line(21, "both DLLs answer: %b", a_and_b() == 3);
  thread_attach();
  thread_detach();
  case_line(24, "the process ends:");
  return 0;
}
