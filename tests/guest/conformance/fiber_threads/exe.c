// Cases 66-68: fibers and the threads that run them: one moves to another thread, one outlives its thread,
// and the end of the one that runs is the end of its thread.
#include "journal.h"
#include "tls_directory.h"

__declspec(dllimport) int a_is_there(void);

PER_THREAD(int, of_the_thread, 0);

static DWORD index, slot;
static void* fiber;
static int calls;
static DWORD called_on;

static void WINAPI count(void* value) {
  ++calls;
  called_on = GetCurrentThreadId();
}

static void NTAPI exe_callback(void* module, DWORD reason, void* reserved) {
  journal_note("EXE.tls", reason);
}
TLS_CALLBACK(exe_callback, "C");

// ---- 66: from one thread to another

static void* return_to;

// A function of its own: compilers keep the address of a thread's variable across a switch (hence /GT).
__attribute__((noinline)) static int variable(void) { return MY(of_the_thread); }

static void WINAPI move(void* unused) {
  FlsSetValue(index, (void*)0x66);
  for (int turn = 1;; ++turn) {
    case_line(66, "turn %u: FLS %p, TLS slot %p, variable %x", turn, (ULONG64)FlsGetValue(index),
              (ULONG64)TlsGetValue(slot), variable());
    SwitchToFiber(return_to);
  }
}

static DWORD WINAPI run_it(void* number) {
  TlsSetValue(slot, number);
  MY(of_the_thread) = (int)(ULONG64)number;
  return_to = ConvertThreadToFiber(NULL);
  FlsSetValue(index, number);
  SwitchToFiber(fiber);
  case_line(66, "on thread %p again: FLS %p", (ULONG64)number, (ULONG64)FlsGetValue(index));
  ConvertFiberToThread();
  return 0;
}

static void migration(void) {
  index = FlsAlloc(count);
  slot = TlsAlloc();
  fiber = CreateFiber(0, move, NULL);
  run_in_thread(run_it, (void*)1);
  run_in_thread(run_it, (void*)2);
  case_line(66, "callbacks, of the two threads: %u", calls);
  DeleteFiber(fiber);
  case_line(66, "with the fiber's own, on this thread: %u, %b", calls, called_on == GetCurrentThreadId());
}

// ---- a fiber outlives the thread that it was

static void* original;
static HANDLE old_thread;

static void WINAPI end_the_thread(void* unused) {
  ConvertFiberToThread();
  ExitThread(661);
}

static DWORD WINAPI becomes_a_fiber(void* unused) {
  volatile int local = 0x661;
  original = ConvertThreadToFiber(NULL);
  SwitchToFiber(CreateFiber(0, end_the_thread, NULL));
  case_line(66, "the old thread's fiber on a new thread: its local is %x, its thread is another: %b", local,
            WaitForSingleObject(old_thread, 0) == WAIT_OBJECT_0);
  return 662;
}

static DWORD WINAPI runs_the_old_one(void* unused) {
  ConvertThreadToFiber(NULL);
  SwitchToFiber(original);
  case_line(66, "not reached");
  return 0;
}

static void outliving(void) {
  old_thread = CreateThread(NULL, 0, becomes_a_fiber, NULL, CREATE_SUSPENDED, NULL);
  ResumeThread(old_thread);
  WaitForSingleObject(old_thread, INFINITE);
  DWORD code;
  GetExitCodeThread(old_thread, &code);
  case_line(66, "the thread ended with code %u, its first fiber lives", code);
  case_line(66, "the new thread ends with what the old one's start routine returns: %u",
            run_in_thread(runs_the_old_one, NULL));
}

// ---- 67, 68: ends

static void WINAPI delete_itself(void* unused) {
  FlsSetValue(index, (void*)0x67);
  journal_keep(0);
  DeleteFiber(GetCurrentFiber());
  case_line(67, "not reached");
}
static void WINAPI return_from_it(void* unused) {}

static DWORD WINAPI switch_for_good(void* to) {
  ConvertThreadToFiber(NULL);
  FlsSetValue(index, (void*)0x670);
  SwitchToFiber(to);
  return 0;
}

static void WINAPI show(void* value) { case_line(67, "FLS callback for %p", (ULONG64)value); }

static void ends(void) {
  FlsFree(index);
  index = FlsAlloc(show);
  case_line(67, "a fiber deletes itself:");
  journal_keep(1);
  DWORD code = run_in_thread(switch_for_good, CreateFiber(0, delete_itself, NULL));
  case_line(67, "its thread's exit code: %u", code);
  journal_keep(1);
  run_in_thread(switch_for_good, CreateFiber(0, return_from_it, NULL));
  journal_keep(0);
  case_line(67, "a fiber's routine returned, and its thread ended; a is there: %b", a_is_there());
  FlsFree(index);  // the values of the fibers that those threads were
}

static void WINAPI set_and_go_back(void* unused) {
  FlsSetValue(index, (void*)0x681);
  SwitchToFiber(return_to);
}

static DWORD WINAPI exit_as_a_fiber(void* unused) {
  return_to = ConvertThreadToFiber(NULL);
  FlsSetValue(index, (void*)0x680);
  fiber = CreateFiber(0, set_and_go_back, NULL);
  SwitchToFiber(fiber);
  ExitThread(68);
}

static void exit_while_fiber(void) {
  index = FlsAlloc(count);
  calls = 0;
  journal_keep(1);
  DWORD code = run_in_thread(exit_as_a_fiber, NULL);
  case_line(68, "exit code %u, callbacks: %u, on this thread: %b", code, calls,
            called_on == GetCurrentThreadId());
  DeleteFiber(fiber);
  case_line(68, "after DeleteFiber: %u, on this thread: %b", calls, called_on == GetCurrentThreadId());
  FlsFree(index);
}

ENTRY() {
  journal_keep(1);
  migration();
  outliving();
  ends();
  exit_while_fiber();
  return 0;
}
