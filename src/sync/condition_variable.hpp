// Condition variables on one word of the guest's, zero while nobody sleeps. The word is set under the
// bucket's lock (parking.hpp) before the guest's lock is let go, so whoever wakes after that sees it; a wake
// that nobody sleeps for is one load.
#pragma once

#include <atomic>

#include "abi/types.hpp"
#include "sync/parking.hpp"

namespace bobbin::sync {

/// Leaves `cs` once, sleeps until woken, enters it again: also after a timeout, but not after an
/// interruption.
[[nodiscard]] ParkOutcome sleep_condition(abi::RTL_CONDITION_VARIABLE& variable,
                                          abi::RTL_CRITICAL_SECTION& cs, os::Deadline deadline,
                                          Waiter& self) noexcept;
/// The same with an SRW lock that is held `shared` or exclusively.
[[nodiscard]] ParkOutcome sleep_condition(abi::RTL_CONDITION_VARIABLE& variable, abi::RTL_SRWLOCK& lock,
                                          bool shared, os::Deadline deadline, Waiter& self) noexcept;

/// Whether a wake has anything to do.
[[nodiscard]] inline bool has_sleepers(abi::RTL_CONDITION_VARIABLE& variable) noexcept {
  return std::atomic_ref(variable.Ptr).load(std::memory_order_seq_cst) != nullptr;
}
/// Wakes the thread that has slept longest, or all.
void wake_one(abi::RTL_CONDITION_VARIABLE& variable) noexcept;
void wake_all(abi::RTL_CONDITION_VARIABLE& variable) noexcept;

}  // namespace bobbin::sync
