// Carriers: the host threads that guest threads run on, each with its stack.
//
// Starting a host thread is the dearest part of a thread's birth. So a carrier whose guest thread has ended
// does not end with it, but waits for the next one that asks for a stack of its size: a birth is then a wake.
// It offers itself before the handle of the ended thread is signalled, so whoever waited for that handle and
// goes on to create a thread finds it.
//
// A guest cannot tell. A host could: the host's own thread-local objects live as long as the carrier does. So
// a carrier on which code of the host has run (a callback) is not offered, and ends with its guest thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "os/os.hpp"
#include "thread/stacks.hpp"

namespace bobbin::thread {

/// One host thread.
class Carrier {
 public:
  /// Whether it has carried another guest thread before.
  [[nodiscard]] bool experienced() const { return experienced_; }
  /// Its stack is somebody else's now, who gives it back: it ends with this job.
  void give_away_stack() { gave_stack_away_ = true; }

 private:
  friend class Carriers;
  enum State : std::uint32_t { waiting, working, dismissed };

  class Carriers* owner_ = nullptr;
  Stack stack_;
  void* job_ = nullptr;
  std::atomic<std::uint32_t> state_{working};  ///< what a waiting carrier sleeps on
  bool offered_ = false;                       ///< written by itself
  bool experienced_ = false;                   ///< written by itself
  bool gave_stack_away_ = false;               ///< written by itself
};

/// Thread-safe.
class Carriers {
 public:
  /// What a carrier does with a job. It may offer itself when it touches nothing of the job any more.
  using Routine = void (*)(void* job, Carrier& self);
  /// As many as that wait at most; a host's thread is a few pages of memory.
  static constexpr std::size_t kMostWaiting = 16;

  /// `busy` counts the carriers that have a job.
  Carriers(StackPool& stacks, std::atomic<std::uint32_t>& busy, Routine routine)
      : stacks_(stacks), busy_(busy), routine_(routine) {
    waiting_.reserve(kMostWaiting);
  }
  Carriers(const Carriers&) = delete;
  Carriers& operator=(const Carriers&) = delete;

  /// What a guest thread runs on: a stack, and the carrier that waits on it, if there is one.
  struct Seat {
    Stack stack;
    Carrier* carrier = nullptr;
  };
  /// A seat with at least `size` usable bytes of stack.
  [[nodiscard]] Result<Seat> take(std::size_t size);
  /// Gives back a seat on which nothing was started.
  void give_back(const Seat& seat) noexcept;
  /// Has the job done on the seat. On failure the seat is still the caller's.
  [[nodiscard]] Result<void> start(const Seat& seat, void* job);

  /// Called by a routine: from now on another job can be given to its carrier, which begins it when the
  /// routine has returned.
  void offer(Carrier& self) noexcept;
  /// Ends all carriers that wait, and takes no offers any more. Returns when they have left their stacks.
  void dismiss() noexcept;

 private:
  static void run(void* carrier);
  void put(Carrier& carrier) noexcept;

  StackPool& stacks_;
  std::atomic<std::uint32_t>& busy_;
  Routine routine_;
  os::Mutex mutex_;
  std::vector<Carrier*> waiting_;             ///< guarded by mutex_; the warmest last
  bool closed_ = false;                       ///< guarded by mutex_
  std::uint32_t process_ = os::process_id();  ///< guarded by mutex_: whose threads the waiting ones are
  std::atomic<std::uint32_t> leaving_{0};     ///< dismissed ones that still use this object
};

}  // namespace bobbin::thread
