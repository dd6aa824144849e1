// Blocks that come from the host's malloc one by one, listed by address. The list is what a Windows heap
// needs and malloc does not have: whether a pointer is a live block, its exact size, the block after it, and
// all of them when the heap is destroyed. A look-up costs a lock and a walk down a tree, which does not show
// beside what a large block costs anyway; small blocks have a place of their own (small_blocks.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "os/os.hpp"

namespace bobbin::memory {

/// A live block, as heaps tell of it.
struct HeapBlock {
  std::byte* data = nullptr;
  std::size_t size = 0;  ///< as it was asked for
};

/// Thread-safe. Blocks are 16-byte aligned. Pointers that are no live block are recognised, never touched.
class LargeBlocks {
 public:
  LargeBlocks() = default;
  LargeBlocks(const LargeBlocks&) = delete;
  LargeBlocks& operator=(const LargeBlocks&) = delete;
  ~LargeBlocks();  ///< frees them all

  /// nullptr, or bad_alloc, when memory runs out.
  [[nodiscard]] void* allocate(std::size_t size, bool zeroed);
  /// The block, perhaps moved; nullptr if it is not one or memory runs out (it then stays as it was). What
  /// was added is zeroed if `zeroed`. With `in_place`, fails rather than move it.
  [[nodiscard]] void* reallocate(void* block, std::size_t size, bool zeroed, bool in_place);
  /// False if it is not a live block.
  [[nodiscard]] bool free(void* block);
  [[nodiscard]] std::optional<std::size_t> size(const void* block) const;
  /// The live block with the lowest address above `after`.
  [[nodiscard]] std::optional<HeapBlock> next(const void* after) const;

 private:
  mutable os::Mutex mutex_;
  std::map<std::uintptr_t, std::size_t> sizes_;  ///< guarded by mutex_; by address
};

}  // namespace bobbin::memory
