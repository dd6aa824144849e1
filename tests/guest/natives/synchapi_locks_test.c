// synchapi.h: critical sections, SRW locks, condition variables, waits on addresses, one-time initialisation;
// and the Rtl functions behind them.
#define _WIN32_WINNT 0x0A00
#include "check.h"

enum { THREADS = 4, ROUNDS = 5000 };

#define DECLARE(result, name, ...)               \
  typedef result(WINAPI* name##_t)(__VA_ARGS__); \
  static name##_t name
#define FIND(dll, name) ((name = (name##_t)(void*)GetProcAddress(dll, #name)) != NULL)

static void on_threads(DWORD(WINAPI* routine)(void*)) {
  HANDLE threads[THREADS];
  for (int i = 0; i < THREADS; ++i) threads[i] = CreateThread(NULL, 0, routine, (void*)(INT_PTR)i, 0, NULL);
  CHECK(WaitForMultipleObjects(THREADS, threads, TRUE, INFINITE) == WAIT_OBJECT_0);
  for (int i = 0; i < THREADS; ++i) {
    DWORD code = 99;
    CHECK(GetExitCodeThread(threads[i], &code) && code == 0);
    CloseHandle(threads[i]);
  }
}

// ---- critical sections ----

static CRITICAL_SECTION section;
static int counter;

static DWORD WINAPI count_in_section(void* unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; ++i) {
    EnterCriticalSection(&section);
    if (!TryEnterCriticalSection(&section)) return 1;
    ++counter;
    if (i % 100 == 0) Sleep(0);
    LeaveCriticalSection(&section);
    LeaveCriticalSection(&section);
  }
  return 0;
}

static DWORD WINAPI cannot_enter(void* unused) {
  (void)unused;
  return TryEnterCriticalSection(&section) ? 1 : 0;
}

static void critical_sections(void) {
  InitializeCriticalSection(&section);
  CHECK(section.LockCount == -1 && section.RecursionCount == 0 && section.OwningThread == NULL);
  EnterCriticalSection(&section);
  CHECK(section.RecursionCount == 1 && section.OwningThread == (HANDLE)(ULONG_PTR)GetCurrentThreadId());
  on_threads(cannot_enter);
  LeaveCriticalSection(&section);
  CHECK(section.LockCount == -1);
  counter = 0;
  on_threads(count_in_section);
  CHECK(counter == THREADS * ROUNDS);
  DeleteCriticalSection(&section);

  CHECK(InitializeCriticalSectionAndSpinCount(&section, 1000));
  counter = 0;
  on_threads(count_in_section);
  CHECK(counter == THREADS * ROUNDS);
  CHECK((SetCriticalSectionSpinCount(&section, 5) & 0xFFFFFF) == 1000);
  CHECK((SetCriticalSectionSpinCount(&section, 5) & 0xFFFFFF) == 5);
  DeleteCriticalSection(&section);

  CHECK(InitializeCriticalSectionEx(&section, 0, CRITICAL_SECTION_NO_DEBUG_INFO));
  CHECK(TryEnterCriticalSection(&section));
  LeaveCriticalSection(&section);
  DeleteCriticalSection(&section);
}

DECLARE(LONG, RtlInitializeCriticalSection, CRITICAL_SECTION*);
DECLARE(LONG, RtlInitializeCriticalSectionAndSpinCount, CRITICAL_SECTION*, ULONG);
DECLARE(LONG, RtlInitializeCriticalSectionEx, CRITICAL_SECTION*, ULONG, ULONG);
DECLARE(LONG, RtlDeleteCriticalSection, CRITICAL_SECTION*);
DECLARE(LONG, RtlEnterCriticalSection, CRITICAL_SECTION*);
DECLARE(BOOL, RtlTryEnterCriticalSection, CRITICAL_SECTION*);
DECLARE(LONG, RtlLeaveCriticalSection, CRITICAL_SECTION*);
DECLARE(BOOL, RtlIsCriticalSectionLocked, CRITICAL_SECTION*);
DECLARE(BOOL, RtlIsCriticalSectionLockedByThread, CRITICAL_SECTION*);
DECLARE(ULONG, RtlSetCriticalSectionSpinCount, CRITICAL_SECTION*, ULONG);

static DWORD WINAPI count_in_rtl_section(void* unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; ++i) {
    if (RtlEnterCriticalSection(&section) != 0) return 1;
    ++counter;
    if (i % 100 == 0) Sleep(0);
    if (RtlLeaveCriticalSection(&section) != 0) return 2;
  }
  return 0;
}

static DWORD WINAPI not_ours(void* unused) {
  (void)unused;
  return RtlIsCriticalSectionLocked(&section) && !RtlIsCriticalSectionLockedByThread(&section) ? 0 : 1;
}

static void rtl_critical_sections(HMODULE ntdll) {
  CHECK(FIND(ntdll, RtlInitializeCriticalSection) && FIND(ntdll, RtlInitializeCriticalSectionAndSpinCount));
  CHECK(FIND(ntdll, RtlInitializeCriticalSectionEx) && FIND(ntdll, RtlDeleteCriticalSection));
  CHECK(FIND(ntdll, RtlEnterCriticalSection) && FIND(ntdll, RtlTryEnterCriticalSection));
  CHECK(FIND(ntdll, RtlLeaveCriticalSection) && FIND(ntdll, RtlIsCriticalSectionLocked));
  CHECK(FIND(ntdll, RtlIsCriticalSectionLockedByThread) && FIND(ntdll, RtlSetCriticalSectionSpinCount));
  CHECK(RtlInitializeCriticalSection(&section) == 0);
  CHECK(!RtlIsCriticalSectionLocked(&section));
  CHECK(RtlTryEnterCriticalSection(&section));
  CHECK(RtlIsCriticalSectionLocked(&section) && RtlIsCriticalSectionLockedByThread(&section));
  on_threads(not_ours);
  CHECK(RtlLeaveCriticalSection(&section) == 0);
  CHECK(RtlDeleteCriticalSection(&section) == 0);
  CHECK(RtlInitializeCriticalSectionAndSpinCount(&section, 100) == 0);
  counter = 0;
  on_threads(count_in_rtl_section);
  CHECK(counter == THREADS * ROUNDS);
  CHECK((RtlSetCriticalSectionSpinCount(&section, 7) & 0xFFFFFF) == 100);
  CHECK(RtlDeleteCriticalSection(&section) == 0);
  CHECK(RtlInitializeCriticalSectionEx(&section, 50, 0) == 0);
  CHECK(RtlEnterCriticalSection(&section) == 0 && RtlLeaveCriticalSection(&section) == 0);
  CHECK(RtlDeleteCriticalSection(&section) == 0);
}

// ---- SRW locks ----

static SRWLOCK lock = SRWLOCK_INIT;

static DWORD WINAPI count_in_lock(void* unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; ++i) {
    AcquireSRWLockExclusive(&lock);
    ++counter;
    ReleaseSRWLockExclusive(&lock);
    AcquireSRWLockShared(&lock);
    const int seen = counter;
    if (i % 100 == 0) Sleep(0);
    if (seen != counter) return 1;
    ReleaseSRWLockShared(&lock);
  }
  return 0;
}

static void srw_locks(void) {
  InitializeSRWLock(&lock);
  CHECK(TryAcquireSRWLockExclusive(&lock));
  CHECK(!TryAcquireSRWLockExclusive(&lock) && !TryAcquireSRWLockShared(&lock));
  ReleaseSRWLockExclusive(&lock);
  CHECK(TryAcquireSRWLockShared(&lock) && TryAcquireSRWLockShared(&lock));
  CHECK(!TryAcquireSRWLockExclusive(&lock));
  ReleaseSRWLockShared(&lock);
  ReleaseSRWLockShared(&lock);
  CHECK(lock.Ptr == NULL);
  counter = 0;
  on_threads(count_in_lock);
  CHECK(counter == THREADS * ROUNDS && lock.Ptr == NULL);
}

DECLARE(void, RtlInitializeSRWLock, SRWLOCK*);
DECLARE(void, RtlAcquireSRWLockExclusive, SRWLOCK*);
DECLARE(void, RtlAcquireSRWLockShared, SRWLOCK*);
DECLARE(void, RtlReleaseSRWLockExclusive, SRWLOCK*);
DECLARE(void, RtlReleaseSRWLockShared, SRWLOCK*);
DECLARE(BOOLEAN, RtlTryAcquireSRWLockExclusive, SRWLOCK*);
DECLARE(BOOLEAN, RtlTryAcquireSRWLockShared, SRWLOCK*);

static void rtl_srw_locks(HMODULE ntdll) {
  SRWLOCK own;
  CHECK(FIND(ntdll, RtlInitializeSRWLock) && FIND(ntdll, RtlAcquireSRWLockExclusive));
  CHECK(FIND(ntdll, RtlAcquireSRWLockShared) && FIND(ntdll, RtlReleaseSRWLockExclusive));
  CHECK(FIND(ntdll, RtlReleaseSRWLockShared) && FIND(ntdll, RtlTryAcquireSRWLockExclusive));
  CHECK(FIND(ntdll, RtlTryAcquireSRWLockShared));
  CHECK((RtlInitializeSRWLock(&own), own.Ptr == NULL));
  CHECK((RtlAcquireSRWLockExclusive(&own), !RtlTryAcquireSRWLockShared(&own)));
  CHECK((RtlReleaseSRWLockExclusive(&own), RtlTryAcquireSRWLockExclusive(&own)));
  CHECK((RtlReleaseSRWLockExclusive(&own), RtlTryAcquireSRWLockShared(&own)));
  CHECK((RtlAcquireSRWLockShared(&own), !RtlTryAcquireSRWLockExclusive(&own)));
  CHECK((RtlReleaseSRWLockShared(&own), RtlReleaseSRWLockShared(&own), own.Ptr == NULL));
}

// ---- condition variables ----

static CONDITION_VARIABLE turned = CONDITION_VARIABLE_INIT, filled;
static int turn, items;

static DWORD WINAPI take_turns(void* number) {
  const int me = (int)(INT_PTR)number;
  for (int i = 0; i < 100; ++i) {
    EnterCriticalSection(&section);
    while (turn % THREADS != me) {
      if (!SleepConditionVariableCS(&turned, &section, INFINITE)) return 1;
    }
    ++turn;
    LeaveCriticalSection(&section);
    WakeAllConditionVariable(&turned);
  }
  return 0;
}

static DWORD WINAPI produce_or_consume(void* number) {
  const BOOL producer = number == NULL;
  for (int i = 0; i < (producer ? 100 * (THREADS - 1) : 100); ++i) {
    AcquireSRWLockExclusive(&lock);
    if (producer) {
      ++items;
    } else {
      while (items == 0) {
        if (!SleepConditionVariableSRW(&filled, &lock, INFINITE, 0)) return 1;
      }
      --items;
    }
    ReleaseSRWLockExclusive(&lock);
    if (producer) WakeConditionVariable(&filled);
  }
  return 0;
}

static void condition_variables(void) {
  InitializeCriticalSection(&section);
  InitializeConditionVariable(&filled);
  WakeConditionVariable(&filled);
  EnterCriticalSection(&section);
  SetLastError(0);
  CHECK(!SleepConditionVariableCS(&turned, &section, 1) && GetLastError() == ERROR_TIMEOUT);
  CHECK(section.RecursionCount == 1);
  LeaveCriticalSection(&section);
  AcquireSRWLockShared(&lock);
  SetLastError(0);
  CHECK(!SleepConditionVariableSRW(&filled, &lock, 1, CONDITION_VARIABLE_LOCKMODE_SHARED) &&
        GetLastError() == ERROR_TIMEOUT);
  ReleaseSRWLockShared(&lock);
  on_threads(take_turns);
  CHECK(turn == 100 * THREADS);
  on_threads(produce_or_consume);
  CHECK(items == 0);
  DeleteCriticalSection(&section);
}

DECLARE(void, RtlInitializeConditionVariable, CONDITION_VARIABLE*);
DECLARE(LONG, RtlSleepConditionVariableCS, CONDITION_VARIABLE*, CRITICAL_SECTION*, LARGE_INTEGER*);
DECLARE(LONG, RtlSleepConditionVariableSRW, CONDITION_VARIABLE*, SRWLOCK*, LARGE_INTEGER*, ULONG);
DECLARE(void, RtlWakeConditionVariable, CONDITION_VARIABLE*);
DECLARE(void, RtlWakeAllConditionVariable, CONDITION_VARIABLE*);

static DWORD WINAPI set_and_wake(void* unused) {
  EnterCriticalSection(&section);
  turn = 1;
  LeaveCriticalSection(&section);
  RtlWakeConditionVariable(&turned);
  RtlWakeAllConditionVariable(&filled);
  (void)unused;
  return 0;
}

static void rtl_condition_variables(HMODULE ntdll) {
  LARGE_INTEGER moment;
  moment.QuadPart = -10000;
  CHECK(FIND(ntdll, RtlInitializeConditionVariable) && FIND(ntdll, RtlSleepConditionVariableCS));
  CHECK(FIND(ntdll, RtlSleepConditionVariableSRW) && FIND(ntdll, RtlWakeConditionVariable));
  CHECK(FIND(ntdll, RtlWakeAllConditionVariable));
  CHECK((RtlInitializeConditionVariable(&turned), turned.Ptr == NULL));
  InitializeCriticalSection(&section);
  EnterCriticalSection(&section);
  CHECK(RtlSleepConditionVariableCS(&turned, &section, &moment) == WAIT_TIMEOUT);
  AcquireSRWLockExclusive(&lock);
  CHECK(RtlSleepConditionVariableSRW(&filled, &lock, &moment, 0) == WAIT_TIMEOUT);
  ReleaseSRWLockExclusive(&lock);
  turn = 0;
  HANDLE thread = CreateThread(NULL, 0, set_and_wake, NULL, 0, NULL);
  while (turn == 0) CHECK(RtlSleepConditionVariableCS(&turned, &section, NULL) == 0);
  LeaveCriticalSection(&section);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0 && CloseHandle(thread));
  CHECK((RtlWakeConditionVariable(&turned), RtlWakeAllConditionVariable(&turned), turn == 1));
  DeleteCriticalSection(&section);
}

// ---- waits on addresses ----

DECLARE(BOOL, pWaitOnAddress, volatile void*, void*, SIZE_T, DWORD);
DECLARE(void, pWakeByAddressSingle, void*);
DECLARE(void, pWakeByAddressAll, void*);
DECLARE(LONG, RtlWaitOnAddress, const void*, const void*, SIZE_T, const LARGE_INTEGER*);
DECLARE(void, RtlWakeAddressSingle, const void*);
DECLARE(void, RtlWakeAddressAll, const void*);

static volatile LONG ball;
static volatile BYTE gate;

static DWORD WINAPI play(void* number) {
  const LONG mine = (LONG)(INT_PTR)number;
  for (int i = 0; i < 100; ++i) {
    for (LONG seen = ball; seen != mine; seen = ball) {
      if (mine % 2 == 0 ? !pWaitOnAddress(&ball, &seen, sizeof seen, INFINITE)
                        : RtlWaitOnAddress((void*)&ball, &seen, sizeof seen, NULL) != 0) {
        return 1;
      }
    }
    ball = (mine + 1) % THREADS;
    if (mine % 2 == 0) {
      pWakeByAddressAll((void*)&ball);
    } else {
      RtlWakeAddressAll((void*)&ball);
    }
  }
  return 0;
}

static DWORD WINAPI pass_gate(void* number) {
  BYTE shut = 0;
  while (gate == 0) pWaitOnAddress(&gate, &shut, 1, INFINITE);
  if (number == NULL) {
    pWakeByAddressSingle((void*)&gate);
  } else {
    RtlWakeAddressSingle((void*)&gate);
  }
  return 0;
}

static DWORD WINAPI open_gate_or_pass(void* number) {
  if ((INT_PTR)number != THREADS - 1) return pass_gate(number);
  Sleep(2);
  gate = 1;
  pWakeByAddressSingle((void*)&gate);
  return 0;
}

static void waits_on_addresses(HMODULE ntdll) {
  const HMODULE kernelbase = GetModuleHandleA("kernelbase");
  ULONGLONG value = 0x1122334455667788, other = 0x1122334455007788;
  LARGE_INTEGER moment;
  moment.QuadPart = -10000;
  pWaitOnAddress = (pWaitOnAddress_t)(void*)GetProcAddress(kernelbase, "WaitOnAddress");
  pWakeByAddressSingle = (pWakeByAddressSingle_t)(void*)GetProcAddress(kernelbase, "WakeByAddressSingle");
  pWakeByAddressAll = (pWakeByAddressAll_t)(void*)GetProcAddress(kernelbase, "WakeByAddressAll");
  CHECK(pWaitOnAddress != NULL && pWakeByAddressSingle != NULL && pWakeByAddressAll != NULL);
  CHECK(FIND(ntdll, RtlWaitOnAddress) && FIND(ntdll, RtlWakeAddressSingle) && FIND(ntdll, RtlWakeAddressAll));
  CHECK(pWaitOnAddress(&value, &other, 8, INFINITE) && pWaitOnAddress(&value, &other, 4, INFINITE));
  SetLastError(0);
  CHECK(!pWaitOnAddress(&value, &other, 2, 1) && GetLastError() == ERROR_TIMEOUT);
  CHECK(!pWaitOnAddress(&value, &other, 1, 0));
  SetLastError(0);
  CHECK(!pWaitOnAddress(&value, &other, 3, 0) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(RtlWaitOnAddress(&value, &other, 2, &moment) == WAIT_TIMEOUT);
  on_threads(play);
  CHECK(ball == 0);
  on_threads(open_gate_or_pass);
  CHECK((pWakeByAddressSingle(&value), pWakeByAddressAll(&value), gate == 1));
  CHECK((RtlWakeAddressSingle(&value), RtlWakeAddressAll(&value), gate == 1));
}

// ---- one-time initialisation ----

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static volatile LONG runs;
static DECLSPEC_ALIGN(16) int thing;

static BOOL CALLBACK initialise(PINIT_ONCE given, void* parameter, void** context) {
  if (given == NULL || parameter != &thing) return FALSE;
  InterlockedIncrement(&runs);
  Sleep(2);
  *context = &thing;
  return TRUE;
}

static BOOL CALLBACK refuse(PINIT_ONCE given, void* parameter, void** context) {
  (void)given, (void)parameter, (void)context;
  InterlockedIncrement(&runs);
  return FALSE;
}

static DWORD WINAPI use_thing(void* unused) {
  void* context = NULL;
  (void)unused;
  for (int i = 0; i < 3; ++i) {
    if (!InitOnceExecuteOnce(&once, initialise, &thing, &context) || context != &thing) return 1;
  }
  return 0;
}

DECLARE(void, RtlRunOnceInitialize, INIT_ONCE*);
DECLARE(LONG, RtlRunOnceBeginInitialize, INIT_ONCE*, ULONG, void**);
DECLARE(LONG, RtlRunOnceComplete, INIT_ONCE*, ULONG, void*);
DECLARE(LONG, RtlRunOnceExecuteOnce, INIT_ONCE*, void*, void*, void**);

static void one_time(HMODULE ntdll) {
  INIT_ONCE own;
  BOOL pending = 99;
  void* context = NULL;
  CHECK(!InitOnceExecuteOnce(&once, refuse, NULL, NULL) && runs == 1);
  on_threads(use_thing);
  CHECK(runs == 2);

  CHECK((InitOnceInitialize(&own), own.Ptr == NULL));
  SetLastError(0);
  CHECK(!InitOnceBeginInitialize(&own, INIT_ONCE_CHECK_ONLY, &pending, &context) &&
        GetLastError() == ERROR_GEN_FAILURE);
  CHECK(InitOnceBeginInitialize(&own, 0, &pending, &context) && pending);
  CHECK(InitOnceComplete(&own, INIT_ONCE_INIT_FAILED, NULL));
  CHECK(InitOnceBeginInitialize(&own, INIT_ONCE_ASYNC, &pending, &context) && pending);
  CHECK(InitOnceBeginInitialize(&own, INIT_ONCE_ASYNC, &pending, &context) && pending);
  CHECK(InitOnceComplete(&own, INIT_ONCE_ASYNC, &thing));
  CHECK(!InitOnceComplete(&own, INIT_ONCE_ASYNC, &thing));
  CHECK(InitOnceBeginInitialize(&own, INIT_ONCE_CHECK_ONLY, &pending, &context) && !pending &&
        context == &thing);

  CHECK(FIND(ntdll, RtlRunOnceInitialize) && FIND(ntdll, RtlRunOnceBeginInitialize));
  CHECK(FIND(ntdll, RtlRunOnceComplete) && FIND(ntdll, RtlRunOnceExecuteOnce));
  context = NULL;
  CHECK((RtlRunOnceInitialize(&own), own.Ptr == NULL));
  CHECK(RtlRunOnceBeginInitialize(&own, 0, &context) == 0x103);
  CHECK(RtlRunOnceComplete(&own, 0, &thing) == 0);
  CHECK(RtlRunOnceBeginInitialize(&own, 0, &context) == 0 && context == &thing);
  CHECK((RtlRunOnceInitialize(&own), RtlRunOnceExecuteOnce(&own, initialise, &thing, &context)) == 0);
  CHECK(runs == 3 && context == &thing);
}

int main(void) {
  const HMODULE ntdll = GetModuleHandleA("ntdll");
  critical_sections();
  rtl_critical_sections(ntdll);
  srw_locks();
  rtl_srw_locks(ntdll);
  condition_variables();
  rtl_condition_variables(ntdll);
  waits_on_addresses(ntdll);
  one_time(ntdll);
  return DONE();
}
