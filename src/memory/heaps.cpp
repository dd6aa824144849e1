#include "memory/heaps.hpp"

#include <memory>

#include "abi/status.hpp"

namespace bobbin::memory {

Heaps::Heaps() : table_{new Heap(0, 0)}, moveables_(*table_[0].load()) {}

Heaps::~Heaps() {
  for (auto& entry : table_) delete entry.exchange(nullptr);
}

Result<HeapHandle> Heaps::create(std::uint32_t flags, std::size_t limit) {
  auto heap = std::make_unique<Heap>(flags, limit);
  for (auto& entry : table_) {
    Heap* free = nullptr;
    if (entry.compare_exchange_strong(free, heap.get())) {
      (void)heap.release();
      return &entry;
    }
  }
  return fail({.kind = ErrorKind::out_of_memory,
               .status = abi::STATUS_NO_MEMORY,
               .what = "no more than 4096 heaps can exist at a time"});
}

Result<void> Heaps::destroy(HeapHandle handle) {
  Heap* heap = handle == process_heap() ? nullptr : find(handle);
  if (heap == nullptr) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_HANDLE,
                 .what = "destroying what is not a heap, or the process heap"});
  }
  static_cast<std::atomic<Heap*>*>(handle)->store(nullptr, std::memory_order_release);
  delete heap;
  return {};
}

std::vector<HeapHandle> Heaps::all() {
  std::vector<HeapHandle> handles;
  for (auto& entry : table_) {
    if (entry.load(std::memory_order_acquire) != nullptr) handles.push_back(&entry);
  }
  return handles;
}

void Heaps::break_locks() noexcept {
  for (auto& entry : table_) {
    if (Heap* heap = entry.load(std::memory_order_acquire); heap != nullptr) heap->break_lock();
  }
}

}  // namespace bobbin::memory
