// What a program does when memory runs out (run.py exhaust: BOBBIN_FAIL_ALLOCATION = 1, 2, 3 ...): it loads
// DLLs with TLS while threads run, starts threads, takes slots. What fails must fail with the documented
// error, leave everything else as it was, and succeed when it is tried again.
#include "stress.h"

enum { kWitnesses = 3, kSlots = 80 };

PER_THREAD(unsigned, own, 0x600D);

static Module g_small, g_large;
static HANDLE g_go[kWitnesses], g_done[kWitnesses];
static DWORD g_slots[kSlots];

// An operation may fail once, and says with which error.
#define TWICE(what, succeeded, expected)                                                  \
  for (int attempt = 0; !(succeeded); ++attempt) {                                        \
    const DWORD error = GetLastError();                                                   \
    line("%s failed: %u", what, error);                                                   \
    if (!right(error == (expected), what, error) || !right(attempt == 0, what, 2)) break; \
  }

// Takes part in everything that main does, from a thread that was there before.
static DWORD WINAPI witness(void* parameter) {
  const unsigned mark = (unsigned)(ULONG64)parameter;
  MY(own) = mark;
  SetEvent(g_done[mark]);
  WaitForSingleObject(g_go[mark], INFINITE);  // DLLs and slots have come
  right(g_small.is_fresh() && g_large.is_fresh(), "a witness's block is not the template", mark);
  g_small.mark(mark);
  g_large.mark(mark);
  for (int i = 0; i < kSlots; ++i) {
    right(TlsGetValue(g_slots[i]) == NULL, "a witness's slot is not empty", mark);
    TWICE("TlsSetValue", TlsSetValue(g_slots[i], parameter), ERROR_NOT_ENOUGH_MEMORY);
  }
  for (int i = 0; i < kSlots; ++i) right(TlsGetValue(g_slots[i]) == parameter, "a witness's slot", mark);
  right(g_small.holds(mark) && g_large.holds(mark) && MY(own) == mark, "a witness's variable was lost", mark);
  return mark;
}

static DWORD WINAPI visitor(void* parameter) {
  right(MY(own) == 0x600D && g_small.is_fresh() && g_large.is_fresh(), "a new thread's variables", 0);
  g_large.mark(7);
  return 42;
}

// A thread that cannot get its storage ends before it runs.
static int thread_ran(LPTHREAD_START_ROUTINE routine, void* parameter) {
  HANDLE thread = start_thread(routine, parameter);
  if (thread == NULL) return 0;
  const DWORD code = join(thread);
  if (code == (DWORD)STATUS_NO_MEMORY) SetLastError(ERROR_NOT_ENOUGH_MEMORY);
  return right(code == 42 || code == (DWORD)STATUS_NO_MEMORY, "a thread's exit code", code) && code == 42;
}

static HANDLE start_witness(unsigned number) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    HANDLE thread = start_thread(witness, (void*)(ULONG64)number);
    if (thread == NULL) {
      line("CreateThread failed: %u", GetLastError());
      right(GetLastError() == ERROR_NOT_ENOUGH_MEMORY, "CreateThread", GetLastError());
      continue;
    }
    HANDLE either[2] = {g_done[number], thread};
    if (WaitForMultipleObjects(2, either, FALSE, INFINITE) == WAIT_OBJECT_0) return thread;
    line("a witness ended before it ran: %x", join(thread));
  }
  right(0, "a witness did not start", number);
  return NULL;
}

static int load_quietly(Module* module, const char* name) {
  module->dll = LoadLibraryA(name);
  return module->dll != NULL;
}

ENTRY() {
  HANDLE witnesses[kWitnesses];
  for (unsigned i = 0; i < kWitnesses; ++i) {
    TWICE("CreateEvent", (g_go[i] = CreateEventA(NULL, FALSE, FALSE, NULL)) != NULL, ERROR_NOT_ENOUGH_MEMORY);
    TWICE("CreateEvent", (g_done[i] = CreateEventA(NULL, FALSE, FALSE, NULL)) != NULL,
          ERROR_NOT_ENOUGH_MEMORY);
    witnesses[i] = start_witness(i);
  }
  TWICE("LoadLibrary (small)", load_quietly(&g_small, "failure_small.dll"), ERROR_NOT_ENOUGH_MEMORY);
  TWICE("LoadLibrary (large)", load_quietly(&g_large, "failure_large.dll"), ERROR_NOT_ENOUGH_MEMORY);
  right(find_exports(&g_small) && find_exports(&g_large), "GetProcAddress", GetLastError());
  right(g_small.is_fresh() && g_large.is_fresh(), "main's blocks are not the templates", 0);
  g_small.mark(1);
  g_large.mark(1);
  TWICE("a thread", thread_ran(visitor, NULL), ERROR_NOT_ENOUGH_MEMORY);
  TWICE("a second thread", thread_ran(visitor, NULL), ERROR_NOT_ENOUGH_MEMORY);
  for (int i = 0; i < kSlots; ++i) {
    TWICE("TlsAlloc", (g_slots[i] = TlsAlloc()) != TLS_OUT_OF_INDEXES, ERROR_NOT_ENOUGH_MEMORY);
    TlsSetValue(g_slots[i], g_slots);
  }
  DWORD fls;
  TWICE("FlsAlloc", (fls = FlsAlloc(NULL)) != FLS_OUT_OF_INDEXES, ERROR_NOT_ENOUGH_MEMORY);
  TWICE("FlsSetValue", FlsSetValue(fls, &fls), ERROR_NOT_ENOUGH_MEMORY);
  right(FlsGetValue(fls) == &fls, "FlsGetValue", 0);
  for (unsigned i = 0; i < kWitnesses; ++i) {
    SetEvent(g_go[i]);
    right(join(witnesses[i]) == i, "a witness's exit code", i);
  }
  for (int i = 0; i < kSlots; ++i)
    right(TlsGetValue(g_slots[i]) == g_slots && TlsFree(g_slots[i]), "a slot", i);
  right(g_small.holds(1) && g_large.holds(1) && MY(own) == 0x600D, "main's variables were lost", 0);
  right(FreeLibrary(g_small.dll), "FreeLibrary", GetLastError());
  right(FreeLibrary(g_large.dll), "FreeLibrary", GetLastError());
  right(GetModuleHandleA("failure_small.dll") == NULL, "a DLL stays", 0);
  return verdict();
}
