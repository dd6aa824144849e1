#include "memory/heap.hpp"

#include <climits>
#include <cstring>

namespace bobbin::memory {
namespace {

/// The calling thread, as something to compare.
const void* myself() {
  static thread_local char here;
  return &here;
}

}  // namespace

void* Heap::allocate(std::size_t size, HeapRequest request) {
  respect_lock();
  if (!charge(size)) return nullptr;
  void* block = allocate_block(size, request.zeroed);
  if (block == nullptr && limited()) refund(size);
  return block;
}

void* Heap::allocate_block(std::size_t size, bool zeroed) {
  void* block = size <= kMostSmall ? small_.allocate(size) : nullptr;
  if (block == nullptr) return large_.allocate(size, zeroed);
  if (zeroed) std::memset(block, 0, size);
  return block;
}

void* Heap::reallocate(void* block, std::size_t size, HeapRequest request) {
  respect_lock();
  const std::size_t before = limited() ? this->size(block).value_or(0) : 0;
  if (size > before && !charge(size - before)) return nullptr;
  void* moved = reallocate_block(block, size, request);
  if (limited()) {
    if (moved == nullptr && size > before) refund(size - before);
    if (moved != nullptr && size < before) refund(before - size);
  }
  return moved;
}

void* Heap::reallocate_block(void* block, std::size_t size, HeapRequest request) {
  if (!SmallBlocks::covers(block)) return large_.reallocate(block, size, request.zeroed, request.in_place);
  const auto before = small_.size(block);
  if (!before) return nullptr;
  if (!small_.resize(block, size)) {
    return request.in_place ? nullptr : move_small(block, *before, size, request.zeroed);
  }
  if (request.zeroed && size > *before) {
    std::memset(static_cast<std::byte*>(block) + *before, 0, size - *before);
  }
  return block;
}

void* Heap::move_small(void* block, std::size_t before, std::size_t size, bool zeroed) {
  void* moved = allocate_block(size, zeroed);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, before);
  (void)small_.free(block);
  return moved;
}

bool Heap::free(void* block) {
  respect_lock();
  const std::size_t size = limited() ? this->size(block).value_or(0) : 0;
  if (!(SmallBlocks::covers(block) ? small_.free(block) : large_.free(block))) return false;
  if (limited()) refund(size);
  return true;
}

std::optional<std::size_t> Heap::size(const void* block) const {
  return SmallBlocks::covers(block) ? small_.size(block) : large_.size(block);
}

std::optional<HeapBlock> Heap::next(const void* after) const {
  // The small ones first, then the large ones, each in the order of their addresses.
  const bool in_small = after == nullptr || SmallBlocks::covers(after);
  if (in_small) {
    if (const auto block = small_.next(after)) return block;
  }
  return large_.next(in_small ? nullptr : after);
}

bool Heap::charge(std::size_t size) {
  if (!limited()) return true;
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (size > limit_ - used) return false;
  } while (!used_.compare_exchange_weak(used, used + size, std::memory_order_relaxed));
  return true;
}

void Heap::wait_until_mine() const noexcept {
  for (;;) {
    const std::uint32_t seen = released_.load(std::memory_order_acquire);
    const void* holder = holder_.load(std::memory_order_acquire);
    if (holder == nullptr || holder == myself() || broken_.load(std::memory_order_acquire)) return;
    os::futex_wait(released_, seen);
  }
}

void Heap::lock() noexcept {
  for (;;) {
    const void* holder = nullptr;
    if (holder_.compare_exchange_strong(holder, myself(), std::memory_order_acquire) || holder == myself())
      break;
    if (broken_.load(std::memory_order_acquire)) return;
    wait_until_mine();
  }
  ++depth_;
}

bool Heap::unlock() noexcept {
  if (holder_.load(std::memory_order_relaxed) != myself()) return broken_.load(std::memory_order_acquire);
  if (--depth_ == 0) {
    holder_.store(nullptr, std::memory_order_release);
    wake_waiters();
  }
  return true;
}

void Heap::break_lock() noexcept {
  broken_.store(true, std::memory_order_release);
  wake_waiters();
}

void Heap::wake_waiters() noexcept {
  released_.fetch_add(1, std::memory_order_release);
  os::futex_wake(released_, INT_MAX);
}

}  // namespace bobbin::memory
