// synchapi.h: events, mutexes, semaphores, waitable timers, and waiting.
#define _WIN32_WINNT 0x0A00
#include "check.h"

#define EVERYTHING 0x1F0003
#define MS(n) ((n) * -10000LL)  // a relative time, 100 ns each

static HANDLE start(DWORD(WINAPI* routine)(void*), void* parameter) {
  return CreateThread(NULL, 0, routine, parameter, 0, NULL);
}

static void join(HANDLE thread) {
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(CloseHandle(thread));
}

static void events(void) {
  HANDLE automatic = CreateEventW(NULL, FALSE, TRUE, NULL), manual = CreateEventA(NULL, TRUE, FALSE, NULL);
  HANDLE ex_a = CreateEventExA(NULL, NULL, CREATE_EVENT_MANUAL_RESET | CREATE_EVENT_INITIAL_SET, EVERYTHING);
  HANDLE ex_w = CreateEventExW(NULL, NULL, 0, EVERYTHING);
  CHECK(WaitForSingleObject(automatic, 0) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(automatic, 0) == WAIT_TIMEOUT);
  CHECK(SetEvent(manual));
  CHECK(WaitForSingleObject(manual, INFINITE) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObjectEx(manual, 0, TRUE) == WAIT_OBJECT_0);
  CHECK(ResetEvent(manual));
  CHECK(WaitForSingleObject(manual, 1) == WAIT_TIMEOUT);
  CHECK(WaitForSingleObject(ex_a, 0) == WAIT_OBJECT_0 && WaitForSingleObject(ex_a, 0) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(ex_w, 0) == WAIT_TIMEOUT);
  CHECK(PulseEvent(manual) && WaitForSingleObject(manual, 0) == WAIT_TIMEOUT);
  CHECK(CloseHandle(automatic) && CloseHandle(manual) && CloseHandle(ex_a) && CloseHandle(ex_w));
  SetLastError(0);
  CHECK(!SetEvent(automatic) && GetLastError() == ERROR_INVALID_HANDLE);
  SetLastError(0);
  CHECK(WaitForSingleObject(automatic, 0) == WAIT_FAILED && GetLastError() == ERROR_INVALID_HANDLE);
}

static void names(void) {
  SetLastError(99);
  HANDLE one = CreateEventW(NULL, TRUE, FALSE, L"bobbin-test-door");
  CHECK(one != NULL && GetLastError() == 0);
  HANDLE two = CreateEventA(NULL, TRUE, FALSE, "bobbin-test-door");
  CHECK(two != NULL && GetLastError() == ERROR_ALREADY_EXISTS);
  HANDLE three = OpenEventW(EVERYTHING, FALSE, L"bobbin-test-door");
  HANDLE four = OpenEventA(EVERYTHING, FALSE, "Local\\bobbin-test-door");
  CHECK(three != NULL && four != NULL && three != one);
  CHECK(SetEvent(four) && WaitForSingleObject(one, 0) == WAIT_OBJECT_0);
  SetLastError(0);
  CHECK(CreateMutexW(NULL, FALSE, L"bobbin-test-door") == NULL && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(CloseHandle(one) && CloseHandle(two) && CloseHandle(three) && CloseHandle(four));
  SetLastError(0);
  CHECK(OpenEventW(EVERYTHING, FALSE, L"bobbin-test-door") == NULL && GetLastError() == ERROR_FILE_NOT_FOUND);
}

static DWORD WINAPI take_and_leave(void* mutex) { return WaitForSingleObject(mutex, INFINITE); }
static DWORD WINAPI release_anothers(void* mutex) { return ReleaseMutex(mutex) ? 0 : GetLastError(); }

static void mutexes(void) {
  HANDLE mutex = CreateMutexW(NULL, TRUE, L"bobbin-test-mutex"),
         again = CreateMutexA(NULL, FALSE, "bobbin-test-mutex");
  HANDLE ex_a = CreateMutexExA(NULL, "bobbin-test-mutex", 0, EVERYTHING);
  HANDLE ex_w = CreateMutexExW(NULL, NULL, CREATE_MUTEX_INITIAL_OWNER, EVERYTHING);
  HANDLE open_w = OpenMutexW(EVERYTHING, FALSE, L"bobbin-test-mutex");
  HANDLE open_a = OpenMutexA(EVERYTHING, FALSE, "bobbin-test-mutex");
  HANDLE thread;
  DWORD code = 99;
  CHECK(mutex && again && ex_a && ex_w && open_w && open_a);
  CHECK(WaitForSingleObject(mutex, 0) == WAIT_OBJECT_0);
  CHECK(ReleaseMutex(again) && ReleaseMutex(open_a));
  SetLastError(0);
  CHECK(!ReleaseMutex(mutex) && GetLastError() == ERROR_NOT_OWNER);
  thread = start(release_anothers, ex_w);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code) && code == ERROR_NOT_OWNER);
  CloseHandle(thread);
  join(start(take_and_leave, mutex));
  CHECK(WaitForSingleObject(mutex, 0) == WAIT_ABANDONED);
  CHECK(ReleaseMutex(mutex));
  CHECK(WaitForSingleObject(mutex, 0) == WAIT_OBJECT_0);
  CHECK(ReleaseMutex(mutex));
  CHECK(ReleaseMutex(ex_w));
  CHECK(CloseHandle(mutex) && CloseHandle(again) && CloseHandle(ex_a) && CloseHandle(ex_w) &&
        CloseHandle(open_w) && CloseHandle(open_a));
}

static void semaphores(void) {
  HANDLE semaphore = CreateSemaphoreW(NULL, 1, 3, L"bobbin-test-semaphore");
  HANDLE ansi = CreateSemaphoreA(NULL, 0, 1, NULL),
         ex_a = CreateSemaphoreExA(NULL, 2, 2, NULL, 0, EVERYTHING);
  HANDLE ex_w = CreateSemaphoreExW(NULL, 1, 1, NULL, 0, EVERYTHING);
  HANDLE open_w = OpenSemaphoreW(EVERYTHING, FALSE, L"bobbin-test-semaphore");
  HANDLE open_a = OpenSemaphoreA(EVERYTHING, FALSE, "bobbin-test-semaphore");
  LONG before = 99;
  CHECK(semaphore && ansi && ex_a && ex_w && open_w && open_a);
  CHECK(WaitForSingleObject(open_w, 0) == WAIT_OBJECT_0 && WaitForSingleObject(open_a, 0) == WAIT_TIMEOUT);
  CHECK(ReleaseSemaphore(semaphore, 2, &before) && before == 0);
  SetLastError(0);
  CHECK(!ReleaseSemaphore(semaphore, 2, &before) && GetLastError() == ERROR_TOO_MANY_POSTS);
  CHECK(ReleaseSemaphore(semaphore, 1, NULL));
  CHECK(WaitForSingleObject(ansi, 0) == WAIT_TIMEOUT);
  CHECK(WaitForSingleObject(ex_a, 0) == WAIT_OBJECT_0 && WaitForSingleObject(ex_a, 0) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(ex_a, 0) == WAIT_TIMEOUT && WaitForSingleObject(ex_w, 0) == WAIT_OBJECT_0);
  SetLastError(0);
  CHECK(CreateSemaphoreW(NULL, 2, 1, NULL) == NULL && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(CloseHandle(semaphore) && CloseHandle(ansi) && CloseHandle(ex_a) && CloseHandle(ex_w) &&
        CloseHandle(open_w) && CloseHandle(open_a));
}

static void timers(void) {
  HANDLE timer = CreateWaitableTimerW(NULL, FALSE, L"bobbin-test-timer"),
         manual = CreateWaitableTimerA(NULL, TRUE, NULL);
  HANDLE ex_a = CreateWaitableTimerExA(NULL, NULL, CREATE_WAITABLE_TIMER_MANUAL_RESET, EVERYTHING);
  HANDLE ex_w = CreateWaitableTimerExW(NULL, NULL, 0, EVERYTHING);
  HANDLE open_w = OpenWaitableTimerW(EVERYTHING, FALSE, L"bobbin-test-timer");
  HANDLE open_a = OpenWaitableTimerA(EVERYTHING, FALSE, "bobbin-test-timer");
  LARGE_INTEGER due;
  CHECK(timer && manual && ex_a && ex_w && open_w && open_a);
  CHECK(WaitForSingleObject(timer, 0) == WAIT_TIMEOUT);
  due.QuadPart = MS(2);
  CHECK(SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE));
  CHECK(WaitForSingleObject(open_w, INFINITE) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(open_a, 0) == WAIT_TIMEOUT);
  CHECK(SetWaitableTimer(ex_w, &due, 2, NULL, NULL, FALSE));
  CHECK(WaitForSingleObject(ex_w, INFINITE) == WAIT_OBJECT_0 &&
        WaitForSingleObject(ex_w, INFINITE) == WAIT_OBJECT_0);
  CHECK(SetWaitableTimerEx(manual, &due, 0, NULL, NULL, NULL, 0));
  CHECK(WaitForSingleObject(manual, INFINITE) == WAIT_OBJECT_0 &&
        WaitForSingleObject(manual, 0) == WAIT_OBJECT_0);
  due.QuadPart = MS(3600000);
  CHECK(SetWaitableTimer(ex_a, &due, 0, NULL, NULL, FALSE));
  CHECK(CancelWaitableTimer(ex_a));
  CHECK(WaitForSingleObject(ex_a, 1) == WAIT_TIMEOUT);
  CHECK(CloseHandle(timer) && CloseHandle(manual) && CloseHandle(ex_a) && CloseHandle(ex_w) &&
        CloseHandle(open_w) && CloseHandle(open_a));
}

static DWORD WINAPI answer(void* events) {
  HANDLE* pair = events;
  if (WaitForSingleObject(pair[0], INFINITE) != WAIT_OBJECT_0) return 1;
  return SetEvent(pair[1]) ? 0 : 2;
}

static void waits_on_many(void) {
  HANDLE pair[2] = {CreateEventW(NULL, FALSE, FALSE, NULL), CreateEventW(NULL, FALSE, TRUE, NULL)};
  HANDLE twice[2] = {pair[0], pair[0]};
  HANDLE thread;
  CHECK(WaitForMultipleObjects(2, pair, TRUE, 0) == WAIT_TIMEOUT);
  CHECK(WaitForMultipleObjects(2, pair, FALSE, INFINITE) == WAIT_OBJECT_0 + 1);
  CHECK(WaitForMultipleObjectsEx(2, pair, FALSE, 1, TRUE) == WAIT_TIMEOUT);
  CHECK(SetEvent(pair[0]) && SetEvent(pair[1]));
  CHECK(WaitForMultipleObjectsEx(2, pair, TRUE, INFINITE, FALSE) == WAIT_OBJECT_0);
  if (GetProcAddress(GetModuleHandleA("ntdll"), "wine_get_version") == NULL) {  // Wine lets it pass
    SetLastError(0);
    CHECK(WaitForMultipleObjects(2, twice, TRUE, 0) == WAIT_FAILED &&
          GetLastError() == ERROR_INVALID_PARAMETER);
  }
  SetLastError(0);
  CHECK(WaitForMultipleObjects(65, pair, FALSE, 0) == WAIT_FAILED &&
        GetLastError() == ERROR_INVALID_PARAMETER);
  thread = start(answer, pair);
  CHECK(SignalObjectAndWait(pair[0], pair[1], INFINITE, FALSE) == WAIT_OBJECT_0);
  join(thread);
  CHECK(CloseHandle(pair[0]) && CloseHandle(pair[1]));
}

static void time_passes(void) {
  const DWORD before = GetTickCount();
  Sleep(20);
  CHECK(GetTickCount() - before >= 10);
  CHECK(SleepEx(1, TRUE) == 0);
  Sleep(0);
  CHECK(SwitchToThread() == TRUE || SwitchToThread() == FALSE);
}

typedef LONG(WINAPI* NtCreateEvent_t)(HANDLE*, ACCESS_MASK, void*, ULONG, BOOLEAN);
typedef LONG(WINAPI* NtChangeEvent_t)(HANDLE, LONG*);
typedef LONG(WINAPI* NtClearEvent_t)(HANDLE);
typedef LONG(WINAPI* NtWait_t)(HANDLE, BOOLEAN, LARGE_INTEGER*);
typedef LONG(WINAPI* NtWaitMany_t)(ULONG, HANDLE*, ULONG, BOOLEAN, LARGE_INTEGER*);
typedef LONG(WINAPI* NtDelay_t)(BOOLEAN, LARGE_INTEGER*);
typedef LONG(WINAPI* NtYield_t)(void);

static void ntdlls(void) {
  const HMODULE ntdll = GetModuleHandleA("ntdll");
  const NtCreateEvent_t create = (NtCreateEvent_t)(void*)GetProcAddress(ntdll, "NtCreateEvent");
  const NtChangeEvent_t set = (NtChangeEvent_t)(void*)GetProcAddress(ntdll, "NtSetEvent");
  const NtChangeEvent_t reset = (NtChangeEvent_t)(void*)GetProcAddress(ntdll, "NtResetEvent");
  const NtClearEvent_t clear = (NtClearEvent_t)(void*)GetProcAddress(ntdll, "NtClearEvent");
  const NtWait_t wait = (NtWait_t)(void*)GetProcAddress(ntdll, "NtWaitForSingleObject");
  const NtWaitMany_t wait_many = (NtWaitMany_t)(void*)GetProcAddress(ntdll, "NtWaitForMultipleObjects");
  const NtDelay_t delay = (NtDelay_t)(void*)GetProcAddress(ntdll, "NtDelayExecution");
  const NtYield_t yield = (NtYield_t)(void*)GetProcAddress(ntdll, "NtYieldExecution");
  HANDLE pair[2] = {NULL, NULL};
  LARGE_INTEGER poll = {{0, 0}}, moment;
  LONG previous = 99;
  moment.QuadPart = MS(1);
  CHECK(create(&pair[0], EVERYTHING, NULL, 0, FALSE) == 0);  // stays set
  CHECK(create(&pair[1], EVERYTHING, NULL, 1, TRUE) == 0);   // resets itself
  CHECK(wait(pair[0], FALSE, &moment) == WAIT_TIMEOUT);
  CHECK(wait(pair[1], FALSE, &poll) == 0 && wait(pair[1], FALSE, &poll) == WAIT_TIMEOUT);
  CHECK(set(pair[0], &previous) == 0 && previous == 0);
  CHECK(set(pair[0], &previous) == 0 && previous != 0);
  CHECK(wait(pair[0], FALSE, NULL) == 0);
  CHECK(wait_many(2, pair, 1, FALSE, NULL) == 0);
  CHECK(wait_many(2, pair, 0, FALSE, &poll) == WAIT_TIMEOUT);
  CHECK(reset(pair[0], &previous) == 0 && previous != 0);
  CHECK(set(pair[0], NULL) == 0 && clear(pair[0]) == 0 && wait(pair[0], FALSE, &poll) == WAIT_TIMEOUT);
  CHECK(wait((HANDLE)0x12340, FALSE, &poll) == (LONG)0xC0000008);
  CHECK(delay(FALSE, &moment) == 0);
  CHECK(yield() >= 0);
  CHECK(CloseHandle(pair[0]) && CloseHandle(pair[1]));
}

int main(void) {
  events();
  names();
  mutexes();
  semaphores();
  timers();
  waits_on_many();
  time_passes();
  ntdlls();
  return DONE();
}
