// Spans: 64 KiB of equally large blocks, and the arena that they are cut from.
//
//     span, a multiple of 64 KiB
//   +--------+---------------------------+---------+---------+----
//   | header | one 16-bit state per block | block 0 | block 1 | ...
//   +--------+---------------------------+---------+---------+----
//
// All spans lie in one reservation, so whether an address can be a block, and where its span starts, is known
// by arithmetic. A block's state says whether it is live and what size was asked for, or links it into a list
// of free blocks. Nothing is kept in the blocks: a guest that writes into a freed one spoils no list of ours.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bobbin::memory {

struct SpanCache;

inline constexpr std::size_t kSpanSize = 0x10000;
inline constexpr std::size_t kSizeClasses = 32;
inline constexpr std::size_t kMostSmall = 8192;

/// The class of the smallest blocks that hold `size` bytes, at most kMostSmall: every 16 bytes up to 128,
/// then four to a doubling.
[[nodiscard]] constexpr std::size_t class_of(std::size_t size) {
  const std::size_t last = size == 0 ? 0 : size - 1;
  if (last < 128) return last / 16;
  const auto shift = static_cast<std::size_t>(61 - __builtin_clzll(last));
  return 8 + (shift - 5) * 4 + (last >> shift) - 4;
}

[[nodiscard]] constexpr std::size_t class_size(std::size_t size_class) {
  if (size_class < 8) return (size_class + 1) * 16;
  return (size_class % 4 + 5) << (5 + (size_class - 8) / 4);
}

/// The state of a block, a 16-bit number:
///   0                  never used
///   1 + size           live; `size` bytes were asked for
///   kFree | next       in a list of free blocks (the span's own, or what other threads freed)
class BlockState {
 public:
  static constexpr std::uint16_t kFree = 0x8000;
  static constexpr std::uint16_t kEnd = 0x1FFF;  ///< an index that no block has

  constexpr BlockState(std::uint16_t raw) : raw_(raw) {}
  [[nodiscard]] static constexpr BlockState live(std::size_t size) {
    return static_cast<std::uint16_t>(size + 1);
  }
  [[nodiscard]] static constexpr BlockState listed(std::uint32_t next) {
    return static_cast<std::uint16_t>(kFree | next);
  }
  [[nodiscard]] constexpr std::uint16_t raw() const { return raw_; }
  [[nodiscard]] constexpr bool is_live() const { return raw_ != 0 && (raw_ & kFree) == 0; }
  [[nodiscard]] constexpr std::size_t size() const { return raw_ - std::size_t{1}; }
  [[nodiscard]] constexpr std::uint16_t next() const { return raw_ & kEnd; }

 private:
  std::uint16_t raw_;
};

/// A span's header. `owner` means the one thread that the span's cache belongs to at the moment.
struct Span {
  std::atomic<SpanCache*> cache;  ///< set last when the span is made; nullptr while nobody has it
  std::uint32_t block_size;       ///< these four are fixed while somebody has it
  std::uint32_t inverse;          ///< ceil(2^32 / block_size)
  std::uint16_t count;
  std::uint16_t first;                ///< offset of block 0
  std::uint16_t free;                 ///< first of the free blocks; owner only
  std::uint16_t fresh;                ///< blocks from here on were never used; owner only
  bool full;                          ///< not in its cache's list of spans with room; owner only
  std::atomic<std::uint32_t> remote;  ///< first of the blocks that other threads freed
  Span* next;                         ///< in its cache's list, or in the arena's; owner only, or arena's lock
  Span* next_notified;  ///< in its cache's list of spans with remote blocks; by whoever puts it there
  Span* sibling;        ///< in the list of all spans of the cache; owner only

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// Makes a span of zeroed memory into one for blocks of a class. Everything but `cache` is set.
  void form(std::size_t size_class) noexcept;

  [[nodiscard]] std::atomic<std::uint16_t>& state(std::uint32_t index) {
    return reinterpret_cast<std::atomic<std::uint16_t>*>(this + 1)[index];
  }
  [[nodiscard]] BlockState look(std::uint32_t index) { return state(index).load(std::memory_order_relaxed); }
  void set(std::uint32_t index, BlockState value) {
    state(index).store(value.raw(), std::memory_order_relaxed);
  }
  [[nodiscard]] std::byte* block(std::uint32_t index) {
    return reinterpret_cast<std::byte*>(this) + first + std::size_t{index} * block_size;
  }
  /// The index of the block that starts at `address`, which is in this span; kNone if none does.
  [[nodiscard]] std::uint32_t index_of(const void* address) const {
    const std::uint64_t offset = (reinterpret_cast<std::uintptr_t>(address) & (kSpanSize - 1)) - first;
    if (offset >= kSpanSize) return kNone;
    const auto index = static_cast<std::uint32_t>(offset * inverse >> 32);
    return std::uint64_t{index} * block_size == offset && index < count ? index : kNone;
  }
};

/// Where spans come from. One for the process, never given back: pointers are checked against its range.
namespace arena {

/// A span of zeroed memory that nobody has; nullptr when there is none to be had.
[[nodiscard]] Span* take() noexcept;
void give_back(Span* span) noexcept;

/// The span around an address, nullptr for an address outside the arena. It may belong to nobody.
[[nodiscard]] Span* span_of(const void* address) noexcept;

/// The first span at or above an address (nullptr: the first of all); nullptr after the last.
[[nodiscard]] Span* at_or_after(const void* address) noexcept;

}  // namespace arena
}  // namespace bobbin::memory
