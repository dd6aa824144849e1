// Memory by handle, as 16-bit Windows had it and LocalAlloc and GlobalAlloc keep it: the block behind a
// handle may move or go away (be discarded) while nobody has it locked.
//
//   fixed      the handle is the block's address, a multiple of 16
//   moveable   the handle is 8 more than the address of a Moveable record, so the two cannot be confused
//
//        Moveable record            block
//      +---------------+        +-------------+---------------------+
//      | magic         |        | the handle  | what lock() hands   |
//      | data ---------+------->| (16 bytes)  | out ...             |
//      | size, locks   |        +-------------+---------------------+
//      +---------------+
//        ^ handle = record + 8
//
// The handle stands before the data, so that a data pointer leads back to it (GlobalHandle).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/heap.hpp"

namespace bobbin::memory {

/// A moveable handle's record. Fields are guarded by the Moveables that made it.
struct Moveable {
  std::uint64_t magic;
  std::byte* data;  ///< nullptr while it is discarded
  std::size_t size;
  std::uint8_t locks;
  bool discardable;
};

/// Thread-safe. Records and blocks are blocks of one heap; what is neither is recognised.
class Moveables {
 public:
  explicit Moveables(Heap& heap) : heap_(heap) {}

  using Handle = void*;

  [[nodiscard]] bool is_handle(const void* handle) const { return record_of(handle) != nullptr; }

  /// A handle to `size` bytes; of size 0 it starts out discarded. nullptr when memory runs out.
  [[nodiscard]] Handle allocate(std::size_t size, bool zeroed, bool discardable);
  /// Frees handle and block, locked or not. False if it is no handle.
  [[nodiscard]] bool free(Handle handle);
  /// Gives the block another size; it moves only if it is not locked or `may_move`. Size 0 discards it (not
  /// while it is locked). False, and nothing changed, if that cannot be done.
  [[nodiscard]] bool resize(Handle handle, std::size_t size, bool zeroed, bool may_move);
  void set_discardable(Handle handle, bool discardable);

  /// The block, which then stays where it is; nullptr if it is discarded.
  [[nodiscard]] void* lock(Handle handle);
  /// How many locks are left; nothing if there was none.
  [[nodiscard]] std::optional<unsigned> unlock(Handle handle);

  /// A copy of what is known of the handle; nothing if it is none.
  [[nodiscard]] std::optional<Moveable> inspect(const void* handle) const;
  /// The handle whose block starts at `data`; nullptr if there is none.
  [[nodiscard]] Handle handle_of(const void* data) const;

 private:
  [[nodiscard]] Moveable* record_of(const void* handle) const;
  [[nodiscard]] std::byte* allocate_data(Handle handle, std::size_t size, bool zeroed);

  Heap& heap_;
  mutable os::Mutex mutex_;  ///< guards every record
};

}  // namespace bobbin::memory
