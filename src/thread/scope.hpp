// Where a thread is: in the host, in guest code, or in a native. The rule for stopping threads (architecture,
// decision 10) rests on it: a thread in guest code can be stopped at any instruction; a thread in a native is
// stopped when the native ends, so that no lock of ours and no host heap is left stranded.
#pragma once

#include <atomic>
#include <cstdint>

#include "abi/teb.hpp"
#include "arch/x86_64/gate.hpp"

namespace bobbin::thread {

class Thread;

enum class Where : std::uint8_t { host, guest, native };

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
  /// Innermost open gate; nullptr while no guest code is below us on the stack.
  arch::Gate* gate = nullptr;
  /// While in a native: the guest's instruction and stack pointer at the call, for GetThreadContext.
  std::uint64_t guest_rip = 0;
  std::uint64_t guest_rsp = 0;
  /// Whether a callback into the host has run on it; written by the owning thread only.
  bool host_code_ran = false;
};

/// Carries out what others asked of this thread, which is in guest code; may not return (it leaves to its
/// gate).
void serve_requests(Place& place);

[[nodiscard]] inline Place& current_place() { return *static_cast<Place*>(abi::current_teb()->BobbinThread); }

/// Marks the thread as inside a native, from the first instruction that may take a lock or memory to the
/// last. Every native that is not a leaf opens one; win32/native.hpp does it for all of them. Nests.
class NativeScope {
 public:
  NativeScope(std::uint64_t guest_rip, std::uint64_t guest_rsp) noexcept
      : place_(current_place()), before_(place_.where.load(std::memory_order_relaxed)) {
    if (before_ == Where::guest) {
      place_.guest_rip = guest_rip;
      place_.guest_rsp = guest_rsp;
    }
    place_.where.store(Where::native, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~NativeScope() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    place_.where.store(before_, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // A request that arrived while we were inside was only noted: serve it now, before guest code goes on.
    if (before_ == Where::guest && place_.requests.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      serve_requests(place_);
    }
  }
  NativeScope(const NativeScope&) = delete;
  NativeScope& operator=(const NativeScope&) = delete;

 private:
  Place& place_;
  Where before_;
};

}  // namespace bobbin::thread
