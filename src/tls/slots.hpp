// Explicit slots (TlsAlloc and its kin): which are taken, and their cells in every thread.
//
// The bitmaps and the cells are the guest's to read and write by offset: PEB.TlsBitmapBits,
// PEB.TlsExpansionBitmapBits, TEB.TlsSlots, TEB.TlsExpansionSlots. Nothing is mirrored here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tls/threads.hpp"

namespace bobbin::tls {

/// Guarded by the threads lock, which its functions take.
class Slots {
 public:
  /// Reserves bit 0: no program is ever handed index 0.
  Slots(std::span<abi::ULONG> low, std::span<abi::ULONG> high, Threads& threads);

  [[nodiscard]] Result<std::uint32_t> allocate(abi::TEB& caller);
  [[nodiscard]] bool free(std::uint32_t index) noexcept;
  [[nodiscard]] bool zero(std::uint32_t index) noexcept;
  /// A new thread has no expansion cells: they read as zeros.
  static void begin(abi::TEB& teb) noexcept;
  [[nodiscard]] Result<void> make_expansion(abi::TEB& teb);
  /// The thread is gone: its expansion cells go too.
  void drop_expansion(abi::TEB& teb) noexcept;

  [[nodiscard]] std::optional<std::string> broken_invariant();

 private:
  [[nodiscard]] bool is_allocated(std::uint32_t index) const;
  [[nodiscard]] abi::ULONG* word_of(std::uint32_t index) const;

  const std::span<abi::ULONG> low_;
  const std::span<abi::ULONG> high_;
  Threads& threads_;
};

}  // namespace bobbin::tls
