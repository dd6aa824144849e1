// Waiting: one lock over all signalled states, waits on one object or many, and the objects that consist of
// nothing but a signalled state (events, mutexes, semaphores).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "os/os.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

inline constexpr std::size_t kMaximumWaitObjects = 64;

/// How a wait ended. `index` is the object that ended it, for a wait on any.
struct WaitOutcome {
  enum class Kind : std::uint8_t { satisfied, abandoned, timed_out, alerted, interrupted } kind;
  std::uint32_t index = 0;
};

/// Waits for any or all of `objects` (0 to 64; with none it sleeps), consuming what satisfied it. Duplicates
/// in a wait for all are the caller's fault to refuse. The caller keeps the objects alive. A deadline in the
/// past polls. `interrupted` means that Waiter::interrupted was set: the caller returns to its native's end,
/// where the stop request is served. An `alertable` wait that would sleep ends as `alerted` when there are
/// procedure calls for the thread (take_apc); nobody says of it that it cannot end (deadlock.hpp).
[[nodiscard]] WaitOutcome wait(std::span<Waitable* const> objects, bool all, os::Deadline deadline,
                               Waiter& self, bool alertable = false);

/// The same for one object.
[[nodiscard]] inline WaitOutcome wait(Waitable& object, os::Deadline deadline, Waiter& self,
                                      bool alertable = false) {
  Waitable* const one = &object;
  return wait({&one, 1}, false, deadline, self, alertable);
}

/// Ends `waiter`'s wait, now or when it next has to sleep. Takes no lock: safe in any state of other threads.
void interrupt(Waiter& waiter) noexcept;

/// Asks the thread to run a procedure call in its next alertable wait, or in the one that it is in. Throws
/// bad_alloc.
void queue_apc(Waiter& waiter, const Apc& apc);
/// The oldest call that the thread was asked for, if there is one.
[[nodiscard]] std::optional<Apc> take_apc(Waiter& self) noexcept;

/// The point in time `nanoseconds` from now.
[[nodiscard]] os::Deadline deadline_after(std::uint64_t nanoseconds) noexcept;

/// RAII for the dispatcher lock; objects change their state under it and then call notify(). Threads that
/// notify() has satisfied are woken after the lock is let go, so that they do not run into it.
class DispatcherLock {
 public:
  DispatcherLock() noexcept;
  ~DispatcherLock();
  DispatcherLock(const DispatcherLock&) = delete;
  DispatcherLock& operator=(const DispatcherLock&) = delete;
  /// `object` may have become signalled: gives it to waiters, first come, while it stays signalled.
  void notify(Waitable& object) noexcept;
  /// `object` will become signalled by itself at another time than before: its waiters look again.
  void rouse(Waitable& object) noexcept;

 private:
  friend struct Wait;
  void wake(Waiter& waiter, std::uint32_t why) noexcept;

  static constexpr std::size_t kPostponed = 8;  ///< more sleepers than these are woken under the lock
  Waiter* postponed_[kPostponed];
  std::size_t postponed_count_ = 0;
};

class Event final : public Waitable {
 public:
  Event(bool manual_reset, bool signalled)
      : Waitable(sync::Kind::event), manual_(manual_reset), set_(signalled) {}
  /// Both hand back whether it was set before.
  bool set() noexcept;
  bool reset() noexcept;
  /// Satisfies who waits now, then resets.
  void pulse() noexcept;
  /// One more operation of the host's will set it, by set_as_expected().
  void expect() noexcept;
  /// In one step, or somebody could find it neither set nor expected.
  void set_as_expected() noexcept;

 private:
  bool signalled(const Waiter&) const override { return set_; }
  bool expected() const override { return expected_ != 0; }
  bool consume(Waiter&) override {
    if (!manual_) set_ = false;
    return false;
  }
  bool set(DispatcherLock& lock) noexcept;
  const bool manual_;
  bool set_;          ///< guarded by the dispatcher lock
  int expected_ = 0;  ///< guarded by the dispatcher lock
};

class Semaphore final : public Waitable {
 public:
  Semaphore(std::int32_t initial, std::int32_t maximum)
      : Waitable(sync::Kind::semaphore), count_(initial), maximum_(maximum) {}
  /// Adds `count`; hands back the count before. STATUS_SEMAPHORE_LIMIT_EXCEEDED, unchanged, if it would pass
  /// the maximum.
  [[nodiscard]] Result<std::int32_t> release(std::int32_t count);

 private:
  bool signalled(const Waiter&) const override { return count_ > 0; }
  bool consume(Waiter&) override {
    --count_;
    return false;
  }
  std::int32_t count_;  ///< guarded by the dispatcher lock
  const std::int32_t maximum_;
};

/// Recursive; owned by a thread; abandoned if that thread ends first.
class Mutex final : public Waitable {
 public:
  /// `owner`, if not null, holds it at once.
  explicit Mutex(Waiter* owner);
  /// STATUS_MUTANT_NOT_OWNED if `self` does not own it.
  [[nodiscard]] Result<void> release(Waiter& self);

  /// Every mutex that `dead` owns becomes abandoned. Part of a thread's end.
  static void abandon_all(Waiter& dead) noexcept;

 private:
  bool signalled(const Waiter& who) const override { return owner_ == nullptr || owner_ == &who; }
  bool consume(Waiter& who) override;
  Waiter* owner() const override { return owner_; }
  ~Mutex() override;
  friend struct WaitGraph;
  void link(Waiter& owner) noexcept;
  void unlink() noexcept;
  Waiter* owner_ = nullptr;  ///< guarded by the dispatcher lock, as are the rest
  std::uint32_t recursion_ = 0;
  bool abandoned_ = false;
  Mutex* next_owned_ = nullptr;  ///< chain of Waiter::owned_mutexes
  Mutex* previous_owned_ = nullptr;
};

/// Becomes signalled at a point in time, once or again and again. No thread keeps it: whoever waits for a
/// timer sleeps no longer than until it is due, and looks.
class Timer final : public Waitable {
 public:
  explicit Timer(bool manual_reset) : Waitable(sync::Kind::timer), manual_(manual_reset) {}
  /// Not signalled from now on until `due` (monotonic nanoseconds), then every `period` nanoseconds if not 0.
  void set(std::uint64_t due, std::uint64_t period) noexcept;
  /// Never due; keeps its signalled state.
  void cancel() noexcept;

 private:
  bool signalled(const Waiter&) const override;
  bool consume(Waiter&) override;
  os::Deadline due() const override { return due_; }
  void come_due() override;
  const bool manual_;
  bool set_ = false;  ///< guarded by the dispatcher lock, as are the rest: signalled, whatever due_ says
  // due_ in the past means signalled too: nobody has looked yet
  os::Deadline due_;
  std::uint64_t period_ = 0;
};

}  // namespace bobbin::sync
