#include "tls/slots.hpp"

#include <atomic>
#include <bit>
#include <optional>

#include "abi/status.hpp"

namespace bobbin::tls {
namespace {

using abi::TEB;
using abi::TLS_EXPANSION_SLOTS;
using abi::TLS_MINIMUM_AVAILABLE;

constexpr std::uint32_t kSlotCount = TLS_MINIMUM_AVAILABLE + TLS_EXPANSION_SLOTS;

std::optional<std::uint32_t> lowest_clear(std::span<const abi::ULONG> words) {
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    if (words[i] != ~abi::ULONG{0}) return i * 32 + static_cast<std::uint32_t>(std::countr_one(words[i]));
  }
  return std::nullopt;
}

/// Its cell in one thread; null if the thread has no expansion cells. The owner may be writing to it.
void** cell(TEB& teb, std::uint32_t index) {
  if (index < TLS_MINIMUM_AVAILABLE) return &teb.TlsSlots[index];
  void** const expansion = std::atomic_ref(teb.TlsExpansionSlots).load(std::memory_order_relaxed);
  return expansion == nullptr ? nullptr : expansion + (index - TLS_MINIMUM_AVAILABLE);
}

/// What a thread without expansion cells reads.
constexpr void* kUnset[TLS_EXPANSION_SLOTS] = {};

/// TEB.BobbinBeyondSlots for these expansion cells.
void* beyond_slots(void* const* cells) {
  constexpr std::size_t kFirst = offsetof(TEB, TlsSlots) + TLS_MINIMUM_AVAILABLE * sizeof(void*);
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(cells) - kFirst);
}

void zero_cell(TEB& teb, std::uint32_t index) {
  if (void** const at = cell(teb, index)) std::atomic_ref(*at).store(nullptr, std::memory_order_relaxed);
}

Result<void> make_expansion_locked(TEB& teb) {
  if (teb.TlsExpansionSlots != nullptr) return {};
  auto* const cells = static_cast<void**>(os::allocate(TLS_EXPANSION_SLOTS * sizeof(void*)));
  if (cells == nullptr) {
    return fail({.kind = ErrorKind::out_of_memory,
                 .status = abi::STATUS_NO_MEMORY,
                 .what = "no memory for a thread's 1024 TLS expansion slots"});
  }
  std::atomic_ref(teb.TlsExpansionSlots).store(cells, std::memory_order_release);
  teb.BobbinBeyondSlots = beyond_slots(cells);
  return {};
}

}  // namespace

Slots::Slots(std::span<abi::ULONG> low, std::span<abi::ULONG> high, Threads& threads)
    : low_(low), high_(high), threads_(threads) {
  low_[0] |= 1;
}

abi::ULONG* Slots::word_of(std::uint32_t index) const {
  return index < TLS_MINIMUM_AVAILABLE ? &low_[index / 32] : &high_[(index - TLS_MINIMUM_AVAILABLE) / 32];
}

bool Slots::is_allocated(std::uint32_t index) const {
  return index < kSlotCount && (*word_of(index) >> index % 32 & 1) != 0;
}

Result<std::uint32_t> Slots::allocate(TEB& caller) {
  const std::scoped_lock guard(threads_.lock());
  auto index = lowest_clear(low_);
  if (!index) {
    index = lowest_clear(high_);
    if (!index) {
      return fail({.kind = ErrorKind::out_of_memory,
                   .status = abi::STATUS_NO_MORE_ENTRIES,
                   .what = "all 1088 TLS slots are taken"});
    }
    *index += TLS_MINIMUM_AVAILABLE;
    if (auto made = make_expansion_locked(caller); !made) return propagate(made);
  }
  *word_of(*index) |= 1u << *index % 32;
  zero_cell(caller, *index);
  return *index;
}

bool Slots::free(std::uint32_t index) noexcept {
  const std::scoped_lock guard(threads_.lock());
  if (index == 0 || !is_allocated(index)) return false;
  // Zero first, then clear the bit: whoever allocates it next finds NULL in every thread.
  for (ThreadRecord* record : threads_.listed()) zero_cell(record->teb, index);
  *word_of(index) &= ~(1u << index % 32);
  return true;
}

bool Slots::zero(std::uint32_t index) noexcept {
  if (index >= kSlotCount) return false;
  const std::scoped_lock guard(threads_.lock());
  for (ThreadRecord* record : threads_.listed()) zero_cell(record->teb, index);
  return true;
}

void Slots::begin(TEB& teb) noexcept { teb.BobbinBeyondSlots = beyond_slots(kUnset); }

Result<void> Slots::make_expansion(TEB& teb) {
  const std::scoped_lock guard(threads_.lock());
  return make_expansion_locked(teb);
}

void Slots::drop_expansion(TEB& teb) noexcept {
  void** cells = nullptr;
  begin(teb);
  {
    const std::scoped_lock guard(threads_.lock());
    cells = std::atomic_ref(teb.TlsExpansionSlots).exchange(nullptr, std::memory_order_relaxed);
  }
  os::deallocate(cells);
}

}  // namespace bobbin::tls
