// Ten thousand threads are born and end, each with FLS values of the program's lasting indices and of what
// eight others offer: those take and free an index, and load and unload a DLL that has one, as fast as they
// can. Every value is called back exactly once: at its thread's end, or when its index goes. Nothing is lost,
// missed or told twice.
#include "stress.h"

enum { kBorn = 10000, kAtOnce = 16, kChangers = 8, kLasting = 3, kValues = kLasting + 2 };

typedef struct {
  SRWLOCK lock;  // shared: what is offered stays while values of it are set
  DWORD index;
  HMODULE dll;
  int (*set)(volatile LONG*);
  volatile LONG own_told;  // of the changer's own values
  LONG own;
} Offer;

static volatile LONG g_told[kBorn][kValues];
static LONG g_set[kBorn][kValues];
static volatile LONG g_next, g_stop, g_changes;
static DWORD g_lasting[kLasting];
static Offer g_offers[kChangers];

static void NTAPI count(void* value) { InterlockedIncrement(value); }

static DWORD WINAPI live(void* parameter) {
  const unsigned number = (unsigned)(ULONG64)parameter;
  volatile LONG* told = g_told[number];
  LONG* set = g_set[number];
  for (int i = 0; i < kLasting; ++i) {
    right(FlsGetValue(g_lasting[i]) == NULL, "a value is not fresh", number);
    set[i] = FlsSetValue(g_lasting[i], (void*)&told[i]);
  }
  Offer* offer = &g_offers[number % kChangers];
  AcquireSRWLockShared(&offer->lock);
  set[kLasting] = FlsSetValue(offer->index, (void*)&told[kLasting]);
  if (offer->dll != NULL)
    set[kLasting + 1] = right(offer->set(&told[kLasting + 1]), "the DLL's value", number);
  ReleaseSRWLockShared(&offer->lock);
  if (number % 64 == 0) FlsSetValue(g_lasting[0], NULL), set[0] = 0;  // taken back: nothing to tell
  return 0;
}

// Bears one thread after another.
static DWORD WINAPI bear(void* unused) {
  for (;;) {
    const LONG number = InterlockedIncrement(&g_next) - 1;
    if (number >= kBorn) return 0;
    run_in_thread(live, (void*)(ULONG64)number);
  }
}

static DWORD WINAPI change(void* parameter) {
  const unsigned number = (unsigned)(ULONG64)parameter;
  Offer* offer = &g_offers[number];
  char name[] = "fls_owner0.dll";
  name[9] = (char)('0' + number);
  do {
    AcquireSRWLockExclusive(&offer->lock);
    if (FlsSetValue(offer->index, (void*)&offer->own_told)) ++offer->own;
    right(FlsFree(offer->index), "FlsFree", number);
    offer->index = FlsAlloc(count);
    right(offer->index != FLS_OUT_OF_INDEXES, "FlsAlloc", number);
    if (offer->dll == NULL) {
      offer->dll = LoadLibraryA(name);
      offer->set = (int (*)(volatile LONG*))GetProcAddress(offer->dll, "owner_set");
      if (right(offer->set != NULL, "LoadLibrary", number) && offer->set(&offer->own_told)) ++offer->own;
    } else {
      right(FreeLibrary(offer->dll), "FreeLibrary", number);
      offer->dll = NULL;
    }
    ReleaseSRWLockExclusive(&offer->lock);
    InterlockedIncrement(&g_changes);
    SwitchToThread();
  } while (!g_stop);
  AcquireSRWLockExclusive(&offer->lock);
  FlsFree(offer->index);
  if (offer->dll != NULL) FreeLibrary(offer->dll);
  return 0;
}

ENTRY() {
  for (int i = 0; i < kLasting; ++i) g_lasting[i] = FlsAlloc(count);
  HANDLE bearers[kAtOnce], changers[kChangers];
  for (int i = 0; i < kChangers; ++i) {
    g_offers[i].index = FlsAlloc(count);
    changers[i] = start_thread(change, (void*)(ULONG64)i);
  }
  for (int i = 0; i < kAtOnce; ++i) bearers[i] = start_thread(bear, NULL);
  for (int i = 0; i < kAtOnce; ++i) join(bearers[i]);
  g_stop = 1;
  for (int i = 0; i < kChangers; ++i) join(changers[i]);

  LONG values = 0;
  for (unsigned i = 0; i < kBorn; ++i)
    for (int n = 0; n < kValues; ++n) {
      right(g_told[i][n] == g_set[i][n], g_told[i][n] < g_set[i][n] ? "missed" : "told too often",
            i * 10 + n);
      values += g_set[i][n];
    }
  for (int i = 0; i < kChangers; ++i) {
    right(g_offers[i].own_told == g_offers[i].own, "the changer's own", i);
    values += g_offers[i].own;
  }
  line("%u threads, %u changes, %u values", kBorn, (unsigned)g_changes, (unsigned)values);
  return verdict();
}
