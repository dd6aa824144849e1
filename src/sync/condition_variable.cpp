#include "sync/condition_variable.hpp"

#include "sync/critical_section.hpp"
#include "sync/srw_lock.hpp"

namespace bobbin::sync {
namespace {

using abi::RTL_CONDITION_VARIABLE;

abi::PVOID const kSleepers = reinterpret_cast<abi::PVOID>(std::uintptr_t{1});

/// In the queue first, then `release` the guest's lock: a wake in between finds us.
template <class Release, class Acquire>
ParkOutcome sleep(RTL_CONDITION_VARIABLE& variable, os::Deadline deadline, Waiter& self, Release release,
                  Acquire acquire) {
  Parked parked(&variable, self);
  {
    ParkingLot lot(&variable);
    std::atomic_ref(variable.Ptr).store(kSleepers);
    lot.enqueue(parked);
  }
  release();
  const ParkOutcome outcome = parked.sleep(deadline);
  if (outcome != ParkOutcome::interrupted && !acquire()) return ParkOutcome::interrupted;
  return outcome;
}

}  // namespace

ParkOutcome sleep_condition(RTL_CONDITION_VARIABLE& variable, abi::RTL_CRITICAL_SECTION& cs,
                            os::Deadline deadline, Waiter& self) noexcept {
  return sleep(variable, deadline, self, [&] { leave(cs); }, [&] { return enter(cs, self); });
}

ParkOutcome sleep_condition(RTL_CONDITION_VARIABLE& variable, abi::RTL_SRWLOCK& lock, bool shared,
                            os::Deadline deadline, Waiter& self) noexcept {
  return sleep(
      variable, deadline, self, [&] { shared ? release_shared(lock) : release_exclusive(lock, self); },
      [&] { return shared ? acquire_shared(lock, self) : acquire_exclusive(lock, self); });
}

void wake_one(RTL_CONDITION_VARIABLE& variable) noexcept {
  if (!has_sleepers(variable)) return;
  ParkingLot lot(&variable);
  Parked* const first = lot.first();
  // Before the wake, as in wake_all(): who has been woken may give the variable's memory back.
  if (first == nullptr || lot.after(*first) == nullptr) std::atomic_ref(variable.Ptr).store(nullptr);
  if (first != nullptr) lot.wake(*first);
}

void wake_all(RTL_CONDITION_VARIABLE& variable) noexcept {
  if (!has_sleepers(variable)) return;
  ParkingLot lot(&variable);
  std::atomic_ref(variable.Ptr).store(nullptr);
  lot.wake_all();
}

}  // namespace bobbin::sync
