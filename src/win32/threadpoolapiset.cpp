// threadpoolapiset.h: work, timer and wait objects of the thread pool, its pools and cleanup groups. (What
// came before them, QueueUserWorkItem and timer queues, is in threadpoollegacyapiset.cpp.)
//
// The guest's TP_WORK*, TP_TIMER* and TP_WAIT* are our Item*, TP_POOL* and TP_CLEANUP_GROUP* our Pool* and
// Group*. A TP_CALLBACK_INSTANCE* is an Instance on the worker's stack.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "sync/critical_section.hpp"
#include "thread/guest_call.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/pool.hpp"

namespace bobbin::win32 {

using namespace abi;
using process::Call;
using process::Task;
using process::ThreadPool;
using sync::Event;
using sync::Ref;

namespace {

constinit os::Mutex g_pools;  ///< guards those of the services

std::shared_ptr<ThreadPool> make_pool() {
  thread::Threads& threads = services().threads;
  return std::make_shared<ThreadPool>(process::PoolThreads{
      .create_worker = [&threads](void (*routine)(void*), void* argument) -> Result<void> {
        auto worker = threads.create({.host_routine = [=] { routine(argument); }});
        if (!worker) return propagate(worker);
        return threads.start(**worker);
      },
      .current_waiter = []() -> sync::Waiter& { return thread::current_waiter(); }});
}

}  // namespace

ThreadPool& default_pool() {
  const std::scoped_lock lock(g_pools);
  std::shared_ptr<ThreadPool>& pool = services().thread_pool;
  if (!pool) pool = make_pool();
  return *pool;
}

void stop_pools() noexcept {
  Services& all = services();
  for (const auto& other : all.other_pools) {
    if (const auto pool = other.lock()) pool->stop();
  }
  all.thread_pool.reset();
}

namespace {

struct Item;

/// A pool lives as long as the guest has it or a task is bound to it: it may be closed before them.
struct Pool {
  std::shared_ptr<ThreadPool> threads;
};

/// Work, timers and waits that are closed together.
struct Group {
  os::Mutex mutex;
  std::vector<Item*> items;  ///< guarded by mutex
};

/// TP_CALLBACK_ENVIRON, version 1 and (with what follows Flags) 3.
struct Environment {
  ULONG Version;
  Pool* pool;
  Group* group;
  PVOID CleanupGroupCancelCallback;
  PVOID RaceDll;
  PVOID ActivationContext;
  PVOID FinalizationCallback;
  ULONG Flags;
};

/// Goes with its task: when the guest has closed it, and no callback of it is left.
struct Item {
  Task* task = nullptr;  ///< the guest has a reference until it closes the item
  std::shared_ptr<ThreadPool> pool;
  Group* group = nullptr;
  PVOID cancel_callback = nullptr;
  PVOID context = nullptr;
  bool once = false;             ///< of TrySubmitThreadpoolCallback: the guest does not know it
  std::atomic<bool> set{false};  ///< a timer that has been set and not cancelled
};

/// A callback while it runs, and what is to be done when it has returned.
struct Instance {
  Call& call;
  RTL_CRITICAL_SECTION* section = nullptr;
  Ref<sync::Mutex> mutex = {};
  Ref<sync::Semaphore> semaphore = {};
  LONG semaphore_count = 0;
  Ref<Event> event = {};
  HMODULE module = nullptr;

  void finish() {
    if (section != nullptr) sync::leave(*section);
    if (mutex) (void)mutex->release(thread::current_waiter());
    if (semaphore) (void)semaphore->release(semaphore_count);
    if (event) event->set();
    if (module != nullptr) (void)services().loader.free(module);
  }
};

std::shared_ptr<ThreadPool> pool_of(const Environment* environment) {
  if (environment != nullptr && environment->pool != nullptr) return environment->pool->threads;
  return {std::shared_ptr<void>(), &default_pool()};  // which outlives all tasks
}

/// A task that calls the guest: callback(instance, context, object, wait result), of which a callback takes
/// as many as its kind has; then does what the callback left to be done, and finalizes.
Ref<Task> guest_task(const std::shared_ptr<Item>& item, PVOID callback, PVOID object, PVOID finalization) {
  return Ref<Task>::adopt(new Task([=](Call& call) {
    Instance instance{.call = call};
    const DWORD result = call.why() == Call::Why::timed_out ? STATUS_TIMEOUT : STATUS_WAIT_0;
    if (!thread::call_guest<void(Instance*, PVOID, PVOID, DWORD)>(callback, &instance, item->context, object,
                                                                  result)) {
      return false;
    }
    instance.finish();
    return finalization == nullptr ||
           thread::call_guest<void(Instance*, PVOID)>(finalization, &instance, item->context).has_value();
  }));
}

Item* create(PVOID callback, PVOID context, const Environment* environment, bool once = false) {
  if (callback == nullptr) return failed(ERROR_INVALID_PARAMETER, nullptr);
  const auto item = std::make_shared<Item>();
  item->pool = pool_of(environment);
  item->context = context;
  item->once = once;
  PVOID finalization = nullptr;
  if (environment != nullptr) {
    item->group = environment->group;
    item->cancel_callback = environment->CleanupGroupCancelCallback;
    finalization = environment->FinalizationCallback;
  }
  Ref<Task> task = guest_task(item, callback, once ? nullptr : item.get(), finalization);
  item->task = task.get();
  if (item->group != nullptr && !once) {
    const std::scoped_lock lock(item->group->mutex);
    item->group->items.push_back(item.get());
  }
  (void)task.leak();  // the guest's
  return item.get();
}

void wait_for_callbacks(Item* item, BOOL cancel_pending) {
  const Ref<Task> task(item->task);  // with the item: a callback may close it
  if (cancel_pending) item->pool->cancel_pending(*task);
  item->pool->wait_until_idle(*task, thread::current_waiter());
}

/// Takes the guest's reference back.
void release(Item* item) {
  const Ref<Task> task = Ref<Task>::adopt(item->task);
  item->pool->retire(*task);
}

void close(Item* item) {
  if (item->group != nullptr) {
    const std::scoped_lock lock(item->group->mutex);
    std::erase(item->group->items, item);
  }
  release(item);
}

/// A FILETIME as ntdll's timeouts are: negative from now, positive a system time.
os::Deadline deadline_of_time(const FILETIME& time) {
  LARGE_INTEGER value;
  value.u.LowPart = time.dwLowDateTime;
  value.u.HighPart = static_cast<LONG>(time.dwHighDateTime);
  return deadline_of(&value);
}

// ---- work ------------------------------------------------------------------------------------------------

Item* CreateThreadpoolWork(PVOID callback, PVOID context, const Environment* environment) {
  return create(callback, context, environment);
}
void SubmitThreadpoolWork(Item* work) { (void)work->pool->submit(*work->task); }
void WaitForThreadpoolWorkCallbacks(Item* work, BOOL cancel_pending) {
  wait_for_callbacks(work, cancel_pending);
}
void CloseThreadpoolWork(Item* work) { close(work); }

BOOL TrySubmitThreadpoolCallback(PVOID callback, PVOID context, const Environment* environment) {
  Item* const item = create(callback, context, environment, true);
  if (item == nullptr) return FALSE;
  if (auto submitted = item->pool->submit(*item->task); !submitted) {
    release(item);
    return failed(submitted.error());
  }
  if (item->group == nullptr) return release(item), TRUE;
  // The group can wait for it, or cancel it. Those that are over have no business there.
  const std::scoped_lock lock(item->group->mutex);
  std::erase_if(item->group->items, [](Item* other) {
    const bool over = other->once && other->pool->is_idle(*other->task);
    if (over) release(other);
    return over;
  });
  item->group->items.push_back(item);
  return TRUE;
}

// ---- timers ----------------------------------------------------------------------------------------------

Item* CreateThreadpoolTimer(PVOID callback, PVOID context, const Environment* environment) {
  return create(callback, context, environment);
}

/// Whether the timer had been set.
BOOL SetThreadpoolTimerEx(Item* timer, const FILETIME* due, DWORD period, DWORD) {
  const bool before = timer->set.exchange(due != nullptr);
  if (due == nullptr) {
    timer->pool->unwatch(*timer->task);
  } else {
    const os::Deadline when = deadline_of_time(*due);
    (void)timer->pool->watch(*timer->task, {.deadline = when, .period = period * std::uint64_t{1'000'000}});
  }
  return before;
}

void SetThreadpoolTimer(Item* timer, const FILETIME* due, DWORD period, DWORD window) {
  (void)SetThreadpoolTimerEx(timer, due, period, window);
}
BOOL IsThreadpoolTimerSet(Item* timer) { return timer->set.load(); }
void WaitForThreadpoolTimerCallbacks(Item* timer, BOOL cancel_pending) {
  wait_for_callbacks(timer, cancel_pending);
}
void CloseThreadpoolTimer(Item* timer) { close(timer); }

// ---- waits -----------------------------------------------------------------------------------------------

Item* CreateThreadpoolWait(PVOID callback, PVOID context, const Environment* environment) {
  return create(callback, context, environment);
}

/// Whether a wait was given up for this one.
BOOL SetThreadpoolWaitEx(Item* wait, HANDLE handle, const FILETIME* timeout, PVOID) {
  if (handle == nullptr) return wait->pool->unwatch(*wait->task);
  const bool before = wait->pool->is_watching(*wait->task);
  auto object = waitable_of(handle);
  if (!object) return failed(object.error());
  const os::Deadline until = timeout == nullptr ? std::nullopt : deadline_of_time(*timeout);
  auto set = wait->pool->watch(*wait->task, {.object = std::move(*object), .deadline = until});
  return set ? before : failed(set.error());
}

void SetThreadpoolWait(Item* wait, HANDLE handle, const FILETIME* timeout) {
  (void)SetThreadpoolWaitEx(wait, handle, timeout, nullptr);
}
void WaitForThreadpoolWaitCallbacks(Item* wait, BOOL cancel_pending) {
  wait_for_callbacks(wait, cancel_pending);
}
void CloseThreadpoolWait(Item* wait) { close(wait); }

// ---- from within a callback ------------------------------------------------------------------------------

BOOL CallbackMayRunLong(Instance* instance) { return instance->call.may_run_long(); }
void DisassociateCurrentThreadFromCallback(Instance* instance) { instance->call.disassociate(); }
void FreeLibraryWhenCallbackReturns(Instance* instance, HMODULE module) { instance->module = module; }
void LeaveCriticalSectionWhenCallbackReturns(Instance* instance, RTL_CRITICAL_SECTION* section) {
  instance->section = section;
}
void SetEventWhenCallbackReturns(Instance* instance, HANDLE handle) {
  if (auto event = services().handles.get<Event>(handle_value(handle), sync::Kind::event)) {
    instance->event = std::move(*event);
  }
}
void ReleaseMutexWhenCallbackReturns(Instance* instance, HANDLE handle) {
  if (auto mutex = services().handles.get<sync::Mutex>(handle_value(handle), sync::Kind::mutex)) {
    instance->mutex = std::move(*mutex);
  }
}
void ReleaseSemaphoreWhenCallbackReturns(Instance* instance, HANDLE handle, DWORD count) {
  if (auto semaphore = services().handles.get<sync::Semaphore>(handle_value(handle), sync::Kind::semaphore)) {
    instance->semaphore = std::move(*semaphore);
    instance->semaphore_count = static_cast<LONG>(count);
  }
}

// ---- pools and cleanup groups ----------------------------------------------------------------------------

Pool* CreateThreadpool(PVOID) {
  auto pool = std::make_unique<Pool>(make_pool());
  const std::scoped_lock lock(g_pools);
  auto& others = services().other_pools;
  std::erase_if(others, [](const auto& other) { return other.expired(); });
  others.push_back(pool->threads);
  return pool.release();
}
void SetThreadpoolThreadMaximum(Pool* pool, DWORD count) { pool->threads->set_maximum(count); }
BOOL SetThreadpoolThreadMinimum(Pool* pool, DWORD count) {
  auto set = pool->threads->set_minimum(count);
  return set ? TRUE : failed(set.error());
}
void CloseThreadpool(Pool* pool) { delete pool; }

Group* CreateThreadpoolCleanupGroup() { return new Group; }

/// False if the guest has left meanwhile.
bool tell_of_cancelling(const Item& item, PVOID cleanup_context) {
  return item.cancel_callback == nullptr ||
         thread::call_guest<void(PVOID, PVOID)>(item.cancel_callback, item.context, cleanup_context);
}

void CloseThreadpoolCleanupGroupMembers(Group* group, BOOL cancel_pending, PVOID cleanup_context) {
  std::vector<Item*> items;
  {
    const std::scoped_lock lock(group->mutex);
    items.swap(group->items);
  }
  for (Item* const item : items) {
    item->pool->retire(*item->task);  // before the wait: a timer's callback may set it anew
    if (cancel_pending) item->pool->cancel_pending(*item->task);
  }
  for (Item* const item : items) {
    wait_for_callbacks(item, FALSE);
    if (cancel_pending && !tell_of_cancelling(*item, cleanup_context)) return;
    release(item);
  }
}

void CloseThreadpoolCleanupGroup(Group* group) { delete group; }

const Export kExports[] = {
    NATIVE(kKernel32, CallbackMayRunLong),
    NATIVE(kKernel32, CloseThreadpool),
    NATIVE(kKernel32, CloseThreadpoolCleanupGroup),
    NATIVE(kKernel32, CloseThreadpoolCleanupGroupMembers),
    NATIVE(kKernel32, CloseThreadpoolTimer),
    NATIVE(kKernel32, CloseThreadpoolWait),
    NATIVE(kKernel32, CloseThreadpoolWork),
    NATIVE(kKernel32, CreateThreadpool),
    NATIVE(kKernel32, CreateThreadpoolCleanupGroup),
    NATIVE(kKernel32, CreateThreadpoolTimer),
    NATIVE(kKernel32, CreateThreadpoolWait),
    NATIVE(kKernel32, CreateThreadpoolWork),
    NATIVE(kKernel32, DisassociateCurrentThreadFromCallback),
    NATIVE(kKernel32, FreeLibraryWhenCallbackReturns),
    NATIVE(kKernel32, IsThreadpoolTimerSet),
    NATIVE(kKernel32, LeaveCriticalSectionWhenCallbackReturns),
    NATIVE(kKernel32, ReleaseMutexWhenCallbackReturns),
    NATIVE(kKernel32, ReleaseSemaphoreWhenCallbackReturns),
    NATIVE(kKernel32, SetEventWhenCallbackReturns),
    NATIVE(kKernel32, SetThreadpoolThreadMaximum),
    NATIVE(kKernel32, SetThreadpoolThreadMinimum),
    NATIVE(kKernel32, SetThreadpoolTimer),
    NATIVE(kKernel32, SetThreadpoolTimerEx),
    NATIVE(kKernel32, SetThreadpoolWait),
    NATIVE(kKernel32, SetThreadpoolWaitEx),
    NATIVE(kKernel32, SubmitThreadpoolWork),
    NATIVE(kKernel32, TrySubmitThreadpoolCallback),
    NATIVE(kKernel32, WaitForThreadpoolTimerCallbacks),
    NATIVE(kKernel32, WaitForThreadpoolWaitCallbacks),
    NATIVE(kKernel32, WaitForThreadpoolWorkCallbacks),
};

}  // namespace

std::span<const Export> threadpoolapiset_natives() { return kExports; }

}  // namespace bobbin::win32
