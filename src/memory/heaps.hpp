// All heaps of the guest process, by handle.
//
// A handle is the address of an entry of a fixed table, so whether a handle is good is known by comparing
// addresses, without following it. Windows gives pointers, too, and guests know nothing of what they point
// to.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "base/error.hpp"
#include "memory/heap.hpp"
#include "memory/moveable.hpp"

namespace bobbin::memory {

using HeapHandle = void*;

/// Thread-safe, except that a heap must not be destroyed while others use it (as on Windows).
class Heaps {
 public:
  Heaps();  ///< makes the process heap
  ~Heaps();
  Heaps(const Heaps&) = delete;
  Heaps& operator=(const Heaps&) = delete;

  /// What GetProcessHeap answers and PEB.ProcessHeap holds. Lives as long as this object.
  [[nodiscard]] HeapHandle process_heap() { return &table_[0]; }

  /// A new heap. `limit` 0: it may grow without end. STATUS_NO_MEMORY when there are too many.
  [[nodiscard]] Result<HeapHandle> create(std::uint32_t flags, std::size_t limit);

  /// Frees the heap with all its blocks. STATUS_INVALID_HANDLE for the process heap, and for no heap.
  [[nodiscard]] Result<void> destroy(HeapHandle handle);

  /// The heap behind a handle; nullptr if it is none.
  [[nodiscard]] Heap* find(HeapHandle handle) const {
    const auto offset =
        reinterpret_cast<std::uintptr_t>(handle) - reinterpret_cast<std::uintptr_t>(&table_[0]);
    if (offset >= sizeof table_ || offset % sizeof table_[0] != 0) return nullptr;
    return table_[offset / sizeof table_[0]].load(std::memory_order_acquire);
  }

  /// Handles of all heaps, the process heap first.
  [[nodiscard]] std::vector<HeapHandle> all();

  /// The handles of LocalAlloc and GlobalAlloc; their memory is the process heap's.
  [[nodiscard]] Moveables& moveables() { return moveables_; }

  /// Opens every heap's guest lock for good (Heap::break_lock). For the end of the process: HeapLock returns
  /// to guest code, so a thread can be stopped while it holds one.
  void break_locks() noexcept;

 private:
  static constexpr std::size_t kMostHeaps = 4096;
  /// An entry is claimed by whoever changes it from nullptr, and given back by whoever changes it to nullptr.
  std::array<std::atomic<Heap*>, kMostHeaps> table_{};
  Moveables moveables_;
};

}  // namespace bobbin::memory
