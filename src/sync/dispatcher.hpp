// Waiting: one lock over all signalled states, waits on one object or many, and the objects that consist of
// nothing but a signalled state (events, mutexes, semaphores).
#pragma once

#include <cstdint>
#include <span>

#include "os/os.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

inline constexpr std::size_t kMaximumWaitObjects = 64;

/// How a wait ended. `index` is the object that ended it, for a wait on any.
struct WaitOutcome {
  enum class Kind : std::uint8_t { satisfied, abandoned, timed_out, interrupted } kind;
  std::uint32_t index = 0;
};

/// Waits for any or all of `objects` (1 to 64), consuming what satisfied it. Duplicates are the caller's fault
/// to refuse. A deadline in the past polls. `interrupted` means that Waiter::interrupted was set: the caller
/// returns to its native's end, where the stop request is served.
[[nodiscard]] WaitOutcome wait(std::span<Waitable* const> objects, bool all, os::Deadline deadline,
                               Waiter& self);

/// Ends `waiter`'s wait, now or when it next begins one.
void interrupt(Waiter& waiter) noexcept;

/// RAII for the dispatcher lock; objects change their state under it and then call notify().
class DispatcherLock {
 public:
  DispatcherLock() noexcept;
  ~DispatcherLock();
  DispatcherLock(const DispatcherLock&) = delete;
  DispatcherLock& operator=(const DispatcherLock&) = delete;
  /// `object` may have become signalled: gives it to waiters, first come, while it stays signalled.
  void notify(Waitable& object) noexcept;
};

class Event final : public Waitable {
 public:
  Event(bool manual_reset, bool signalled) : Waitable(sync::Kind::event), manual_(manual_reset), set_(signalled) {}
  void set() noexcept;
  void reset() noexcept;

 private:
  bool signalled(const Waiter&) const override { return set_; }
  bool consume(Waiter&) override {
    if (!manual_) set_ = false;
    return false;
  }
  const bool manual_;
  bool set_;  ///< guarded by the dispatcher lock
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
  ~Mutex() override;
  Waiter* owner_ = nullptr;  ///< guarded by the dispatcher lock, as are the rest
  std::uint32_t recursion_ = 0;
  bool abandoned_ = false;
  Mutex* next_owned_ = nullptr;  ///< chain of Waiter::owned_mutexes
  Mutex* previous_owned_ = nullptr;
};

}  // namespace bobbin::sync
