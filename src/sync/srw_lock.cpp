#include "sync/srw_lock.hpp"

#include <immintrin.h>

#include "os/os.hpp"
#include "sync/deadlock.hpp"
#include "sync/parking.hpp"

namespace bobbin::sync {
namespace {

using abi::RTL_SRWLOCK;

constexpr std::uint32_t kWriterTag = 0;
constexpr std::uint32_t kReaderTag = 1;
constexpr int kSpins = 100;

void add_writer(const LockKind& /*self*/, const void* lock, std::vector<std::uint32_t>& ids) {
  std::uint64_t word = 0;
  if (os::copy_from_doubtful(&word, lock, sizeof word) != sizeof word) return;
  ids.push_back(static_cast<std::uint32_t>(word >> 32));
}

constexpr LockKind kExclusive{Awaited::Kind::exclusive, &add_writer};
constexpr LockKind kShared{Awaited::Kind::shared, &add_writer};

/// What stands in the way of a thread that has been woken: for a writer any owner, for a reader a writer.
bool blocked(std::uint64_t word, std::uint32_t tag) {
  return tag == kWriterTag ? (word & srw::kTaken) != 0 : srw::by_writer(word);
}

/// Under the bucket's lock: takes the lock, or says that we sleep. A reader who comes anew queues up behind
/// those who sleep; one who has been woken has had its turn.
bool take_or_announce(RTL_SRWLOCK& lock, const Waiter& self, std::uint32_t tag, bool was_woken) {
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  for (;;) {
    const bool in_line = tag == kReaderTag && !was_woken && (word & srw::kSleepers) != 0;
    const bool sleep = blocked(word, tag) || (in_line && (word & srw::kTaken) != 0);
    const std::uint64_t taken =
        tag == kReaderTag ? (word | srw::kTaken) + srw::kReader : word | srw::taken_by(self.thread_id);
    const std::uint64_t next = sleep ? word | srw::kSleepers : taken;
    if (srw::word(lock).compare_exchange_weak(word, next, std::memory_order_acquire)) return !sleep;
  }
}

bool try_acquire(RTL_SRWLOCK& lock, const Waiter& self, std::uint32_t tag) {
  return tag == kWriterTag ? try_acquire_exclusive(lock, self.thread_id) : try_acquire_shared(lock);
}

bool spin(RTL_SRWLOCK& lock, const Waiter& self, std::uint32_t tag) {
  for (int i = 0; i < kSpins; ++i) {
    if (try_acquire(lock, self, tag)) return true;
    if ((srw::word(lock).load(std::memory_order_relaxed) & srw::kSleepers) != 0) return false;
    _mm_pause();
  }
  return false;
}

bool acquire_slowly(RTL_SRWLOCK& lock, Waiter& self, std::uint32_t tag) {
  if (spin(lock, self, tag)) return true;
  for (bool was_woken = false;; was_woken = true) {
    Parked parked(&lock, self, tag, nullptr, tag == kWriterTag ? &kExclusive : &kShared);
    {
      ParkingLot lot(&lock);
      if (take_or_announce(lock, self, tag, was_woken)) return true;
      lot.enqueue(parked, was_woken);
    }
    if (parked.sleep() != ParkOutcome::woken) return false;
  }
}

/// Takes the first sleeper out of the queue, and if it reads, all others that read.
void wake_next(RTL_SRWLOCK& lock, ParkingLot& lot) {
  Parked* parked = lot.first();
  if (parked != nullptr && parked->tag() == kWriterTag) {
    lot.wake(*parked);
  } else {
    while (parked != nullptr) {
      Parked* const next = lot.after(*parked);
      if (parked->tag() == kReaderTag) lot.wake(*parked);
      parked = next;
    }
  }
  if (lot.first() == nullptr) srw::word(lock).fetch_and(~srw::kSleepers, std::memory_order_relaxed);
}

}  // namespace

bool acquire_exclusive_slowly(RTL_SRWLOCK& lock, Waiter& self) noexcept {
  return acquire_slowly(lock, self, kWriterTag);
}

bool acquire_shared_slowly(RTL_SRWLOCK& lock, Waiter& self) noexcept {
  return acquire_slowly(lock, self, kReaderTag);
}

void release_exclusive_slowly(RTL_SRWLOCK& lock) noexcept {
  ParkingLot lot(&lock);
  // Only the bit for sleepers can change under us, and not while we have the bucket.
  if (!srw::by_writer(srw::word(lock).load(std::memory_order_relaxed))) return;
  srw::word(lock).fetch_and(srw::kSleepers, std::memory_order_release);
  wake_next(lock, lot);
}

void release_shared_slowly(RTL_SRWLOCK& lock) noexcept {
  ParkingLot lot(&lock);
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  for (;;) {  // readers come and go without the bucket
    if (!srw::by_readers(word)) return;
    const bool last = word < 2 * srw::kReader;
    const std::uint64_t next = last ? word & srw::kSleepers : word - srw::kReader;
    if (!srw::word(lock).compare_exchange_weak(word, next, std::memory_order_release)) continue;
    if (last && (next & srw::kSleepers) != 0) wake_next(lock, lot);
    return;
  }
}

}  // namespace bobbin::sync
