// A pool of threads that carry out callbacks: when asked, when a time comes, when an object is signalled.
//
//     Task       one callback and everything that may ask for it (Windows: a work, timer or wait object)
//     worker     a thread that carries out what is in the queue; started when the queue needs it, gone after
//                some idle seconds
//     watcher    a host thread that sleeps until a timer is due or an object is signalled, and puts the task
//     in
//                the queue; there is one for each 60 objects waited for, and none until it is needed
//
// Callbacks run guest code, so workers are guest threads. How such a thread is made, and what a callback
// does, the pool is told from outside; it knows neither.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.hpp"
#include "sync/dispatcher.hpp"

namespace bobbin::process {

/// What a pool needs of the thread room.
struct PoolThreads {
  /// Starts `routine(argument)` on a new thread that can run callbacks.
  std::function<Result<void>(void (*routine)(void*), void* argument)> create_worker;
  /// What waits of the calling worker go by.
  std::function<sync::Waiter&()> current_waiter;
};

class Task;
struct PoolState;

/// One callback as it is carried out. Lives as long as the callback.
class Call {
 public:
  enum class Why : std::uint8_t { asked, signalled, timed_out };

  Why why() const { return why_; }
  /// The thread goes on, but those who wait for the task's callbacks need not wait for this one.
  void disassociate() noexcept;
  /// The callback will take long: true if other work is not held up by that.
  [[nodiscard]] bool may_run_long() noexcept;

 private:
  friend struct PoolState;
  PoolState* pool_ = nullptr;
  Task* task_ = nullptr;
  Why why_ = Why::asked;
  bool counted_ = true;  ///< still among the task's outstanding callbacks
};

/// Something to be carried out, any number of times. Reference-counted: its creator has one reference, and
/// everything that may still carry it out has one.
class Task final : public sync::Object {
 public:
  /// Called on a worker, without locks. False: the thread is to end, its guest has left.
  using Body = std::function<bool(Call&)>;
  explicit Task(Body body) : Object(sync::Kind::event), body_(std::move(body)) {}

 private:
  friend struct PoolState;
  friend class Call;
  friend class ThreadPool;
  const Body body_;
  sync::Ref<sync::Event> idle_ = sync::Ref<sync::Event>::adopt(new sync::Event(true, true));
  // The rest is guarded by the pool's mutex.
  std::uint32_t outstanding_ = 0;  ///< callbacks in the queue or running
  bool retired_ = false;
  sync::Ref<sync::Event> when_retired_;  ///< to be set once retired and idle
  std::uint64_t registration_ = 0;       ///< number of the current watch; 0: none
};

/// Thread-safe. Its threads outlive it harmlessly: they keep what they need alive.
class ThreadPool {
 public:
  explicit ThreadPool(PoolThreads threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// The guest has ended: drops what is in the queue, and watches and starts nothing any more.
  void stop() noexcept;

  /// Puts a callback in the queue. Fails if there is no worker and none can be started.
  [[nodiscard]] Result<void> submit(Task& task);

  /// What a task watches for: an object, a time, or an object until a time.
  struct Watch {
    sync::Ref<sync::Waitable> object = {};
    os::Deadline deadline = std::nullopt;
    std::uint64_t period = 0;   ///< nanoseconds; a timer only: again and again
    std::uint64_t timeout = 0;  ///< nanoseconds; with `again`: the deadline of each further watch
    bool again = false;         ///< watches anew after each callback
  };
  /// Replaces what the task watches for. When it happens the task is put in the queue. Nothing, once the task
  /// has been retired: a callback that is the last may ask for another.
  [[nodiscard]] Result<void> watch(Task& task, Watch what);
  /// Ends it; true if there was something to end.
  bool unwatch(Task& task) noexcept;
  [[nodiscard]] bool is_watching(const Task& task) const noexcept;

  /// Takes the task's callbacks that have not begun out of the queue; hands back how many those were.
  std::size_t cancel_pending(Task& task) noexcept;
  /// Sleeps until no callback of the task is in the queue or running, or `self` is interrupted.
  void wait_until_idle(Task& task, sync::Waiter& self);
  [[nodiscard]] bool is_idle(const Task& task) const noexcept;
  /// Ends watching for good. `event` is set once no callback is outstanding.
  void retire(Task& task, sync::Ref<sync::Event> event = {}) noexcept;

  void set_maximum(std::uint32_t workers) noexcept;
  /// Starts that many workers at once and keeps them.
  [[nodiscard]] Result<void> set_minimum(std::uint32_t workers);
  /// Workers alive (for tests).
  [[nodiscard]] std::uint32_t workers() const noexcept;

 private:
  std::shared_ptr<PoolState> state_;
};

}  // namespace bobbin::process
