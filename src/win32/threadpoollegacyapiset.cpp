// threadpoollegacyapiset.h: QueueUserWorkItem, registered waits and timer queues, on the same pool.
//
// The handles that these functions hand out are no kernel objects: they are pointers to a Callback or a
// Queue.
#include <algorithm>
#include <mutex>
#include <vector>

#include "abi/status.hpp"
#include "thread/guest_call.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/pool.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using process::Call;
using process::Task;
using process::ThreadPool;
using sync::Event;
using sync::Ref;

constexpr ULONG WT_EXECUTEONLYONCE = 8;

struct Queue;

/// A registered wait, or a timer of a queue.
struct Callback {
  Ref<Task> task;
  Queue* queue = nullptr;
};

struct Queue {
  os::Mutex mutex;
  std::vector<Callback*> timers;  ///< guarded by mutex
};

Queue& default_queue() {
  static Queue queue;
  return queue;
}

Queue& queue_of(HANDLE handle) { return handle == nullptr ? default_queue() : *static_cast<Queue*>(handle); }

/// callback(parameter, whether a time came)
Ref<Task> guest_task(PVOID callback, PVOID parameter) {
  return Ref<Task>::adopt(new Task([=](Call& call) {
    const BOOLEAN timed_out = call.why() == Call::Why::timed_out;
    return thread::call_guest<void(PVOID, BOOLEAN)>(callback, parameter, timed_out).has_value();
  }));
}

/// Ends a callback's task as `completion` says: nullptr, do not wait (ERROR_IO_PENDING if one is running);
/// INVALID_HANDLE_VALUE, wait; an event, set it when the last is over.
BOOL retire(const Ref<Task>& task, HANDLE completion) {
  ThreadPool& pool = default_pool();
  const bool waits = completion == INVALID_HANDLE_VALUE;
  Result<Ref<Event>> event;
  if (completion != nullptr && !waits)
    event = services().handles.get<Event>(handle_value(completion), sync::Kind::event);
  pool.retire(*task, event ? *event : Ref<Event>());  // before the wait: its callback may set a timer anew
  pool.cancel_pending(*task);
  if (waits) pool.wait_until_idle(*task, thread::current_waiter());
  if (!event) return failed(event.error());
  return pool.is_idle(*task) ? TRUE : failed(ERROR_IO_PENDING);
}

BOOL QueueUserWorkItem(PVOID function, PVOID context, ULONG) {
  const Ref<Task> task = Ref<Task>::adopt(
      new Task([=](Call&) { return thread::call_guest<DWORD(PVOID)>(function, context).has_value(); }));
  auto submitted = default_pool().submit(*task);
  return submitted ? TRUE : failed(submitted.error());
}

// ---- registered waits ------------------------------------------------------------------------------------

BOOL RegisterWaitForSingleObject(HANDLE* result, HANDLE handle, PVOID callback, PVOID context,
                                 ULONG milliseconds, ULONG flags) {
  auto object = waitable_of(handle);
  if (!object) return failed(object.error());
  auto wait = std::make_unique<Callback>();
  wait->task = guest_task(callback, context);
  const bool once = (flags & WT_EXECUTEONLYONCE) != 0;
  auto watched = default_pool().watch(
      *wait->task, {.object = std::move(*object),
                    .deadline = deadline_of(milliseconds),
                    .timeout = milliseconds == INFINITE ? 0 : milliseconds * std::uint64_t{1'000'000},
                    .again = !once});
  if (!watched) return failed(watched.error());
  *result = wait.release();
  return TRUE;
}

BOOL UnregisterWaitEx(HANDLE handle, HANDLE completion) {
  if (handle == nullptr) return failed(ERROR_INVALID_HANDLE);
  const std::unique_ptr<Callback> wait(static_cast<Callback*>(handle));
  return retire(wait->task, completion);
}

BOOL UnregisterWait(HANDLE handle) { return UnregisterWaitEx(handle, nullptr); }

// ---- timer queues ----------------------------------------------------------------------------------------

HANDLE CreateTimerQueue() { return new Queue; }

Result<void> set_timer(Callback& timer, DWORD due, DWORD period) {
  return default_pool().watch(*timer.task,
                              {.deadline = deadline_of(due), .period = period * std::uint64_t{1'000'000}});
}

BOOL CreateTimerQueueTimer(HANDLE* result, HANDLE queue_handle, PVOID callback, PVOID parameter, DWORD due,
                           DWORD period, ULONG flags) {
  Queue& queue = queue_of(queue_handle);
  auto timer = std::make_unique<Callback>();
  timer->queue = &queue;
  timer->task = guest_task(callback, parameter);
  {
    const std::scoped_lock lock(queue.mutex);
    queue.timers.push_back(timer.get());
  }
  *result = timer.get();  // before it can come due: the callback may read it
  auto set = set_timer(*timer, due, (flags & WT_EXECUTEONLYONCE) != 0 ? 0 : period);
  if (set) return timer.release(), TRUE;
  const std::scoped_lock lock(queue.mutex);
  std::erase(queue.timers, timer.get());
  return failed(set.error());
}

BOOL ChangeTimerQueueTimer(HANDLE, HANDLE handle, ULONG due, ULONG period) {
  if (handle == nullptr) return failed(ERROR_INVALID_HANDLE);
  auto set = set_timer(*static_cast<Callback*>(handle), due, period);
  return set ? TRUE : failed(set.error());
}

BOOL DeleteTimerQueueTimer(HANDLE, HANDLE handle, HANDLE completion) {
  if (handle == nullptr) return failed(ERROR_INVALID_HANDLE);
  const std::unique_ptr<Callback> timer(static_cast<Callback*>(handle));
  {
    const std::scoped_lock lock(timer->queue->mutex);
    std::erase(timer->queue->timers, timer.get());
  }
  return retire(timer->task, completion);
}

/// All its timers end; the completion is as for one timer, and an event is set when all are over.
BOOL DeleteTimerQueueEx(HANDLE handle, HANDLE completion) {
  if (handle == nullptr) return failed(ERROR_INVALID_HANDLE);
  const std::unique_ptr<Queue> queue(static_cast<Queue*>(handle));
  const bool tell = completion != nullptr && completion != INVALID_HANDLE_VALUE;
  BOOL all = TRUE;
  for (Callback* const raw : queue->timers) {
    const std::unique_ptr<Callback> timer(raw);
    // An event can be set once only: with one to set, the timers are waited for here.
    if (!retire(timer->task, tell ? INVALID_HANDLE_VALUE : completion)) all = FALSE;
  }
  if (!tell) return all;
  auto event = services().handles.get<Event>(handle_value(completion), sync::Kind::event);
  if (!event) return failed(event.error());
  (*event)->set();
  return TRUE;
}

BOOL DeleteTimerQueue(HANDLE handle) { return DeleteTimerQueueEx(handle, nullptr); }

const Export kExports[] = {
    NATIVE(kKernel32, ChangeTimerQueueTimer), NATIVE(kKernel32, CreateTimerQueue),
    NATIVE(kKernel32, CreateTimerQueueTimer), NATIVE(kKernel32, DeleteTimerQueue),
    NATIVE(kKernel32, DeleteTimerQueueEx),    NATIVE(kKernel32, DeleteTimerQueueTimer),
    NATIVE(kKernel32, QueueUserWorkItem),     NATIVE(kKernel32, RegisterWaitForSingleObject),
    NATIVE(kKernel32, UnregisterWait),        NATIVE(kKernel32, UnregisterWaitEx),
};

}  // namespace

std::span<const Export> threadpoollegacyapiset_natives() { return kExports; }

}  // namespace bobbin::win32
