// Critical sections: recursive locks on the guest's own RTL_CRITICAL_SECTION.
//
// LockCount holds the whole state, encoded as Windows has done since Vista, so that debuggers and guests that
// look read what they expect:
//
//     bit 0       1: free, 0: taken
//     bit 1       0: a sleeper has been woken and is on its way, so nobody need wake another; 1: none is
//     bits 2..31  the number of sleepers, complemented
//
// Free is therefore -1, taken -2, taken with one sleeper -6. OwningThread and RecursionCount belong to the
// owner. A newcomer may take a free section before a thread that was woken for it gets there: a section that
// is left and entered again at once costs no change of threads.
//
// Entering and leaving without contention is inline here: one locked instruction, no call. Slow paths park.
#pragma once

#include <atomic>

#include "abi/types.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

namespace section {

inline constexpr abi::LONG kFree = -1;
inline constexpr abi::LONG kTaken = -2;

inline std::atomic_ref<abi::LONG> state(abi::RTL_CRITICAL_SECTION& cs) {
  return std::atomic_ref(cs.LockCount);
}
inline std::atomic_ref<abi::HANDLE> owner(abi::RTL_CRITICAL_SECTION& cs) {
  return std::atomic_ref(cs.OwningThread);
}

}  // namespace section

/// A thread id as OwningThread holds it.
inline abi::HANDLE section_owner(std::uint32_t thread_id) {
  return reinterpret_cast<abi::HANDLE>(std::uintptr_t{thread_id});
}

/// Makes a free section of these 40 bytes. `spin_count` as the guest gave it.
void initialize(abi::RTL_CRITICAL_SECTION& cs, std::uint32_t spin_count) noexcept;
/// Leaves it free, since sloppy guests enter a section once more when they end.
void destroy(abi::RTL_CRITICAL_SECTION& cs) noexcept;

/// Enters without waiting, or not at all. `self` is the thread id as TEB.ClientId.UniqueThread holds it.
[[nodiscard]] inline bool try_enter_as(abi::RTL_CRITICAL_SECTION& cs, abi::HANDLE self) noexcept {
  abi::LONG expected = section::kFree;
  if (section::state(cs).compare_exchange_strong(expected, section::kTaken, std::memory_order_acquire)) {
    section::owner(cs).store(self, std::memory_order_relaxed);
    cs.RecursionCount = 1;
    return true;
  }
  if (section::owner(cs).load(std::memory_order_relaxed) == self) {
    ++cs.RecursionCount;
    return true;
  }
  while ((expected & 1) != 0) {  // free, with sleepers
    if (!section::state(cs).compare_exchange_weak(expected, expected & ~1, std::memory_order_acquire))
      continue;
    section::owner(cs).store(self, std::memory_order_relaxed);
    cs.RecursionCount = 1;
    return true;
  }
  return false;
}

/// Enters after waiting; the caller has seen try_enter_as fail. False if the wait was interrupted: then the
/// section has not been entered.
[[nodiscard]] bool enter_slowly(abi::RTL_CRITICAL_SECTION& cs, Waiter& self) noexcept;

/// The id of the thread that is in it, or 0. Asks only, of memory that may be gone.
[[nodiscard]] std::uint32_t owner_of_section(const void* cs) noexcept;

/// Wakes who sleeps, having let go. The last step of leaving.
void leave_slowly(abi::RTL_CRITICAL_SECTION& cs) noexcept;

/// Leaves once. True if that was all; false if leave_slowly() must follow.
[[nodiscard]] inline bool leave_quickly(abi::RTL_CRITICAL_SECTION& cs) noexcept {
  if (cs.RecursionCount != 1) {
    if (cs.RecursionCount > 1) --cs.RecursionCount;  // else: not entered, the guest's mistake
    return true;
  }
  cs.RecursionCount = 0;
  section::owner(cs).store(nullptr, std::memory_order_relaxed);
  abi::LONG expected = section::kTaken;
  return section::state(cs).compare_exchange_strong(expected, section::kFree, std::memory_order_release);
}

// For host code, on sections that it shares with the guest (PEB.LoaderLock, PEB.FastPebLock).

/// False if the wait was interrupted and the section therefore not entered.
[[nodiscard]] inline bool enter(abi::RTL_CRITICAL_SECTION& cs, Waiter& self) noexcept {
  return try_enter_as(cs, section_owner(self.thread_id)) || enter_slowly(cs, self);
}
[[nodiscard]] inline bool try_enter(abi::RTL_CRITICAL_SECTION& cs, Waiter& self) noexcept {
  return try_enter_as(cs, section_owner(self.thread_id));
}
inline void leave(abi::RTL_CRITICAL_SECTION& cs) noexcept {
  if (!leave_quickly(cs)) leave_slowly(cs);
}

[[nodiscard]] inline bool is_entered(abi::RTL_CRITICAL_SECTION& cs) noexcept {
  return (section::state(cs).load(std::memory_order_relaxed) & 1) == 0;
}
[[nodiscard]] inline bool is_entered_by(abi::RTL_CRITICAL_SECTION& cs, std::uint32_t thread_id) noexcept {
  return is_entered(cs) && section::owner(cs).load(std::memory_order_relaxed) == section_owner(thread_id);
}

}  // namespace bobbin::sync
