// WaitOnAddress: sleeping until somebody says that a value has changed. The parking lot with nothing around
// it.
#pragma once

#include <cstddef>

#include "sync/parking.hpp"

namespace bobbin::sync {

/// Sleeps while the `size` bytes (1, 2, 4 or 8, aligned) at `address` are those at `compare`, until woken by
/// address. `woken` at once if they differ. May wake for no reason: the guest looks again. `kind`: see
/// Parked.
[[nodiscard]] ParkOutcome wait_on_address(const void* address, const void* compare, std::size_t size,
                                          os::Deadline deadline, Waiter& self,
                                          const LockKind* kind = nullptr) noexcept;

void wake_address_single(const void* address) noexcept;
void wake_address_all(const void* address) noexcept;

}  // namespace bobbin::sync
