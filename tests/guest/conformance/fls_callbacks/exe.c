// Cases 48, 49, 52-56 and 60: when FLS callbacks run, on which thread, in which order, and what they see.
#include "guest.h"

enum { kIndices = 6 };
static DWORD indices[kIndices];
static DWORD case_number;
static volatile LONG calls, on_main;
static DWORD main_thread;

static void indices_with(PFLS_CALLBACK_FUNCTION callback) {
  for (int i = 0; i < kIndices; ++i) indices[i] = FlsAlloc(callback);
}
static void free_indices(void) {
  for (int i = 0; i < kIndices; ++i) FlsFree(indices[i]);
}

static void WINAPI show(void* value) { case_line(case_number, "callback for %p", (ULONG64)value); }

static void WINAPI count(void* value) {
  InterlockedIncrement(&calls);
  if (GetCurrentThreadId() == main_thread) InterlockedIncrement(&on_main);
}

static void free_runs_the_callback(void) {
  case_number = 48;
  DWORD index = FlsAlloc(show);
  FlsSetValue(index, (void*)0x48);
  case_line(48, "FlsFree: %u", FlsFree(index));
  index = FlsAlloc(show);
  case_line(48, "FlsFree without a value: %u", FlsFree(index));
}

// ---- other threads' values

static HANDLE ready, go_on;

static DWORD WINAPI set_and_wait(void* value) {
  FlsSetValue(indices[0], value);
  ReleaseSemaphore(ready, 1, NULL);
  WaitForSingleObject(go_on, INFINITE);
  return 0;
}

static void free_reaches_all_threads(void) {
  indices[0] = FlsAlloc(count);
  HANDLE threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(set_and_wait, (void*)(ULONG64)(i + 1));
  for (int i = 0; i < 3; ++i) WaitForSingleObject(ready, INFINITE);
  FlsSetValue(indices[0], (void*)4);
  FlsFree(indices[0]);
  case_line(49, "four callbacks: %u, on the thread that frees: %u", calls, on_main);
  ReleaseSemaphore(go_on, 3, NULL);
  for (int i = 0; i < 3; ++i) join(threads[i]);
  case_line(49, "after the threads' ends: %u", calls);
}

static void terminated(void) {
  indices[0] = FlsAlloc(count);
  calls = on_main = 0;
  HANDLE victim = start_thread(set_and_wait, (void*)60);
  WaitForSingleObject(ready, INFINITE);
  TerminateThread(victim, 60);
  case_line(60, "exit code %u, callbacks: %u", join(victim), calls);
  FlsFree(indices[0]);
  case_line(60, "after FlsFree: %u, on the thread that frees: %u", calls, on_main);
}

// ---- one thread's end

static DWORD WINAPI set_shuffled(void* unused) {
  static const int kOrder[] = {3, 0, 5, 1, 4};
  for (int i = 0; i < 5; ++i) FlsSetValue(indices[kOrder[i]], (void*)(ULONG64)(kOrder[i] + 1));
  return 0;
}

static void ascending(void) {
  case_number = 52;
  indices_with(show);
  run_in_thread(set_shuffled, NULL);
  free_indices();
}

static void WINAPI set_others(void* value) {
  case_line(53, "callback for %p", (ULONG64)value);
  if (value != (void*)3) return;
  FlsSetValue(indices[0], (void*)10);
  FlsSetValue(indices[2], (void*)11);
  FlsSetValue(indices[4], (void*)12);
}
static DWORD WINAPI set_the_middle(void* unused) {
  FlsSetValue(indices[2], (void*)3);
  return 0;
}
static void cross_set(void) {
  indices_with(set_others);
  run_in_thread(set_the_middle, NULL);
  free_indices();
}

static DWORD silent;
static void WINAPI look(void* value) {
  case_line(54, "callback for %p: it reads %p, before it %p, after it %p, without callback %p",
            (ULONG64)value, (ULONG64)FlsGetValue(indices[(ULONG64)value]),
            (ULONG64)FlsGetValue(indices[(ULONG64)value - 1]),
            (ULONG64)FlsGetValue(indices[(ULONG64)value + 1]), (ULONG64)FlsGetValue(silent));
}
static DWORD WINAPI set_two_and_silent(void* unused) {
  FlsSetValue(silent, (void*)0x54);
  FlsSetValue(indices[2], (void*)2);
  FlsSetValue(indices[3], (void*)3);
  return 0;
}
static void visible(void) {
  silent = FlsAlloc(NULL);
  indices_with(look);
  run_in_thread(set_two_and_silent, NULL);
  free_indices();
  FlsFree(silent);
}

static DWORD fresh;
static void WINAPI never(void* value) { case_line(55, "called back for the new index"); }
static void WINAPI allocate(void* value) {
  fresh = FlsAlloc(never);
  case_line(55, "callback for %p: new index above: %b, set: %u", (ULONG64)value, fresh > indices[5],
            FlsSetValue(fresh, (void*)0x55));
}
static DWORD WINAPI set_one(void* unused) {
  FlsSetValue(indices[1], (void*)1);
  return 0;
}
static void alloc_in_callback(void) {
  indices_with(allocate);
  run_in_thread(set_one, NULL);
  free_indices();
  case_line(55, "FlsFree of it: %u", FlsFree(fresh));
}

static void WINAPI free_third(void* value) {
  case_line(56, "callback for %p", (ULONG64)value);
  if (value == (void*)1) case_line(56, "FlsFree of 4's: %u", FlsFree(indices[3]));
}
static void free_in_callback(void) {
  case_number = 56;
  indices_with(free_third);
  run_in_thread(set_shuffled, NULL);
  free_indices();
}

ENTRY() {
  main_thread = GetCurrentThreadId();
  ready = CreateSemaphoreA(NULL, 0, 10, NULL);
  go_on = CreateSemaphoreA(NULL, 0, 10, NULL);
  free_runs_the_callback();
  free_reaches_all_threads();
  ascending();
  cross_set();
  visible();
  alloc_in_callback();
  free_in_callback();
  terminated();
  return 0;
}
