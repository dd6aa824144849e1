#include "sync/critical_section.hpp"

#include <immintrin.h>
#include <algorithm>
#include <array>
#include <cstddef>

#include "sync/deadlock.hpp"
#include "sync/parking.hpp"

namespace bobbin::sync {
namespace {

using abi::LONG;
using abi::RTL_CRITICAL_SECTION;

constexpr LONG kFreeBit = 1;
constexpr LONG kNobodyWoken = 2;
constexpr LONG kOneSleeper = -4;  ///< added for each

constexpr std::uint32_t kSpinMask = 0x00FFFFFF;  ///< the rest of SpinCount are flags
constexpr std::uint32_t kMostSpins = 4000;       ///< beyond this, sleeping costs less
constexpr std::uint32_t kLeastSpins = 50;

bool has_sleepers(LONG state) { return (state >> 2) != -1; }

/// On a section that try_enter_as found taken: worth another look for a moment, while its owner is running.
bool spin(RTL_CRITICAL_SECTION& cs, abi::HANDLE self) {
  const auto asked = static_cast<std::uint32_t>(cs.SpinCount) & kSpinMask;
  for (std::uint32_t i = std::clamp(asked, kLeastSpins, kMostSpins); i > 0; --i) {
    const LONG state = section::state(cs).load(std::memory_order_relaxed);
    if ((state & kFreeBit) != 0 && try_enter_as(cs, self)) return true;
    if (has_sleepers(state)) return false;  // they have given up spinning, and come first
    _mm_pause();
  }
  return false;
}

/// Under the bucket's lock: takes the section if it is free, else counts us as a sleeper. A thread that was
/// woken has arrived either way.
bool take_or_count(RTL_CRITICAL_SECTION& cs, bool was_woken) {
  const LONG arrived = was_woken ? kNobodyWoken : 0;
  LONG state = section::state(cs).load(std::memory_order_relaxed);
  for (;;) {
    const bool free = (state & kFreeBit) != 0;
    const LONG next = (free ? state & ~kFreeBit : state + kOneSleeper) | arrived;
    if (section::state(cs).compare_exchange_weak(state, next, std::memory_order_acquire)) return free;
  }
}

void gave_up(const void* address) {
  auto& cs = *static_cast<RTL_CRITICAL_SECTION*>(const_cast<void*>(address));
  section::state(cs).fetch_sub(kOneSleeper, std::memory_order_relaxed);
}

constexpr LockKind kSection{Awaited::Kind::section,
                            [](const LockKind&, const void* lock, std::vector<std::uint32_t>& ids) {
                              ids.push_back(owner_of_section(lock));
                            }};

void become_owner(RTL_CRITICAL_SECTION& cs, abi::HANDLE self) {
  section::owner(cs).store(self, std::memory_order_relaxed);
  cs.RecursionCount = 1;
}

}  // namespace

void initialize(RTL_CRITICAL_SECTION& cs, std::uint32_t spin_count) noexcept {
  // Windows keeps debug information for sections that ask for it, and -1 otherwise. C runtimes (Wine's) write
  // a name into it without looking, so every section points to one scratch block, which nobody reads.
  static constinit std::array<std::byte, 64> scratch{};
  cs.DebugInfo = scratch.data();
  cs.LockCount = section::kFree;
  cs.RecursionCount = 0;
  cs.OwningThread = nullptr;
  cs.LockSemaphore = nullptr;
  cs.SpinCount = spin_count & kSpinMask;
}

void destroy(RTL_CRITICAL_SECTION& cs) noexcept {
  initialize(cs, 0);
  cs.DebugInfo = nullptr;
}

std::uint32_t owner_of_section(const void* cs) noexcept {
  RTL_CRITICAL_SECTION copy{};
  if (os::copy_from_doubtful(&copy, cs, sizeof copy) != sizeof copy) return 0;
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(copy.OwningThread));
}

bool enter_slowly(RTL_CRITICAL_SECTION& cs, Waiter& self) noexcept {
  const abi::HANDLE me = section_owner(self.thread_id);
  if (spin(cs, me)) return true;
  for (bool was_woken = false;; was_woken = true) {
    Parked parked(&cs, self, 0, gave_up, &kSection);
    {
      ParkingLot lot(&cs);
      if (take_or_count(cs, was_woken)) break;
      lot.enqueue(parked, was_woken);
    }
    if (parked.sleep() != ParkOutcome::woken) return false;
  }
  become_owner(cs, me);
  return true;
}

void leave_slowly(RTL_CRITICAL_SECTION& cs) noexcept {
  ParkingLot lot(&cs);
  // Free it and choose whom to wake in one step: after it, the section may be gone as soon as we let the
  // bucket go. Newcomers change LockCount without the bucket, hence the loop.
  LONG state = section::state(cs).load(std::memory_order_relaxed);
  for (;;) {
    const bool wake = has_sleepers(state) && (state & kNobodyWoken) != 0;
    const LONG next = (wake ? (state & ~kNobodyWoken) - kOneSleeper : state) | kFreeBit;
    if (!section::state(cs).compare_exchange_weak(state, next, std::memory_order_release)) continue;
    if (wake) lot.wake_first();
    return;
  }
}

}  // namespace bobbin::sync
