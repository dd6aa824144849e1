// Cases 32 and 34: the index of an unloaded DLL is used again, its data never.
#include "tls_directory.h"

PER_THREAD(int, of_the_exe, 1);

struct Late {
  HMODULE module;
  int (*get_and_set)(int);
  ULONG (*index)(void);
};

static struct Late load(const char* file) {
  HMODULE module = LoadLibraryA(file);
  return (struct Late){module, (void*)GetProcAddress(module, "get_and_set"),
                       (void*)GetProcAddress(module, "index")};
}

static struct Late current;
static HANDLE ask, answered;
static int answer;

// A thread that outlives every DLL: it reads and then spoils the variable, as often as it is asked.
static DWORD WINAPI worker(void* unused) {
  for (;;) {
    WaitForSingleObject(ask, INFINITE);
    if (!current.module) return 0;
    answer = current.get_and_set(0xBAD);
    SetEvent(answered);
  }
}

static int ask_worker(void) {
  SetEvent(ask);
  WaitForSingleObject(answered, INFINITE);
  return answer;
}

ENTRY() {
  ask = CreateEventA(NULL, FALSE, FALSE, NULL);
  answered = CreateEventA(NULL, FALSE, FALSE, NULL);
  HANDLE thread = start_thread(worker, NULL);

  current = load("a.dll");
  ULONG index = current.index();
  case_line(32, "A: index is not the EXE's: %b, worker reads %x", index != _tls_index, ask_worker());
  FreeLibrary(current.module);
  current = load("b.dll");
  case_line(32, "B: the same index: %b, worker reads %x", current.index() == index, ask_worker());
  FreeLibrary(current.module);

  current = load("a.dll");
  case_line(34, "A again: main reads %x, worker reads %x", current.get_and_set(0xBAD), ask_worker());
  FreeLibrary(current.module);
  current = load("a.dll");
  case_line(34, "and again: main reads %x, worker reads %x", current.get_and_set(0xBAD), ask_worker());
  FreeLibrary(current.module);

  current.module = NULL;
  SetEvent(ask);
  join(thread);
  case_line(34, "the EXE's own is untouched: %b", MY(of_the_exe) == 1);
  return 0;
}
