#include "sync/address_wait.hpp"

#include <atomic>

namespace bobbin::sync {
namespace {

template <class T>
bool equal(const void* address, const void* compare) {
  T& value = *static_cast<T*>(const_cast<void*>(address));
  return std::atomic_ref(value).load() == *static_cast<const T*>(compare);
}

bool equal(const void* address, const void* compare, std::size_t size) {
  switch (size) {
    case 1:
      return equal<std::uint8_t>(address, compare);
    case 2:
      return equal<std::uint16_t>(address, compare);
    case 4:
      return equal<std::uint32_t>(address, compare);
    default:
      return equal<std::uint64_t>(address, compare);
  }
}

}  // namespace

ParkOutcome wait_on_address(const void* address, const void* compare, std::size_t size, os::Deadline deadline,
                            Waiter& self, const LockKind* kind) noexcept {
  // Once without the bucket's lock: cheap, and if the guest's pointer is bad the fault happens here.
  if (!equal(address, compare, size)) return ParkOutcome::woken;
  Parked parked(address, self, 0, nullptr, kind);
  {
    ParkingLot lot(address);
    if (!equal(address, compare, size)) return ParkOutcome::woken;
    lot.enqueue(parked);
  }
  return parked.sleep(deadline);
}

void wake_address_single(const void* address) noexcept { ParkingLot(address).wake_first(); }

void wake_address_all(const void* address) noexcept { ParkingLot(address).wake_all(); }

}  // namespace bobbin::sync
