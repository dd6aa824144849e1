#include "sync/run_once.hpp"

#include "abi/status.hpp"
#include "sync/parking.hpp"

namespace bobbin::sync {
namespace {

enum State : std::uint64_t { kIdle = 0, kRunning = 1, kComplete = 2, kRunningAsynchronously = 3 };

std::atomic_ref<std::uint64_t> word_of(abi::RTL_RUN_ONCE& once) {
  return std::atomic_ref(reinterpret_cast<std::uint64_t&>(once.Ptr));
}

std::unexpected<Error> mixed_manners() {
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_INVALID_PARAMETER,
               .what = "a one-time initialisation is begun or completed in another manner than before"});
}

/// False if interrupted.
bool sleep_while_running(abi::RTL_RUN_ONCE& once, Waiter& self) {
  Parked parked(&once, self);
  {
    ParkingLot lot(&once);
    if (word_of(once).load() != kRunning) return true;
    lot.enqueue(parked);
  }
  return parked.sleep() == ParkOutcome::woken;
}

}  // namespace

Result<RunOnce> run_once_begin(abi::RTL_RUN_ONCE& once, bool asynchronous, void** context, Waiter& self) {
  for (;;) {
    if (run_once_is_complete(once, context)) return RunOnce::complete;
    std::uint64_t word = kIdle;
    const State begun = asynchronous ? kRunningAsynchronously : kRunning;
    if (word_of(once).compare_exchange_strong(word, begun)) return RunOnce::pending;
    if ((word & kRunOnceStateBits) == kComplete) continue;
    if (word != begun) return mixed_manners();
    if (asynchronous) return RunOnce::pending;
    if (!sleep_while_running(once, self)) return RunOnce::interrupted;
  }
}

Result<void> run_once_complete(abi::RTL_RUN_ONCE& once, bool asynchronous, bool failed, void* context) {
  const auto bits = reinterpret_cast<std::uint64_t>(context);
  if ((bits & kRunOnceStateBits) != 0 || (failed && (context != nullptr || asynchronous)))
    return mixed_manners();
  std::uint64_t word = word_of(once).load();
  const State running = asynchronous ? kRunningAsynchronously : kRunning;
  if ((word & 1) != 0 && word != running) return mixed_manners();
  if (word != running || !word_of(once).compare_exchange_strong(word, failed ? kIdle : bits | kComplete)) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_UNSUCCESSFUL,
                 .what = "a one-time initialisation was completed that is not in progress"});
  }
  if (!asynchronous) ParkingLot(&once).wake_all();
  return {};
}

}  // namespace bobbin::sync
