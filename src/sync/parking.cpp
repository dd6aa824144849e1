#include "sync/parking.hpp"

#include <array>
#include <mutex>

namespace bobbin::sync {

struct alignas(64) ParkingBucket {
  os::Mutex mutex;
  Parked* first = nullptr;  ///< guarded by mutex, as is last; threads of all addresses that hash here
  Parked* last = nullptr;

  void insert(Parked& parked, bool front) noexcept;
  void remove(Parked& parked) noexcept;
};

namespace {

constexpr std::size_t kBuckets = 256;
constinit std::array<ParkingBucket, kBuckets> g_buckets;

ParkingBucket& bucket_of(const void* address) {
  // Multiplicative hashing; the top bits are the well-mixed ones.
  const std::uint64_t hash = reinterpret_cast<std::uintptr_t>(address) * 0x9E3779B97F4A7C15u;
  return g_buckets[hash >> (64 - 8)];
}
static_assert(kBuckets == 1u << 8);

}  // namespace

void ParkingBucket::insert(Parked& parked, bool front) noexcept {
  parked.previous_ = front ? nullptr : last;
  parked.next_ = front ? first : nullptr;
  (parked.previous_ != nullptr ? parked.previous_->next_ : first) = &parked;
  (parked.next_ != nullptr ? parked.next_->previous_ : last) = &parked;
  parked.queued_ = true;
  parked.self_.parked_for.store(parked.kind_, std::memory_order_relaxed);
  parked.self_.parked_at.store(parked.address_, std::memory_order_relaxed);
  parked.self_.waits.fetch_add(1);  // in this order: whoever sees it odd sees what it is for
}

void ParkingBucket::remove(Parked& parked) noexcept {
  (parked.previous_ != nullptr ? parked.previous_->next_ : first) = parked.next_;
  (parked.next_ != nullptr ? parked.next_->previous_ : last) = parked.previous_;
  parked.queued_ = false;
  parked.self_.waits.fetch_add(1);
  parked.self_.parked_for.store(nullptr, std::memory_order_relaxed);
  parked.self_.parked_at.store(nullptr, std::memory_order_relaxed);
}

ParkingLot::ParkingLot(const void* address) noexcept : address_(address), bucket_(bucket_of(address)) {
  bucket_.mutex.lock();
}

ParkingLot::~ParkingLot() {
  bucket_.mutex.unlock();
  // Only the address of the word is used: the thread may be gone.
  for (std::size_t i = 0; i < postponed_count_; ++i) os::futex_wake(postponed_[i]->wake, 1);
}

void ParkingLot::enqueue(Parked& parked, bool front) noexcept {
  bucket_.insert(parked, front);
  parked.self_.settle();
}

Parked* ParkingLot::same_address(Parked* from) const noexcept {
  while (from != nullptr && from->address_ != address_) from = from->next_;
  return from;
}

Parked* ParkingLot::first() const noexcept { return same_address(bucket_.first); }

Parked* ParkingLot::after(const Parked& parked) const noexcept { return same_address(parked.next_); }

void ParkingLot::wake(Parked& parked) noexcept {
  bucket_.remove(parked);
  Waiter& waiter = parked.self_;
  waiter.wake.fetch_or(Waiter::kDone, std::memory_order_release);  // from here on `parked` may be gone
  if (postponed_count_ < kPostponed) {
    postponed_[postponed_count_++] = &waiter;
  } else {
    os::futex_wake(waiter.wake, 1);
  }
}

std::size_t ParkingLot::wake_first() noexcept {
  Parked* parked = first();
  if (parked == nullptr) return 0;
  wake(*parked);
  return 1;
}

std::size_t ParkingLot::wake_all() noexcept {
  std::size_t count = 0;
  for (Parked* parked = first(); parked != nullptr; ++count) {
    Parked* const next = after(*parked);
    wake(*parked);
    parked = next;
  }
  return count;
}

ParkOutcome Parked::sleep(os::Deadline deadline) noexcept {
  for (;;) {
    if (self_.sleep(deadline)) return ParkOutcome::woken;
    ParkingBucket& bucket = bucket_of(address_);
    const std::scoped_lock lock(bucket.mutex);
    if (!queued_) return ParkOutcome::woken;
    const bool interrupted = self_.interrupted.load();
    if (interrupted || (deadline && *deadline <= os::monotonic_now())) {
      bucket.remove(*this);
      if (gave_up_ != nullptr) gave_up_(address_);
      return interrupted ? ParkOutcome::interrupted : ParkOutcome::timed_out;
    }
    self_.settle();
  }
}

}  // namespace bobbin::sync
