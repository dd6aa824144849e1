// Where a thread is: in the host, in guest code, or in a native. The rule for stopping threads (architecture,
// decision 10) rests on it: a thread in guest code can be stopped at any instruction; a thread in a native is
// stopped when the native ends, so that no lock of ours and no host heap is left stranded.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "abi/teb.hpp"
#include "arch/x86_64/gate.hpp"

namespace bobbin::thread {

class Held;
class Thread;
struct Fiber;

enum class Where : std::uint8_t {
  host,
  guest,
  native,  ///< in a native (win32/native.hpp); a fault is a bad pointer that the guest handed it
  service  ///< in other work of ours for the guest; to those that stop threads, the same
};

/// What others can ask of a thread; bits of Place::requests.
enum Request : std::uint32_t {
  kLeave = 1,    ///< leave every gate: the thread or the whole guest has ended
  kSuspend = 2,  ///< stand still while Thread's suspend count is not 0
};

/// The part of a Thread that scopes and signal handlers touch; a base of Thread, found by gs:[250h].
struct Place {
  /// Written by the owning thread only; read by it and by signal handlers that run on it.
  std::atomic<Where> where{Where::host};
  /// Requests from others (bits of Request), carried out at the next safe point.
  std::atomic<std::uint32_t> requests{0};
  /// Innermost gate that was opened on the stack that runs; a switch of fibers exchanges it (known to
  /// fiber_switch.inc). See leave_target().
  arch::Gate* gate = nullptr;
  /// The top of the stack that signals, and the steps of exceptions (arch/x86_64/exception.hpp), run on.
  std::byte* signal_stack = nullptr;
  /// While in a native: the guest's instruction and stack pointer at the call, for GetThreadContext.
  std::uint64_t guest_rip = 0;
  std::uint64_t guest_rsp = 0;
  /// What the native that runs has to give back, the newest first.
  Held* held = nullptr;
  /// Of a thread whose guest code stands apart from its host frames: the gate between them.
  arch::Gate* base = nullptr;
  /// Of a thread of the host: the fiber that it is when it calls the guest, if it was made one.
  Fiber* home = nullptr;
  /// Whether a callback into the host has run on it; written by the owning thread only.
  bool host_code_ran = false;
};

/// The gate by which a thread leaves next: the innermost on the stack that runs; then, if that is not the
/// stack that it came into the guest on, what is open there. nullptr if no guest code is below us.
[[nodiscard]] arch::Gate* leave_target(const Place& place) noexcept;

/// Carries out what others asked of this thread, which is in guest code; may not return (it leaves to its
/// gate).
void serve_requests(Place& place);

[[nodiscard]] inline Place& current_place() { return *static_cast<Place*>(abi::current_teb()->BobbinThread); }
/// The same after a call into the guest: a fiber may have moved to another thread in it.
[[nodiscard]] inline Place& current_place_afresh() {
  return *static_cast<Place*>(abi::current_teb_afresh()->BobbinThread);
}

/// Marks the thread as inside a native, from the first instruction that may take a lock or memory to the
/// last. Every native that is not a leaf opens one; win32/native.hpp does it for all of them. Nests.
class NativeScope {
 public:
  NativeScope(std::uint64_t guest_rip, std::uint64_t guest_rsp, Where as = Where::service) noexcept
      : before_(current_place().where.load(std::memory_order_relaxed)) {
    Place& place = current_place();
    if (before_ == Where::guest) {
      place.guest_rip = guest_rip;
      place.guest_rsp = guest_rsp;
    }
    place.where.store(as, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~NativeScope() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    Place& place = current_place_afresh();
    place.where.store(before_, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // A request that arrived while we were inside was only noted: serve it now, before guest code goes on.
    if (before_ == Where::guest && place.requests.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      serve_requests(place);
    }
  }
  NativeScope(const NativeScope&) = delete;
  NativeScope& operator=(const NativeScope&) = delete;

 private:
  Where before_;
};

/// What a native has to give back even if a fault ends it, without destructors (seh/signals.cpp): a base of
/// local variables of natives. While guest code runs there is none: inside_gate() keeps what a native has
/// that calls back.
class Held {
 public:
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  /// Ends all that the thread's native has. Its frames still stand.
  static void give_back_all(Place& place) noexcept {
    for (Held* one = std::exchange(place.held, nullptr); one != nullptr; one = one->outer_) one->give_back();
  }

 protected:
  Held() noexcept : outer_(std::exchange(current_place().held, this)) {}
  ~Held() { current_place_afresh().held = outer_; }
  virtual void give_back() noexcept = 0;

 private:
  Held* const outer_;
};

}  // namespace bobbin::thread
