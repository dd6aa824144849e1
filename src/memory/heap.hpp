// One Windows heap: what HeapCreate makes and HeapAlloc takes from.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/large_blocks.hpp"
#include "memory/small_blocks.hpp"

namespace bobbin::memory {

/// What HeapAlloc and HeapReAlloc are asked for, beside a size.
struct HeapRequest {
  bool zeroed = false;    ///< HEAP_ZERO_MEMORY
  bool in_place = false;  ///< HEAP_REALLOC_IN_PLACE_ONLY
};

/// Thread-safe. A block is 16-byte aligned and knows the size that was asked for. A pointer that is no live
/// block of this heap (never was, is another heap's, or was freed) is recognised, not touched. bad_alloc may
/// be thrown.
class Heap {
 public:
  /// `limit` is the most that all blocks together may have (HeapCreate's maximum size); 0 is none.
  Heap(std::uint32_t flags, std::size_t limit) : flags_(flags), limit_(limit) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  ~Heap() = default;  ///< frees all blocks

  /// nullptr when memory or the limit runs out.
  [[nodiscard]] void* allocate(std::size_t size, HeapRequest request);
  /// nullptr, and the block as it was, when memory or the limit runs out or it would have to move but must
  /// not.
  [[nodiscard]] void* reallocate(void* block, std::size_t size, HeapRequest request);
  /// False if it is not a live block.
  [[nodiscard]] bool free(void* block);
  /// The size that was asked for; nothing if it is not a live block.
  [[nodiscard]] std::optional<std::size_t> size(const void* block) const;
  /// The live block after `after`, in an order that visits each once; nullptr starts. Blocks that others
  /// allocate or free meanwhile may or may not be seen.
  [[nodiscard]] std::optional<HeapBlock> next(const void* after) const;

  /// HeapLock: other threads' calls wait until unlock(). Recursive.
  void lock() noexcept;
  /// False if the calling thread does not hold it.
  [[nodiscard]] bool unlock() noexcept;
  /// From now on the lock keeps nobody out: whoever held it has been stopped and will not come back.
  void break_lock() noexcept;

  /// HEAP_* flags that it was created with.
  [[nodiscard]] std::uint32_t flags() const { return flags_; }
  [[nodiscard]] bool limited() const { return limit_ != 0; }

 private:
  [[nodiscard]] void* allocate_block(std::size_t size, bool zeroed);
  [[nodiscard]] void* reallocate_block(void* block, std::size_t size, HeapRequest request);
  [[nodiscard]] void* move_small(void* block, std::size_t before, std::size_t size, bool zeroed);
  void wait_until_mine() const noexcept;
  void wake_waiters() noexcept;
  /// Waits while another thread holds the guest's lock.
  void respect_lock() const noexcept {
    if (holder_.load(std::memory_order_acquire) != nullptr) [[unlikely]]
      wait_until_mine();
  }
  /// Takes `size` from what the limit leaves; false if there is not that much.
  [[nodiscard]] bool charge(std::size_t size);
  void refund(std::size_t size) { used_.fetch_sub(size, std::memory_order_relaxed); }

  const std::uint32_t flags_;
  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};          ///< bytes in live blocks; kept only if there is a limit
  std::atomic<const void*> holder_{nullptr};  ///< who holds the guest's lock
  std::uint32_t depth_ = 0;                   ///< how often; written by the holder only
  std::atomic<std::uint32_t> released_{0};    ///< counts releases; waiters sleep on it
  std::atomic<bool> broken_{false};           ///< for good: the holder does not matter any more
  SmallBlocks small_;
  LargeBlocks large_;  ///< also small ones, where there is no room for spans or the thread is past its end
};

}  // namespace bobbin::memory
