// What comes to a standstill, and what only looks like it: the program is told which by name.
//
// Each scenario of the first kind ends in a circle that is known; the report, not the program, is what the
// test reads (reports/<scenario>.txt). Those of the second kind come close and get by: they say so and end.
// Whatever the order in which threads run, the same circle closes, or none: each step of one thread that
// another must have seen is signalled by an event before.
#include "../guest.h"
#include "scenario.h"

static CRITICAL_SECTION g_first, g_second;
static SRWLOCK g_srw = SRWLOCK_INIT;
static CONDITION_VARIABLE g_condition = CONDITION_VARIABLE_INIT;
static HANDLE g_mutex, g_other_mutex, g_event;
static HANDLE g_ready, g_go;  // two steps that threads tell each other of; set by one, seen by one
static HANDLE g_main;
static volatile LONG g_word;
struct Scenario g_scenario = {0};

// No function: a report names who calls.
#define wait(object) WaitForSingleObject(object, INFINITE)
static HANDLE start(LPTHREAD_START_ROUTINE routine) { return start_thread(routine, NULL); }
static HANDLE new_event(void) { return CreateEventA(NULL, FALSE, FALSE, NULL); }

// ---- circles
// -----------------------------------------------------------------------------------------------

// Two take two sections, each the other's first.
static DWORD WINAPI second_then_first(void* unused) {
  EnterCriticalSection(&g_second);
  SetEvent(g_ready);
  EnterCriticalSection(&g_first);
  return 0;
}
static void two_sections(void) {
  EnterCriticalSection(&g_first);
  start(second_then_first);
  wait(g_ready);
  EnterCriticalSection(&g_second);
}

static DWORD WINAPI mutex_then_srw(void* unused) {
  wait(g_mutex);
  SetEvent(g_ready);
  AcquireSRWLockExclusive(&g_srw);
  return 0;
}
static void srw_and_mutex(void) {
  AcquireSRWLockExclusive(&g_srw);
  start(mutex_then_srw);
  wait(g_ready);
  wait(g_mutex);
}

// Three in a row.
static DWORD WINAPI second_then_mutex(void* unused) {
  EnterCriticalSection(&g_second);
  SetEvent(g_ready);
  wait(g_mutex);
  return 0;
}
static DWORD WINAPI mutex_then_first(void* unused) {
  wait(g_mutex);
  SetEvent(g_ready);
  EnterCriticalSection(&g_first);
  return 0;
}
static void three_way(void) {
  EnterCriticalSection(&g_first);
  start(mutex_then_first);
  wait(g_ready);
  start(second_then_mutex);
  wait(g_ready);
  EnterCriticalSection(&g_second);
}

// A join under a lock that the other needs.
static DWORD WINAPI needs_first(void* unused) {
  EnterCriticalSection(&g_first);
  LeaveCriticalSection(&g_first);
  return 0;
}
static void join_under_section(void) {
  EnterCriticalSection(&g_first);
  wait(start(needs_first));
}

static DWORD WINAPI join_main(void* unused) {
  wait(g_main);
  return 0;
}
static void join_each_other(void) { wait(start(join_main)); }

static void join_itself(void) { wait(g_main); }

static void srw_twice(void) {
  AcquireSRWLockExclusive(&g_srw);
  AcquireSRWLockExclusive(&g_srw);
}

static void srw_upgrade(void) {  // the writer asks to read
  AcquireSRWLockExclusive(&g_srw);
  AcquireSRWLockShared(&g_srw);
}

static DWORD WINAPI other_mutex_then_mutex(void* unused) {
  wait(g_other_mutex);
  SetEvent(g_ready);
  HANDLE both[] = {g_event, g_mutex};
  WaitForMultipleObjects(2, both, TRUE, INFINITE);
  return 0;
}
static void wait_for_all(void) {  // the event is there, the mutex is not: all or nothing
  wait(g_mutex);
  SetEvent(g_event);
  start(other_mutex_then_mutex);
  wait(g_ready);
  wait(g_other_mutex);
}

// The loader lock. The DLL's DllMain does what `g_scenario` says.
static DWORD WINAPI do_nothing(void* unused) { return 0; }
static void give_scenario(HMODULE dll) {
  void (*take)(struct Scenario*) = (void*)GetProcAddress(dll, "take_scenario");
  take(&g_scenario);
}
static void in_dll(void (*step)(void)) {
  g_scenario.step = step;
  HMODULE dll = LoadLibraryA("dll.dll");
  give_scenario(dll);
  FreeLibrary(dll);  // DllMain, PROCESS_DETACH
}

static void join_in_step(void) { wait(start(do_nothing)); }
static void join_in_dllmain(void) { in_dll(join_in_step); }

static DWORD WINAPI say_ready(void* unused) {
  SetEvent(g_ready);
  return 0;
}
static void await_start_in_step(void) {
  start(say_ready);
  wait(g_ready);
}
static void start_in_dllmain(void) { in_dll(await_start_in_step); }

static DWORD WINAPI first_then_load(void* unused) {
  EnterCriticalSection(&g_first);
  SetEvent(g_ready);
  wait(g_go);
  GetModuleHandleA("kernel32.dll");
  LeaveCriticalSection(&g_first);
  return 0;
}
static void first_in_step(void) {
  SetEvent(g_go);
  EnterCriticalSection(&g_first);
}
static void section_in_dllmain(void) {
  start(first_then_load);
  wait(g_ready);
  in_dll(first_in_step);
}

// A thread that ends cannot: it needs the loader lock for THREAD_DETACH.
static DWORD WINAPI end_after_go(void* unused) {
  SetEvent(g_ready);
  wait(g_go);
  return 0;
}
static HANDLE g_thread;
static void join_ending_in_step(void) {
  SetEvent(g_go);
  wait(g_thread);
}
static void end_in_dllmain(void) {
  g_thread = start(end_after_go);
  wait(g_ready);
  in_dll(join_ending_in_step);
}

// An FLS callback runs under the locks of who frees the index: here the loader lock.
static DWORD g_index;
static void NTAPI join_in_callback(void* value) {
  HANDLE thread = start(do_nothing);
  wait(thread);
}
static void free_index_in_step(void) { FlsFree(g_index); }
static void fls_callback_in_dllmain(void) {
  g_index = FlsAlloc(join_in_callback);
  FlsSetValue(g_index, &g_index);
  in_dll(free_index_in_step);
}

// FlsFree waits until the callbacks of its index that are under way have returned; here they cannot.
static DWORD WINAPI end_with_value(void* unused) {
  FlsSetValue(g_index, &g_index);
  return 0;
}
static void NTAPI load_in_callback(void* value) {
  SetEvent(g_ready);
  wait(g_go);
  GetModuleHandleA("kernel32.dll");
}
static void free_after_go_in_step(void) {
  SetEvent(g_go);
  FlsFree(g_index);
}
static void fls_free_in_dllmain(void) {
  g_index = FlsAlloc(load_in_callback);
  start(end_with_value);
  wait(g_ready);
  in_dll(free_after_go_in_step);
}

static void NTAPI first_in_callback(void* value) {
  SetEvent(g_ready);
  EnterCriticalSection(&g_first);
  LeaveCriticalSection(&g_first);
}
static void fls_free_under_section(void) {
  EnterCriticalSection(&g_first);
  g_index = FlsAlloc(first_in_callback);
  start(end_with_value);
  wait(g_ready);
  FlsFree(g_index);
}

static void NTAPI free_in_callback(void* value) { FlsFree(g_index); }
static void fls_free_in_own_callback(void) {
  g_index = FlsAlloc(free_in_callback);
  wait(start(end_with_value));
}

// The callback of an index that is freed joins a thread, which has a value too, and ends: it waits for its
// turn.
static DWORD WINAPI end_with_value_after_go(void* unused) {
  FlsSetValue(g_index, &g_index);
  SetEvent(g_ready);
  wait(g_go);
  return 0;
}
static DWORD WINAPI stay_with_value(void* unused) {
  FlsSetValue(g_index, &g_first);
  SetEvent(g_ready);
  wait(g_event);
  return 0;
}
static void NTAPI join_other_in_callback(void* value) {
  if (value != &g_first) return;
  SetEvent(g_go);
  wait(g_thread);
}
static void fls_free_joins(void) {
  g_index = FlsAlloc(join_other_in_callback);
  g_thread = start(end_with_value_after_go);
  wait(g_ready);
  start(stay_with_value);  // the last one to come is called back first
  wait(g_ready);
  FlsFree(g_index);
}

// A TLS callback joins, at the end of a thread: what Rust's Join-on-Drop was (specification 7).
static DWORD WINAPI joined_at_exit(void* unused) {
  SetEvent(g_ready);
  wait(g_go);
  return 0;
}
static DWORD WINAPI join_at_its_exit(void* unused) {
  g_scenario.at_thread_detach = GetCurrentThreadId();
  g_thread = start(joined_at_exit);
  wait(g_ready);
  return 0;
}
static void join_in_tls_callback(void) {
  HMODULE dll = LoadLibraryA("dll.dll");
  give_scenario(dll);
  g_scenario.step = join_ending_in_step;
  wait(start(join_at_its_exit));
}

// ---- near misses
// -------------------------------------------------------------------------------------------

enum { LONG_ENOUGH = 60 };  // ms: longer than a wait may last before somebody looks

static DWORD WINAPI second_then_try_first(void* unused) {
  EnterCriticalSection(&g_second);
  SetEvent(g_ready);
  WaitForSingleObject(g_event, LONG_ENOUGH);
  if (TryEnterCriticalSection(&g_first)) LeaveCriticalSection(&g_first);
  LeaveCriticalSection(&g_second);
  return 0;
}
static void one_only_tries(void) {
  EnterCriticalSection(&g_first);
  start(second_then_try_first);
  wait(g_ready);
  EnterCriticalSection(&g_second);
}

static DWORD WINAPI mutex_then_bounded(void* unused) {
  wait(g_mutex);
  SetEvent(g_ready);
  WaitForSingleObject(g_other_mutex, LONG_ENOUGH);  // in vain
  ReleaseMutex(g_mutex);
  return 0;
}
static void a_bounded_wait(void) {
  wait(g_other_mutex);
  start(mutex_then_bounded);
  wait(g_ready);
  wait(g_mutex);
}

// Alertable: who else may end it is not ours to know. Here somebody ends the thread.
static DWORD WINAPI mutex_then_alertable_join(void* unused) {
  wait(g_mutex);
  SetEvent(g_ready);
  WaitForSingleObjectEx(g_main, INFINITE, TRUE);
  return 0;
}
static DWORD WINAPI terminate_after_a_while(void* thread) {
  Sleep(LONG_ENOUGH);
  TerminateThread(thread, 0);
  return 0;
}
static void an_alertable_wait(void) {
  HANDLE other = start(mutex_then_alertable_join);
  wait(g_ready);
  start_thread(terminate_after_a_while, other);
  wait(g_mutex);
}

static DWORD WINAPI joins_with_bound(void* unused) {
  WaitForSingleObject(g_main, LONG_ENOUGH);
  return 0;
}
static void joins_each_other_with_bound(void) { wait(start(joins_with_bound)); }

// A third one lets go.
static DWORD WINAPI hold_first_a_while(void* unused) {
  EnterCriticalSection(&g_first);
  SetEvent(g_ready);
  Sleep(LONG_ENOUGH);
  LeaveCriticalSection(&g_first);
  return 0;
}
static void a_long_hold(void) {
  start(hold_first_a_while);
  wait(g_ready);
  EnterCriticalSection(&g_first);
}

// All wait but one, which sets what they wait for.
static DWORD WINAPI set_after_a_while(void* unused) {
  SetEvent(g_event);
  wait(g_ready);
  Sleep(LONG_ENOUGH);
  SetEvent(g_go);
  return 0;
}
static DWORD WINAPI wait_for_main(void* unused) {
  wait(g_mutex);
  ReleaseMutex(g_mutex);
  return 0;
}
static void one_is_awake(void) {
  wait(g_mutex);
  HANDLE other = start(wait_for_main);
  start(set_after_a_while);
  SetEvent(g_ready);
  wait(g_go);
  ReleaseMutex(g_mutex);
  wait(other);
}

// The same under the loader lock: the one who will set the event runs already.
static void await_go_in_step(void) {
  start(do_nothing);  // which waits for the loader lock
  SetEvent(g_ready);
  wait(g_go);
}
static void event_in_dllmain(void) {
  start(set_after_a_while);
  wait(g_event);  // it has started
  in_dll(await_go_in_step);
}

// Any of two: one of them comes.
static DWORD WINAPI mutex_then_any(void* unused) {
  wait(g_mutex);
  SetEvent(g_ready);
  HANDLE either[] = {g_other_mutex, g_event};
  WaitForMultipleObjects(2, either, FALSE, INFINITE);
  ReleaseMutex(g_mutex);
  return 0;
}
static DWORD WINAPI set_event_after_a_while(void* unused) {
  Sleep(LONG_ENOUGH);
  SetEvent(g_event);
  return 0;
}
static void any_of_two(void) {
  wait(g_other_mutex);
  start(mutex_then_any);
  wait(g_ready);
  start(set_event_after_a_while);
  wait(g_mutex);
}

// Readers have no name: nothing is said, right or wrong. (A third one lets the reader go.)
static DWORD WINAPI read_until_told(void* unused) {
  AcquireSRWLockShared(&g_srw);
  SetEvent(g_ready);
  wait(g_go);
  ReleaseSRWLockShared(&g_srw);
  return 0;
}
static DWORD WINAPI go_after_a_while(void* unused) {
  Sleep(LONG_ENOUGH);
  SetEvent(g_go);
  return 0;
}
static void a_reader_holds(void) {
  start(read_until_told);
  wait(g_ready);
  start(go_after_a_while);
  AcquireSRWLockExclusive(&g_srw);
}

// A condition variable gives the lock up while it sleeps.
static DWORD WINAPI wake_under_first(void* unused) {
  Sleep(LONG_ENOUGH);
  EnterCriticalSection(&g_first);
  g_word = 1;
  WakeConditionVariable(&g_condition);
  LeaveCriticalSection(&g_first);
  return 0;
}
static void a_condition(void) {
  EnterCriticalSection(&g_first);
  start(wake_under_first);
  while (g_word == 0) SleepConditionVariableCS(&g_condition, &g_first, INFINITE);
  LeaveCriticalSection(&g_first);
}

// Addresses have no owner.
static void* kernelbase(const char* name) { return GetProcAddress(GetModuleHandleA("kernelbase.dll"), name); }
static DWORD WINAPI store_after_a_while(void* unused) {
  void(WINAPI * WakeByAddressAll)(volatile void*) = kernelbase("WakeByAddressAll");
  Sleep(LONG_ENOUGH);
  g_word = 1;
  WakeByAddressAll(&g_word);
  EnterCriticalSection(&g_first);
  LeaveCriticalSection(&g_first);
  return 0;
}
static void an_address(void) {
  BOOL(WINAPI * WaitOnAddress)(volatile void*, void*, SIZE_T, DWORD) = kernelbase("WaitOnAddress");
  LONG none = 0;
  EnterCriticalSection(&g_first);
  HANDLE other = start(store_after_a_while);
  while (g_word == 0) WaitOnAddress(&g_word, &none, sizeof none, INFINITE);
  LeaveCriticalSection(&g_first);
  wait(other);
}

// Recursion is no circle.
static void recursion(void) {
  wait(g_mutex);
  wait(g_mutex);
  EnterCriticalSection(&g_first);
  EnterCriticalSection(&g_first);
  HANDLE other = start(wait_for_main);
  WaitForSingleObject(other, LONG_ENOUGH);
  ReleaseMutex(g_mutex);
  ReleaseMutex(g_mutex);
  wait(other);
}

// The owner is suspended, and resumed by a third.
static DWORD WINAPI resume_after_a_while(void* thread) {
  Sleep(LONG_ENOUGH);
  ResumeThread(thread);
  return 0;
}
static DWORD WINAPI first_then_leave(void* unused) {
  EnterCriticalSection(&g_first);
  SetEvent(g_ready);
  wait(g_go);
  LeaveCriticalSection(&g_first);
  return 0;
}
static void suspended_owner(void) {
  HANDLE owner = start(first_then_leave);
  wait(g_ready);
  SuspendThread(owner);
  SetEvent(g_go);
  start_thread(resume_after_a_while, owner);
  EnterCriticalSection(&g_first);
}

// A thread is created in DllMain and waited for, but not for ever.
static void bounded_join_in_step(void) {
  g_thread = start(do_nothing);
  WaitForSingleObject(g_thread, LONG_ENOUGH);
}
static void bounded_join_in_dllmain(void) {
  in_dll(bounded_join_in_step);
  wait(g_thread);
}

// The same callback at the end of a thread, where no lock is held: what Join-on-Drop has become.
static void fls_callback_at_exit(void) {
  g_index = FlsAlloc(join_in_callback);
  HANDLE thread = start(end_with_value);
  wait(thread);
}

// FlsFree waits for a callback that takes its time.
static void NTAPI take_time_in_callback(void* value) {
  SetEvent(g_ready);
  Sleep(LONG_ENOUGH);
}
static void fls_free_in_turn(void) {
  g_index = FlsAlloc(take_time_in_callback);
  EnterCriticalSection(&g_first);
  start(end_with_value);
  wait(g_ready);
  FlsFree(g_index);
}

// ---- which
// -------------------------------------------------------------------------------------------------

#define SCENARIO(name) {#name, name}
static const struct {
  const char* name;
  void (*run)(void);
} kScenarios[] = {
    SCENARIO(two_sections),
    SCENARIO(srw_and_mutex),
    SCENARIO(three_way),
    SCENARIO(join_under_section),
    SCENARIO(join_each_other),
    SCENARIO(join_itself),
    SCENARIO(srw_twice),
    SCENARIO(srw_upgrade),
    SCENARIO(wait_for_all),
    SCENARIO(join_in_dllmain),
    SCENARIO(start_in_dllmain),
    SCENARIO(section_in_dllmain),
    SCENARIO(end_in_dllmain),
    SCENARIO(join_in_tls_callback),
    SCENARIO(fls_callback_in_dllmain),
    SCENARIO(fls_free_in_dllmain),
    SCENARIO(fls_free_under_section),
    SCENARIO(fls_free_in_own_callback),
    SCENARIO(fls_free_joins),
    // near misses
    SCENARIO(one_only_tries),
    SCENARIO(a_bounded_wait),
    SCENARIO(an_alertable_wait),
    SCENARIO(joins_each_other_with_bound),
    SCENARIO(a_long_hold),
    SCENARIO(one_is_awake),
    SCENARIO(event_in_dllmain),
    SCENARIO(any_of_two),
    SCENARIO(a_reader_holds),
    SCENARIO(a_condition),
    SCENARIO(an_address),
    SCENARIO(recursion),
    SCENARIO(suspended_owner),
    SCENARIO(bounded_join_in_dllmain),
    SCENARIO(fls_callback_at_exit),
    SCENARIO(fls_free_in_turn),
};

static const char* last_word(const char* text) {
  const char* word = text;
  for (; *text; ++text)
    if (*text == ' ') word = text + 1;
  return word;
}

ENTRY() {
  const char* wanted = last_word(GetCommandLineA());
  InitializeCriticalSection(&g_first);
  InitializeCriticalSection(&g_second);
  g_mutex = CreateMutexA(NULL, FALSE, NULL);
  g_other_mutex = CreateMutexA(NULL, FALSE, NULL);
  g_event = new_event();
  g_ready = new_event();
  g_go = new_event();
  DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &g_main, 0, FALSE,
                  DUPLICATE_SAME_ACCESS);
  for (unsigned i = 0; i < sizeof kScenarios / sizeof *kScenarios; ++i) {
    if (!same_text(kScenarios[i].name, wanted)) continue;
    kScenarios[i].run();
    line("got by");
    return 0;
  }
  line("there is no %s", wanted);
  return 1;
}
