// A parking lot: queues of sleeping threads, by address.
//
// The guest's own locks (critical sections, SRW locks, condition variables, one-time initialisation) are a
// few words in guest memory, with no room for a queue and nobody to tell us that they are gone. So the queue
// is kept here, in a table of buckets hashed by the lock's address, and exists only while somebody sleeps;
// the words themselves say only "somebody sleeps". That bit is changed under the bucket's lock alone:
//
//     to sleep   lock bucket; look at the word once more; set the bit; enter the queue; unlock; sleep
//     to wake    change the word, see the bit; lock bucket; take threads out; clear the bit if none is left
//
// A thread that gives up (time, or a stop request) takes itself out of the queue under the same lock.
#pragma once

#include <cstdint>

#include "os/os.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

struct LockKind;
struct ParkingBucket;

enum class ParkOutcome : std::uint8_t { woken, timed_out, interrupted };

/// One sleeping thread, on its own stack.
class Parked {
 public:
  /// `tag` is the lock's own note about this thread. `gave_up`, if not null, is called under the bucket's
  /// lock when the thread has left the queue without having been woken. `kind` says who owns what it sleeps
  /// for, if that can be told (deadlock.hpp).
  Parked(const void* address, Waiter& self, std::uint32_t tag = 0, void (*gave_up)(const void*) = nullptr,
         const LockKind* kind = nullptr)
      : address_(address), self_(self), gave_up_(gave_up), kind_(kind), tag_(tag) {}
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  /// Sleeps until woken. Must have been queued (ParkingLot::enqueue); is in no queue afterwards.
  [[nodiscard]] ParkOutcome sleep(os::Deadline deadline = std::nullopt) noexcept;

  [[nodiscard]] std::uint32_t tag() const { return tag_; }

 private:
  friend class ParkingLot;
  friend struct ParkingBucket;
  const void* const address_;
  Waiter& self_;
  void (*const gave_up_)(const void*);
  const LockKind* const kind_;
  const std::uint32_t tag_;
  bool queued_ = false;  ///< guarded by the bucket's lock, as are the links
  Parked* next_ = nullptr;
  Parked* previous_ = nullptr;
};

/// Holds the lock of one address' bucket. Threads that wake() took out of the queue are woken after it is let
/// go.
class ParkingLot {
 public:
  explicit ParkingLot(const void* address) noexcept;
  ~ParkingLot();
  ParkingLot(const ParkingLot&) = delete;
  ParkingLot& operator=(const ParkingLot&) = delete;

  /// At the back of the queue, or at the front for one that was woken in vain and must not lose its turn.
  void enqueue(Parked& parked, bool front = false) noexcept;
  /// The thread that has slept longest at the address, or nullptr.
  [[nodiscard]] Parked* first() const noexcept;
  /// The next one after `parked`, or nullptr.
  [[nodiscard]] Parked* after(const Parked& parked) const noexcept;
  /// Ends the thread's sleep. `parked` may be gone as soon as this returns.
  void wake(Parked& parked) noexcept;
  /// Wakes the first, or all; says how many that were.
  std::size_t wake_first() noexcept;
  std::size_t wake_all() noexcept;

 private:
  [[nodiscard]] Parked* same_address(Parked* from) const noexcept;

  static constexpr std::size_t kPostponed = 8;  ///< more than these are woken under the lock
  const void* const address_;
  ParkingBucket& bucket_;
  Waiter* postponed_[kPostponed];
  std::size_t postponed_count_ = 0;
};

}  // namespace bobbin::sync
