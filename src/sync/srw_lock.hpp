// SRW locks: many readers or one writer, in one word of the guest's, zero when free.
//
//     bit 0       taken, by a writer or by readers
//     bit 1       threads sleep for it (changed under the bucket's lock only, parking.hpp)
//     bits 4..63  the number of readers; 0 while a writer has it
//
// (With nobody waiting these are the values that Windows has: 1 for a writer, 0x11 for one reader.) A reader
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

inline std::atomic_ref<std::uint64_t> word(abi::RTL_SRWLOCK& lock) {
  return std::atomic_ref(reinterpret_cast<std::uint64_t&>(lock.Ptr));
}

}  // namespace srw

[[nodiscard]] inline bool try_acquire_exclusive(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t word = 0;
  while ((word & srw::kTaken) == 0) {
    if (srw::word(lock).compare_exchange_weak(word, word | srw::kTaken, std::memory_order_acquire))
      return true;
  }
  return false;
}

[[nodiscard]] inline bool try_acquire_shared(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  // Free, or readers have it and nobody waits.
  while ((word & srw::kTaken) == 0 || (word >= srw::kReader && (word & srw::kSleepers) == 0)) {
    const std::uint64_t next = (word + srw::kReader) | srw::kTaken;
    if (srw::word(lock).compare_exchange_weak(word, next, std::memory_order_acquire)) return true;
  }
  return false;
}

/// True if that was all; false if release_exclusive_slowly() must follow.
[[nodiscard]] inline bool release_exclusive_quickly(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t expected = srw::kTaken;
  return srw::word(lock).compare_exchange_strong(expected, 0, std::memory_order_release);
}

/// True if that was all; false if release_shared_slowly() must follow.
[[nodiscard]] inline bool release_shared_quickly(abi::RTL_SRWLOCK& lock) noexcept {
  std::uint64_t word = srw::word(lock).load(std::memory_order_relaxed);
  while (word >= srw::kReader) {
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
  return try_acquire_exclusive(lock) || acquire_exclusive_slowly(lock, self);
}
[[nodiscard]] inline bool acquire_shared(abi::RTL_SRWLOCK& lock, Waiter& self) noexcept {
  return try_acquire_shared(lock) || acquire_shared_slowly(lock, self);
}
inline void release_exclusive(abi::RTL_SRWLOCK& lock) noexcept {
  if (!release_exclusive_quickly(lock)) release_exclusive_slowly(lock);
}
inline void release_shared(abi::RTL_SRWLOCK& lock) noexcept {
  if (!release_shared_quickly(lock)) release_shared_slowly(lock);
}

}  // namespace bobbin::sync
