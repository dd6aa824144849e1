// Cases 60, 63 and 68 by the hundred: threads that make and delete fibers, and threads that are suspended,
// resumed and terminated in the middle of switches. Every value is called back for once. At the end the
// process exits while threads switch.
#include "guest.h"

enum { kThreads = 6, kFibers = 4 };

static DWORD index;
static volatile LONG switches, values, calls;

static void WINAPI count(void* value) { InterlockedIncrement(&calls); }

static void WINAPI come_back(void* to) {
  FlsSetValue(index, to);
  InterlockedIncrement(&values);
  for (;;) {
    SwitchToFiber(to);
    InterlockedIncrement(&switches);
  }
}

static DWORD WINAPI make_and_delete(void* unused) {
  void* own = ConvertThreadToFiber(NULL);
  for (int i = 0; i < 50; ++i) {
    void* fiber = CreateFiber(0, come_back, own);
    for (int n = 0; n < 20; ++n) SwitchToFiber(fiber);
    DeleteFiber(fiber);
  }
  return 0;
}

static DWORD WINAPI switch_for_ever(void* unused) {
  void* own = ConvertThreadToFiber(NULL);
  void* fibers[kFibers];
  for (int i = 0; i < kFibers; ++i) fibers[i] = CreateFiber(0, come_back, own);
  for (unsigned n = 0;; ++n) SwitchToFiber(fibers[n % kFibers]);
  return 0;
}

static HANDLE threads[kThreads];

// Returns when all of their fibers have run.
static void start_switching(void) {
  const LONG all = values + kThreads * kFibers;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(switch_for_ever, NULL);
  for (LONG until = switches + 20000; switches < until || values < all;) Sleep(1);
}

ENTRY() {
  index = FlsAlloc(count);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(make_and_delete, NULL);
  for (int i = 0; i < kThreads; ++i) join(threads[i]);
  case_line(63, "%u values, %u callbacks", values, calls);
  values = calls = 0;
  int right = 0;
  for (int round = 0; round < 5; ++round) {
    start_switching();
    for (int i = 0; i < kThreads; ++i) SuspendThread(threads[i]), ResumeThread(threads[i]);
    for (int i = 0; i < kThreads; ++i) TerminateThread(threads[i], 60);
    for (int i = 0; i < kThreads; ++i) right += join(threads[i]) == 60;
  }
  case_line(60, "%u threads terminated, %u callbacks", right, calls);
  FlsFree(index);
  case_line(60, "FlsFree: %u values, %u callbacks", values, calls);
  start_switching();
  return 0;
}
