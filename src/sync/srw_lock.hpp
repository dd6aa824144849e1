// SRW locks: many readers or one writer, in one word of the guest's, zero when free.
//
//     bit 0       taken, by a writer or by readers
//     bit 1       threads sleep for it (changed under the bucket's lock only, parking.hpp)
//     bits 4..31  the number of readers; 0 while a writer has it
//     bits 32..63 the id of the writer's thread, for those who ask (deadlock.hpp); 0 if it is not known
//
// (With nobody waiting the lower half is what Windows has: 1 for a writer, 0x11 for one reader.) A reader
// who finds sleepers joins them even if readers have the lock, or writers would wait for ever. Not recursive:
// acquiring an exclusive lock twice deadlocks, as on Windows.
#pragma once

#include <atomic>
#include <cstdint>

#include "abi/types.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

namespace srw {

inline constexpr std::uint64_t kTaken = 1;
inline constexpr std::uint64_t kSleepers = 2;
inline constexpr std::uint64_t kReader = 0x10;
inline constexpr std::uint64_t kReaders = 0xFFFFFFF0;
inline constexpr std::uint64_t kWriter = 0xFFFFFFFF00000000;

inline std::atomic_ref<std::uint64_t> word(abi::RTL_SRWLOCK& lock) {
  return std::atomic_ref(reinterpret_cast<std::uint64_t&>(lock.Ptr));
}

/// What a writer puts into a word that is not taken.
inline std::uint64_t taken_by(std::uint64_t thread_id) { return thread_id << 32 | kTaken; }
inline bool by_readers(std::uint64_t word) { return (word & kReaders) != 0; }
inline bool by_writer(std::uint64_t word) { return (word & (kTaken | kReaders)) == kTaken; }

}  // namespace srw

/// `thread_id` is the caller's.
[[nodiscard]] inline bool try_acquire_exclusive(abi::RTL_SRWLOCK& lock, std::uint64_t thread_id) noexcept {
  std::uint64_t word = 0;
  while ((word & srw::kTaken) == 0) {
    if (srw::word(lock).compare_exchange_weak(word, word | srw::taken_by(thread_id),
                                              std::memory_order_acquire))
      return true;
  }
  return false;
}

[[nodiscard]] inline bool try_acquire_shared(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  // Free, or readers have it and nobody waits.
  while ((word & srw::kTaken) == 0 || (srw::by_readers(word) && (word & srw::kSleepers) == 0)) {
    const std::uint64_t next = (word + srw::kReader) | srw::kTaken;
    if (srw::word(lock).compare_exchange_weak(word, next, std::memory_order_acquire)) return true;
  }
  return false;
}

/// True if that was all; false if release_exclusive_slowly() must follow: for sleepers, or because another
/// thread than the caller acquired it.
[[nodiscard]] inline bool release_exclusive_quickly(abi::RTL_SRWLOCK& lock,
                                                    std::uint64_t thread_id) noexcept {
  std::uint64_t expected = srw::taken_by(thread_id);
  return srw::word(lock).compare_exchange_strong(expected, 0, std::memory_order_release);
}

/// True if that was all; false if release_shared_slowly() must follow.
[[nodiscard]] inline bool release_shared_quickly(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  while (srw::by_readers(word)) {
    const bool last = word < 2 * srw::kReader;
    if (last && (word & srw::kSleepers) != 0) return false;
    const std::uint64_t next = last ? 0 : word - srw::kReader;
    if (srw::word(lock).compare_exchange_weak(word, next, std::memory_order_release)) return true;
  }
  return false;
}

/// Sleep until acquired; false if interrupted, and then not acquired.
[[nodiscard]] bool acquire_exclusive_slowly(abi::RTL_SRWLOCK& lock, Waiter& self) noexcept;
[[nodiscard]] bool acquire_shared_slowly(abi::RTL_SRWLOCK& lock, Waiter& self) noexcept;

/// Let go and wake the first sleeper; if that is a reader, all readers. Releasing what is not held does
/// nothing.
void release_exclusive_slowly(abi::RTL_SRWLOCK& lock) noexcept;
void release_shared_slowly(abi::RTL_SRWLOCK& lock) noexcept;

[[nodiscard]] inline bool acquire_exclusive(abi::RTL_SRWLOCK& lock, Waiter& self) noexcept {
  return try_acquire_exclusive(lock, self.thread_id) || acquire_exclusive_slowly(lock, self);
}
[[nodiscard]] inline bool acquire_shared(abi::RTL_SRWLOCK& lock, Waiter& self) noexcept {
  return try_acquire_shared(lock) || acquire_shared_slowly(lock, self);
}
inline void release_exclusive(abi::RTL_SRWLOCK& lock, const Waiter& self) noexcept {
  if (!release_exclusive_quickly(lock, self.thread_id)) release_exclusive_slowly(lock);
}
inline void release_shared(abi::RTL_SRWLOCK& lock) noexcept {
  if (!release_shared_quickly(lock)) release_shared_slowly(lock);
}

}  // namespace bobbin::sync
