#include "memory/heap.hpp"

#include <climits>

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
  void* block = large_.allocate(size, request.zeroed);
  if (block == nullptr && limited()) refund(size);
  return block;
}

void* Heap::reallocate(void* block, std::size_t size, HeapRequest request) {
  respect_lock();
  const std::size_t before = limited() ? large_.size(block).value_or(0) : 0;
  if (size > before && !charge(size - before)) return nullptr;
  void* moved = large_.reallocate(block, size, request.zeroed, request.in_place);
  if (limited()) {
    if (moved == nullptr && size > before) refund(size - before);
    if (moved != nullptr && size < before) refund(before - size);
  }
  return moved;
}

bool Heap::free(void* block) {
  respect_lock();
  const std::size_t size = limited() ? large_.size(block).value_or(0) : 0;
  if (!large_.free(block)) return false;
  if (limited()) refund(size);
  return true;
}

std::optional<std::size_t> Heap::size(const void* block) const { return large_.size(block); }

std::optional<HeapBlock> Heap::next(const void* after) const { return large_.next(after); }

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
    if (holder == nullptr || holder == myself()) return;
    os::futex_wait(released_, seen);
  }
}

void Heap::lock() noexcept {
  for (;;) {
    const void* holder = nullptr;
    if (holder_.compare_exchange_strong(holder, myself(), std::memory_order_acquire) || holder == myself())
      break;
    wait_until_mine();
  }
  ++depth_;
}

bool Heap::unlock() noexcept {
  if (holder_.load(std::memory_order_relaxed) != myself()) return false;
  if (--depth_ == 0) break_lock();
  return true;
}

void Heap::break_lock() noexcept {
  depth_ = 0;
  holder_.store(nullptr, std::memory_order_release);
  released_.fetch_add(1, std::memory_order_release);
  os::futex_wake(released_, INT_MAX);
}

}  // namespace bobbin::memory
