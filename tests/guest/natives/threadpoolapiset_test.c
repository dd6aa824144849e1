// threadpoolapiset.h and threadpoollegacyapiset.h: callbacks on the pool's threads.
#define _WIN32_WINNT 0x0A00
#include "check.h"

typedef BOOL(WINAPI* SetTimerEx_t)(PTP_TIMER, PFILETIME, DWORD, DWORD);
typedef BOOL(WINAPI* SetWaitEx_t)(PTP_WAIT, HANDLE, PFILETIME, PVOID);

static volatile LONG count, cancelled, finalized;
static HANDLE reached, gate, mutex, semaphore, finished;
static CRITICAL_SECTION section;

static FILETIME from_now(int milliseconds) {
  LARGE_INTEGER time;
  FILETIME result;
  time.QuadPart = milliseconds * -10000LL;
  result.dwLowDateTime = time.LowPart;
  result.dwHighDateTime = (DWORD)time.HighPart;
  return result;
}

static BOOL signalled(HANDLE handle) { return WaitForSingleObject(handle, INFINITE) == WAIT_OBJECT_0; }

static void CALLBACK add(PTP_CALLBACK_INSTANCE instance, void* context, PTP_WORK work) {
  (void)instance, (void)work;
  InterlockedAdd(&count, (LONG)(INT_PTR)context);
}

static void CALLBACK block(PTP_CALLBACK_INSTANCE instance, void* context, PTP_WORK work) {
  (void)context, (void)work;
  CHECK(!CallbackMayRunLong(instance));  // in a pool of one thread
  SetEvent(reached);
  WaitForSingleObject(gate, INFINITE);
  InterlockedIncrement(&count);
}

static void CALLBACK detach(PTP_CALLBACK_INSTANCE instance, void* context, PTP_WORK work) {
  (void)context, (void)work;
  DisassociateCurrentThreadFromCallback(instance);
  SetEvent(reached);
  WaitForSingleObject(gate, INFINITE);
  SetEvent(finished);
}

static void CALLBACK leave_things(PTP_CALLBACK_INSTANCE instance, void* module) {
  EnterCriticalSection(&section);
  CHECK(WaitForSingleObject(mutex, INFINITE) == WAIT_OBJECT_0);
  LeaveCriticalSectionWhenCallbackReturns(instance, &section);
  ReleaseMutexWhenCallbackReturns(instance, mutex);
  ReleaseSemaphoreWhenCallbackReturns(instance, semaphore, 2);
  SetEventWhenCallbackReturns(instance, reached);
  FreeLibraryWhenCallbackReturns(instance, module);
}

static void works(void) {
  PTP_WORK work = CreateThreadpoolWork(add, (void*)3, NULL);
  CHECK(work != NULL);
  for (int i = 0; i < 50; ++i) SubmitThreadpoolWork(work);
  WaitForThreadpoolWorkCallbacks(work, FALSE);
  CHECK(count == 150);
  CloseThreadpoolWork(work);

  count = 0;
  work = CreateThreadpoolWork(detach, NULL, NULL);
  SubmitThreadpoolWork(work);
  CHECK(signalled(reached));
  WaitForThreadpoolWorkCallbacks(work, FALSE);
  CHECK(WaitForSingleObject(finished, 0) == WAIT_TIMEOUT);
  SetEvent(gate);
  CHECK(signalled(finished));
  CloseThreadpoolWork(work);
  ResetEvent(gate);

  CHECK(TrySubmitThreadpoolCallback(leave_things, LoadLibraryA("kernel32.dll"), NULL));
  CHECK(signalled(reached));
  CHECK(signalled(mutex) && ReleaseMutex(mutex));
  CHECK(signalled(semaphore) && signalled(semaphore) && WaitForSingleObject(semaphore, 0) == WAIT_TIMEOUT);
  EnterCriticalSection(&section);
  LeaveCriticalSection(&section);
}

static void CALLBACK tick(PTP_CALLBACK_INSTANCE instance, void* context, PTP_TIMER timer) {
  (void)instance, (void)context, (void)timer;
  if (InterlockedIncrement(&count) == 3) SetEvent(reached);
}

static void timers(void) {
  const SetTimerEx_t set_ex =
      (SetTimerEx_t)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "SetThreadpoolTimerEx");
  PTP_TIMER timer = CreateThreadpoolTimer(tick, NULL, NULL);
  FILETIME due = from_now(1), late = from_now(3600000);
  CHECK(timer != NULL && !IsThreadpoolTimerSet(timer));
  count = 0;
  SetThreadpoolTimer(timer, &due, 1, 0);
  CHECK(IsThreadpoolTimerSet(timer));
  CHECK(signalled(reached));
  SetThreadpoolTimer(timer, NULL, 0, 0);
  WaitForThreadpoolTimerCallbacks(timer, TRUE);
  CHECK(!IsThreadpoolTimerSet(timer) && count >= 3);
  if (set_ex != NULL) {
    CHECK(!set_ex(timer, &late, 0, 0));
    CHECK(set_ex(timer, NULL, 0, 0));
  }
  CloseThreadpoolTimer(timer);
}

static void CALLBACK waited(PTP_CALLBACK_INSTANCE instance, void* context, PTP_WAIT wait,
                            TP_WAIT_RESULT result) {
  (void)instance, (void)wait;
  *(volatile LONG*)context = (LONG)result;
  SetEvent(reached);
}

static void waits(void) {
  const SetWaitEx_t set_ex =
      (SetWaitEx_t)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "SetThreadpoolWaitEx");
  volatile LONG result = 99;
  HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL);
  PTP_WAIT wait = CreateThreadpoolWait(waited, (void*)&result, NULL);
  FILETIME due = from_now(1);
  SetThreadpoolWait(wait, event, NULL);
  SetEvent(event);
  CHECK(signalled(reached) && result == (LONG)WAIT_OBJECT_0);
  SetThreadpoolWait(wait, event, &due);
  CHECK(signalled(reached) && result == WAIT_TIMEOUT);
  WaitForThreadpoolWaitCallbacks(wait, FALSE);
  if (set_ex != NULL) {
    CHECK(!set_ex(wait, event, NULL, NULL));
    CHECK(set_ex(wait, NULL, NULL, NULL));
  }
  CloseThreadpoolWait(wait);
  CHECK(CloseHandle(event));
}

static void CALLBACK was_cancelled(void* context, void* cleanup) {
  CHECK(context == (void*)7 && cleanup == (void*)8);
  InterlockedIncrement(&cancelled);
}

static void groups(void) {
  TP_CALLBACK_ENVIRON environment;
  PTP_POOL pool = CreateThreadpool(NULL);
  PTP_CLEANUP_GROUP group = CreateThreadpoolCleanupGroup();
  PTP_WORK work;
  CHECK(pool != NULL && group != NULL);
  SetThreadpoolThreadMaximum(pool, 1);
  CHECK(SetThreadpoolThreadMinimum(pool, 1));
  TpInitializeCallbackEnviron(&environment);
  TpSetCallbackThreadpool(&environment, pool);
  TpSetCallbackCleanupGroup(&environment, group, was_cancelled);
  count = 0;
  work = CreateThreadpoolWork(block, (void*)7, &environment);
  SubmitThreadpoolWork(work);
  CHECK(signalled(reached));
  for (int i = 0; i < 4; ++i) SubmitThreadpoolWork(work);
  SetEvent(gate);
  CloseThreadpoolCleanupGroupMembers(group, FALSE, (void*)8);
  CHECK(count == 5 && cancelled == 0);
  // Each is told of once, whether it has anything to cancel or not.
  CHECK(CreateThreadpoolWork(add, (void*)7, &environment) &&
        CreateThreadpoolWork(add, (void*)7, &environment));
  CloseThreadpoolCleanupGroupMembers(group, TRUE, (void*)8);
  CHECK(cancelled == 2);
  CloseThreadpoolCleanupGroup(group);
  CloseThreadpool(pool);
  ResetEvent(gate);
  ResetEvent(reached);
}

static void CALLBACK close_itself(PTP_CALLBACK_INSTANCE instance, void* context, PTP_TIMER timer) {
  (void)instance, (void)context;
  CloseThreadpoolTimer(timer);
  if (InterlockedIncrement(&count) == 2) SetEvent(reached);
}

// A pool may be closed before what is bound to it, and lives as long.
static void closed_pool(void) {
  TP_CALLBACK_ENVIRON environment;
  PTP_POOL pool = CreateThreadpool(NULL);
  PTP_WORK work;
  FILETIME due = from_now(1);
  TpInitializeCallbackEnviron(&environment);
  TpSetCallbackThreadpool(&environment, pool);
  work = CreateThreadpoolWork(add, (void*)1, &environment);
  count = 0;
  for (int i = 0; i < 2; ++i)
    SetThreadpoolTimer(CreateThreadpoolTimer(close_itself, NULL, &environment), &due, 0, 0);
  CHECK(signalled(reached));
  CloseThreadpool(pool);
  if (!running_under_wine()) {  // whose pools are no good for anything from then on
    for (int i = 0; i < 10; ++i) SubmitThreadpoolWork(work);
    WaitForThreadpoolWorkCallbacks(work, FALSE);
    CHECK(count == 12);
  }
  CloseThreadpoolWork(work);
}

static HANDLE again;

static void CALLBACK set_anew(void* context, BOOLEAN timed_out) {
  (void)context, (void)timed_out;
  WaitForSingleObject(gate, INFINITE);  // `again` is known
  InterlockedIncrement(&count);
  SetEvent(reached);
  CHECK(ChangeTimerQueueTimer(NULL, again, 0, 3600000));
}

static DWORD WINAPI old_work(void* context) {
  InterlockedAdd(&count, (LONG)(INT_PTR)context);
  SetEvent(reached);
  return 0;
}

static void CALLBACK old_callback(void* context, BOOLEAN timed_out) {
  CHECK(context == &count);
  if (InterlockedAdd(&count, timed_out ? 1 : 100) >= 3) SetEvent(reached);
}

static void before_vista(void) {
  HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL), wait = NULL, queue, timer = NULL, other = NULL;
  count = 0;
  CHECK(QueueUserWorkItem(old_work, (void*)5, WT_EXECUTEDEFAULT));
  CHECK(signalled(reached) && count == 5);

  count = 0;
  CHECK(RegisterWaitForSingleObject(&wait, event, old_callback, (void*)&count, INFINITE, WT_EXECUTEDEFAULT));
  SetEvent(event);
  CHECK(signalled(reached));
  SetEvent(event);
  CHECK(signalled(reached) && count == 200);
  CHECK(UnregisterWaitEx(wait, INVALID_HANDLE_VALUE));
  CHECK(RegisterWaitForSingleObject(&wait, event, old_callback, (void*)&count, INFINITE, WT_EXECUTEONLYONCE));
  CHECK(UnregisterWait(wait));

  count = 0;
  queue = CreateTimerQueue();
  CHECK(queue != NULL);
  CHECK(CreateTimerQueueTimer(&timer, queue, old_callback, (void*)&count, 1, 1, WT_EXECUTEDEFAULT));
  CHECK(signalled(reached) && count >= 3);
  CHECK(ChangeTimerQueueTimer(queue, timer, 3600000, 0));
  CHECK(DeleteTimerQueueTimer(queue, timer, INVALID_HANDLE_VALUE));
  CHECK(CreateTimerQueueTimer(&other, queue, old_callback, (void*)&count, 3600000, 0, WT_EXECUTEONLYONCE));
  CHECK(DeleteTimerQueueEx(queue, INVALID_HANDLE_VALUE));
  // One that its callback sets anew each time: none comes once it has been deleted.
  for (int round = 0; round < 20; ++round) {
    CHECK(CreateTimerQueueTimer(&again, NULL, set_anew, NULL, 0, 3600000, WT_EXECUTEDEFAULT));
    SetEvent(gate);
    CHECK(signalled(reached) && DeleteTimerQueueTimer(NULL, again, INVALID_HANDLE_VALUE));
    const LONG last = count;
    Sleep(1);
    CHECK(count == last);
    ResetEvent(reached);
    ResetEvent(gate);
  }
  queue = CreateTimerQueue();
  CHECK(DeleteTimerQueue(queue) || GetLastError() == ERROR_IO_PENDING);
  CHECK(CloseHandle(event));
}

int main(void) {
  reached = CreateEventW(NULL, FALSE, FALSE, NULL);
  finished = CreateEventW(NULL, FALSE, FALSE, NULL);
  gate = CreateEventW(NULL, TRUE, FALSE, NULL);
  mutex = CreateMutexW(NULL, FALSE, NULL);
  semaphore = CreateSemaphoreW(NULL, 0, 10, NULL);
  InitializeCriticalSection(&section);
  works();
  timers();
  waits();
  groups();
  closed_pool();
  before_vista();
  return DONE();
}
