// Who waits for whom, and whether that can ever end.
//
//     thread 4 --waits for--> critical section --owned by--> thread 8 --waits for--> thread 4 to end
//
// A critical section, an SRW lock held exclusively, a mutex and a thread that lives have an owner: the one
// thread that can end a wait for it. An FLS index has one that frees it, or several in its callbacks, who
// must all come out of them. A thread is stuck if whoever could end its wait is stuck. Nothing else is
// believed to be stuck: not a wait with a deadline or an alertable one, nor one for what has no known owner
// (an SRW lock that readers hold, an address, a condition variable, a timer, a file). An event or a semaphore
// can be set by any thread; a wait for one is stuck if all other threads are, and if no new one can come,
// since the lock that a thread needs for its start (the loader lock) is owned by one that is stuck.
//
// When it is looked for
// ---------------------
//
// A wait without an end costs nothing while it is short: only after 10 ms in it a thread looks, once. Of the
// threads of a cycle one is the last to begin its wait; when that one looks, all the others have been waiting
// for longer, so none is missed, whatever the order and the speed of the host, and nothing is found that was
// not there: what a test sees does not depend on the delay. (Looking at once, at each parking, would put one
// lock into the path of every contended section, and find the same.)
//
// Why there is no false alarm
// ---------------------------
//
// Waits on objects change under the dispatcher lock, which is held meanwhile. A thread parked at a guest's
// lock counts its waits (Waiter::waits, odd while in one), and only a thread itself makes itself an owner, or
// ceases to be one. So once all waits have been read, the owners are read again, and then the waits. If all
// is as before, there was an instant at which all of them waited, for locks that each other owned; and from
// such an instant nobody comes out. If not, some thread has gone on, and all is read anew.
#pragma once

#include <cstdint>
#include <vector>

#include "abi/types.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

/// What is waited for.
struct Awaited {
  enum class Kind : std::uint8_t {
    section,
    exclusive,
    shared,
    mutex,
    thread,
    event,
    semaphore,
    fls_index,      ///< until it has been freed
    fls_callbacks,  ///< of an index: until those under way are over
  } kind;
  const void* address;  ///< of the guest's lock, or of the object: only to tell one from another
  friend bool operator==(const Awaited&, const Awaited&) = default;
};

/// A kind of lock whose owners can be told.
struct LockKind {
  Awaited::Kind kind;
  /// Adds the ids of the threads that have it, all of which must let go; 0 is nobody. Called under the
  /// dispatcher lock. Reads memory that may be gone.
  void (*add_owners)(const LockKind& self, const void* lock, std::vector<std::uint32_t>& ids);
};

/// Threads that wait for each other, in a circle: each for the next one, the last for the first.
struct Deadlock {
  /// What else it waits for: nothing, others with it (which may be there), or others instead (which cannot
  /// come).
  enum class Also : std::uint8_t { none, all, any };
  struct Member {
    std::uint32_t thread_id;
    Awaited waits_for;  ///< what the next member holds, or is
    Also also;
    std::vector<Awaited> holds;  ///< what others of the circle wait for, the gate, and its mutexes
  };
  std::vector<Member> members;  ///< the lowest id first
};

/// Called on a thread of the circle, or on one that waits for it, at a place where it would sleep; no lock is
/// held.
using DeadlockHandler = void (*)(const Deadlock&);
/// From now on deadlocks are looked for, until the handler is null again. `gate`, if not null, is the lock
/// that each thread needs at its start.
void watch_for_deadlocks(DeadlockHandler handler, const abi::RTL_CRITICAL_SECTION* gate) noexcept;
[[nodiscard]] bool watching_for_deadlocks() noexcept;

/// `self`, in a wait without a deadline, looks whether it can end.
void look_for_deadlock(Waiter& self) noexcept;

/// Makes a thread known, so that it is found by its id and counts among those that could set an event.
void know(Waiter& waiter) noexcept;
/// To be called before it goes.
void forget(Waiter& waiter) noexcept;

}  // namespace bobbin::sync
