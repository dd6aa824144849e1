// A hundred threads are alive, and as soon as one has died the next is born in its place; meanwhile four
// others load and unload DLLs. Every thread checks its own variables: in the program, in a DLL that stays,
// and now and then in one that comes and goes. The argument is how often each of the hundred is born.
#include "stress.h"

enum { kThreads = 100, kLoaders = 4 };

PER_THREAD(unsigned, own, 0x600D);

static Module g_lasting[2];
static DWORD g_slot;
static volatile LONG g_stop, g_loads;

static void use(const Module* module, unsigned mark, const char* what) {
  right(module->is_fresh(), what, mark);
  module->mark(mark);
  SwitchToThread();
  right(module->holds(mark), what, mark);
}

// LoadLibrary, variables, FreeLibrary; the module is this thread's alone, or the thread is new to it.
static void visit(const char* name, unsigned mark) {
  Module module;
  if (!load(&module, name)) return;
  use(&module, mark, name);
  right(FreeLibrary(module.dll), "FreeLibrary", GetLastError());
}

static DWORD WINAPI live(void* parameter) {
  const unsigned mark = (unsigned)(ULONG64)parameter;
  right(MY(own) == 0x600D, "the program's variable is not fresh", MY(own));
  right(TlsGetValue(g_slot) == NULL, "a slot is not empty", mark);
  MY(own) = mark;
  TlsSetValue(g_slot, parameter);
  for (int i = 0; i < 2; ++i) use(&g_lasting[i], mark, "a lasting DLL");
  if (mark % 8 == 0) visit("visitor_small.dll", mark);
  if (mark % 16 == 1) visit("visitor_large.dll", mark);
  const DWORD slot = TlsAlloc();
  right(slot != TLS_OUT_OF_INDEXES && TlsGetValue(slot) == NULL, "TlsAlloc", slot);
  TlsSetValue(slot, parameter);
  right(TlsFree(slot), "TlsFree", slot);
  right(MY(own) == mark, "the program's variable was lost", mark);
  right(TlsGetValue(g_slot) == parameter, "a slot was lost", mark);
  for (int i = 0; i < 2; ++i) right(g_lasting[i].holds(mark), "a lasting DLL's variable was lost", mark);
  return mark;
}

// Each has its DLLs to itself, so that each load is one, and finds a fresh block.
static DWORD WINAPI load_and_unload(void* parameter) {
  const unsigned number = (unsigned)(ULONG64)parameter;
  char small[] = "loader0_small.dll", large[] = "loader0_large.dll";
  small[6] = large[6] = (char)('0' + number);
  while (!g_stop) {
    visit(small, number);
    visit(large, number);
    InterlockedExchangeAdd(&g_loads, 2);
  }
  return 0;
}

ENTRY() {
  const unsigned rounds = number_argument(20);
  static HANDLE threads[kThreads], loaders[kLoaders];
  load(&g_lasting[0], "lasting_small.dll");
  load(&g_lasting[1], "lasting_large.dll");
  g_slot = TlsAlloc();
  for (unsigned i = 0; i < kLoaders; ++i) loaders[i] = start_thread(load_and_unload, (void*)(ULONG64)i);
  unsigned born = 0;
  for (unsigned round = 0; round <= rounds; ++round) {
    for (unsigned i = 0; i < kThreads; ++i) {
      const unsigned mark = (round - 1) * kThreads + i + 1;
      if (round > 0) right(join(threads[i]) == mark, "a thread did not end as it should", mark);
      if (round == rounds) continue;
      threads[i] = start_thread(live, (void*)(ULONG64)(mark + kThreads));
      born += right(threads[i] != NULL, "CreateThread", GetLastError());
    }
  }
  g_stop = 1;
  for (unsigned i = 0; i < kLoaders; ++i) join(loaders[i]);
  line("%u threads lived, %u times a loader's DLL came and went", born, (unsigned)g_loads);
  return verdict();
}
