// Case 35: the alignment bits of the directory, in the EXE and in a DLL that comes later.
#define TLS_ALIGNMENT_CODE 7
#include "tls_directory.h"

PER_THREAD(char, before, 1);
__attribute__((aligned(64))) PER_THREAD(int, aligned, 0x35);

enum { kThreads = 32 };

static int (*aligned_in_dll)(void);
static volatile LONG running;

// Whether a multiple of 64. The compiler knows that the variable is, so the address goes through a barrier.
static int is_aligned(const void* address) {
  __asm__ volatile("" : "+r"(address));
  return (ULONG64)address % 64 == 0;
}

static DWORD WINAPI exe_aligned(void* go) {
  InterlockedIncrement(&running);
  WaitForSingleObject(go, INFINITE);
  return is_aligned(&MY(aligned)) && MY(aligned) == 0x35 && MY(before) == 1;
}

static DWORD WINAPI dll_aligned(void* go) {
  InterlockedIncrement(&running);
  WaitForSingleObject(go, INFINITE);
  return aligned_in_dll();
}

// How many of kThreads threads, alive at the same time, find their copy aligned; `while_they_wait` happens
// when all of them exist.
static unsigned count_aligned(LPTHREAD_START_ROUTINE routine, void (*while_they_wait)(void)) {
  HANDLE threads[kThreads], go = CreateEventA(NULL, TRUE, FALSE, NULL);
  unsigned good = 0;
  running = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(routine, go);
  while (running < kThreads) Sleep(1);
  if (while_they_wait) while_they_wait();
  SetEvent(go);
  for (int i = 0; i < kThreads; ++i) good += join(threads[i]);
  CloseHandle(go);
  return good;
}

static void load(void) { aligned_in_dll = (void*)GetProcAddress(LoadLibraryA("late.dll"), "aligned_here"); }

ENTRY() {
  case_line(35, "EXE, main: %b", is_aligned(&MY(aligned)));
  case_line(35, "EXE, threads: %u of 32", count_aligned(exe_aligned, NULL));
  case_line(35, "DLL, threads older than it: %u of 32", count_aligned(dll_aligned, load));
  case_line(35, "DLL, main: %b", aligned_in_dll());
  case_line(35, "DLL, threads younger than it: %u of 32", count_aligned(dll_aligned, NULL));
  return 0;
}
