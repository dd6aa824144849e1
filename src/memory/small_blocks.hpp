// A heap's small blocks, for many threads at once without a lock.
//
// Each thread has a cache of spans per heap, and allocates from its own spans only. A block that its own
// thread frees goes back to the span's list; one that another thread frees is put on the span's second,
// atomic list, and the owner is told which span to look at. The owner looks when it has run out.
//
//   thread A's cache                          thread B
//     size class 3: span -> span -> ...         free(block of A's span):
//     notified: span ------------------------------ state live -> listed, by compare and swap
//                                                   onto span.remote; the first one puts span onto `notified`
//
// A cache outlives its thread: the next thread that comes adopts it, with spans, blocks and all.
#pragma once

#include <memory>
#include <vector>

#include "memory/large_blocks.hpp"
#include "memory/span.hpp"

namespace bobbin::memory {

class SmallBlocks;

/// What one thread has of one heap. All but `notified` is the owner's alone.
struct SpanCache {
  explicit SpanCache(SmallBlocks& blocks) : heap(&blocks) {}

  SmallBlocks* const heap;
  const void* owner = nullptr;  ///< the thread; nullptr: to be adopted. Guarded by the heap's mutex
  Span* with_room[kSizeClasses] = {};
  Span* spans = nullptr;  ///< all of them, by Span::sibling
  /// Spans that other threads have freed blocks of.
  std::atomic<Span*> notified{nullptr};
};

/// Thread-safe. A block is freed twice by two threads at the same moment only by a broken guest; that alone
/// is not recognised.
class SmallBlocks {
 public:
  SmallBlocks();
  SmallBlocks(const SmallBlocks&) = delete;
  SmallBlocks& operator=(const SmallBlocks&) = delete;
  ~SmallBlocks();  ///< frees them all

  /// At most kMostSmall bytes. nullptr when there is no memory, or the thread is past its end.
  [[nodiscard]] void* allocate(std::size_t size);
  /// False if it is not a live block.
  [[nodiscard]] bool free(void* block);
  [[nodiscard]] std::optional<std::size_t> size(const void* block) const;
  /// Gives a live block another size; false if its place is too small for that, or it is no live block.
  [[nodiscard]] bool resize(void* block, std::size_t size);
  /// The live block with the lowest address above `after`.
  [[nodiscard]] std::optional<HeapBlock> next(const void* after) const;

  /// Whether the address lies where small blocks (of any heap) lie.
  [[nodiscard]] static bool covers(const void* address) { return arena::span_of(address) != nullptr; }

  /// The thread ends: its cache is free to be adopted.
  void abandon(const void* thread) noexcept;

 private:
  struct Place {
    Span* span = nullptr;
    std::uint32_t index = Span::kNone;
  };
  /// Where the block is; no span if it is none of ours.
  [[nodiscard]] Place place_of(const void* block) const;
  [[nodiscard]] SpanCache* my_cache() const;
  [[nodiscard]] SpanCache* adopt_cache();
  [[nodiscard]] Span* span_with_room(SpanCache& cache, std::size_t size_class);

  const std::uint64_t id_;  ///< never used again, unlike an address
  os::Mutex mutex_;
  std::vector<std::unique_ptr<SpanCache>> caches_;  ///< guarded by mutex_
};

}  // namespace bobbin::memory
