// Case 31: the vector grows under running threads: 40 copies of a TLS DLL, while four threads never stop
// using a variable of a module that was there before.
#include "tls_directory.h"

enum { kCopies = 40, kWorkers = 4 };

PER_THREAD(unsigned, early, 0x31);

static volatile int stop;
static volatile LONG running;
static int (*volatile copies[kCopies])(int);  // each copy's `touch`

static DWORD WINAPI use_early_variable(void* number) {
  unsigned* address = &MY(early);
  int good = *address == 0x31;
  unsigned count = 0x31;
  InterlockedIncrement(&running);
  while (!stop) {
    __asm__ volatile("" : : : "memory");  // the address is computed anew, from gs:[58h]
    good &= &MY(early) == address && MY(early) == count;
    MY(early) = ++count;
  }
  for (int i = 0; i < kCopies; ++i) good &= copies[i](1) == 0x41;
  for (int i = 0; i < kCopies; ++i) good &= copies[i](0) == 0x42;
  return good;
}

// LoadLibrary of a file under another name is another module.
static HMODULE load_copy(int number) {
  char name[] = "copy00.dll";
  name[4] += (char)(number / 10);
  name[5] += (char)(number % 10);
  if (!CopyFileA("late.dll", name, FALSE)) return NULL;
  return LoadLibraryA(name);
}

// The copies go where the test may write: its current directory. The original lies beside the program.
static void fetch_original(void) {
  char path[MAX_PATH];
  char* end = path + GetModuleFileNameA(NULL, path, sizeof path);
  while (end > path && end[-1] != '\\') --end;
  memcpy(end, "late.dll", 9);
  CopyFileA(path, "late.dll", FALSE);
}

ENTRY() {
  HANDLE workers[kWorkers];
  HMODULE modules[kCopies];
  unsigned loaded = 0, good = 0;
  fetch_original();
  for (int i = 0; i < kWorkers; ++i) workers[i] = start_thread(use_early_variable, NULL);
  while (running < kWorkers) Sleep(1);
  for (int i = 0; i < kCopies; ++i) {
    modules[i] = load_copy(i);
    copies[i] = (void*)GetProcAddress(modules[i], "touch");
    loaded += copies[i] != NULL;
  }
  case_line(31, "%u copies loaded", loaded);
  if (loaded != kCopies) return 1;
  stop = 1;
  for (int i = 0; i < kWorkers; ++i) good += join(workers[i]);
  case_line(31, "%u of 4 threads: the early variable never moved nor changed, all new ones hold the template",
            good);
  for (int i = 0; i < kCopies; ++i) good += copies[i](0) == 0x41;
  case_line(31, "main agrees: %b", good == kWorkers + kCopies);
  return 0;
}
