// One-time initialisation on one word of the guest's. Its two low bits are the state, as on Windows:
//
//     0  nobody has begun        2  complete; the other bits are the context, a pointer to something aligned
//     1  one thread is at it     3  several may be at it, the first to complete wins (asynchronous)
#pragma once

#include <atomic>
#include <cstdint>

#include "abi/types.hpp"
#include "base/error.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

inline constexpr std::uint64_t kRunOnceStateBits = 3;

enum class RunOnce : std::uint8_t {
  complete,     ///< the context is there
  pending,      ///< the caller initialises, and completes
  interrupted,  ///< the wait for another thread was
};

/// The context, if the initialisation is complete. Inline and without a call: the path of every later use.
[[nodiscard]] inline bool run_once_is_complete(abi::RTL_RUN_ONCE& once, void** context) noexcept {
  const auto word =
      reinterpret_cast<std::uint64_t>(std::atomic_ref(once.Ptr).load(std::memory_order_acquire));
  if ((word & kRunOnceStateBits) != 2) return false;
  if (context != nullptr) *context = reinterpret_cast<void*>(word & ~kRunOnceStateBits);
  return true;
}

/// Begins, or waits for the thread that has begun. STATUS_INVALID_PARAMETER when the two manners are mixed.
[[nodiscard]] Result<RunOnce> run_once_begin(abi::RTL_RUN_ONCE& once, bool asynchronous, void** context,
                                             Waiter& self);

/// Ends what run_once_begin() called pending. `failed` makes it as if never begun. STATUS_INVALID_PARAMETER
/// for the wrong manner or an unaligned context, STATUS_UNSUCCESSFUL if it is not in progress.
[[nodiscard]] Result<void> run_once_complete(abi::RTL_RUN_ONCE& once, bool asynchronous, bool failed,
                                             void* context);

}  // namespace bobbin::sync
