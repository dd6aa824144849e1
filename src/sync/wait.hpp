// One wait of one thread, for those who serve it (dispatcher.cpp) and those who ask what it hangs on
// (deadlock.cpp).
#pragma once

#include <span>

#include "sync/dispatcher.hpp"

namespace bobbin::sync {

struct Waitable::WaitBlock {
  Wait* wait;
  Waitable* object;
  WaitBlock* next;  ///< guarded by the dispatcher lock, as is previous
  WaitBlock* previous;
};

/// One wait of one thread, on its stack. All fields are guarded by the dispatcher lock until kDone is seen.
struct Wait {
  using Block = Waitable::WaitBlock;

  Waiter& self;
  const std::span<Waitable* const> objects;
  const bool all;
  const os::Deadline deadline;
  const bool alertable = false;
  WaitOutcome outcome{};
  Block* blocks = nullptr;            ///< one for each object; nullptr while the thread is in no queue
  os::Deadline until = std::nullopt;  ///< when to look again without being woken

  /// Consumes and sets `outcome` if the objects' states allow it.
  bool try_satisfy();
  void enqueue(Block* storage);
  /// Whether the wait has ended; if not, the thread may sleep.
  bool over(DispatcherLock& lock);
  /// Completes the waits in `object`'s queue that its state allows.
  static void serve_queue(Waitable& object, DispatcherLock& lock);
  /// Makes the threads in `object`'s queue look again when to wake up by themselves.
  static void rouse_queue(Waitable& object, DispatcherLock& lock);
  /// Makes a thread in an alertable wait look at what it was asked to call.
  static void alert(Waiter& waiter, DispatcherLock& lock);

 private:
  bool try_satisfy_any();
  bool try_satisfy_all();
  void dequeue();
  /// Gives timers that have come due to whom they belong, which may be us.
  void poll_timers(DispatcherLock& lock);
  [[nodiscard]] os::Deadline next_due() const;
};

}  // namespace bobbin::sync
