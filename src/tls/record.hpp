// The pages that belong to one thread and that it touches all the time, as one struct: what stands beside
// what decides what a thread costs. engine.hpp draws the picture.
//
// Records of many threads lie side by side in slabs, such that a walk over a thousand of them (TlsFree,
// module load) finds the same cell of all in the caches. The stride is an odd number of pages: with a power
// of two the cells would fall into a few sets of the TLB. And of sixteen neighbours each begins a cache line
// later in its page than the one before: at one offset in all pages they would fall into a few sets of the
// caches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/teb.hpp"
#include "os/os.hpp"

namespace bobbin::tls {

/// Entries of a thread's vector: the largest number of modules with TLS.
inline constexpr std::uint32_t kVectorCapacity = 2046;

inline constexpr std::size_t kRecordStride = 17 * os::kPageSize;
/// What a record, and so a block in it, is aligned to.
inline constexpr std::size_t kRecordAlignment = 64;
inline constexpr std::size_t kRecordShifts = 16;
inline constexpr std::size_t kRecordSize = kRecordStride - (kRecordShifts - 1) * kRecordAlignment;

/// The 16 bytes before vector[0], as Windows lays them out (specification 1.5), except that a retired vector
/// keeps its length: Windows puts the thread's id there, since it has one table for all threads.
struct VectorHeader {
  std::uint64_t length;  ///< entries of the vector; readable at vector[-2]
  void* next_retired;    ///< chains replaced vectors; unused while a vector is live
};

struct ThreadRecord {
  abi::TEB teb;

  // What the engine remembers about the thread; with the first blocks and entries in the TEB's second page,
  // so that a thread with few modules touches no third.
  std::byte* views;        ///< this thread's view of the template file, or null; see views.hpp
  ThreadRecord* next;      ///< chains pooled records (guarded by the threads lock), or attached ones (by the
                           ///< modules lock, held exclusively)
  void** current;          ///< the vector that the engine last let it run on; null: the sentinel
  VectorHeader* owned;     ///< what of the heap is to be freed with the thread: of `current`, or null
  VectorHeader* retired;   ///< vectors that it ran on before, and may still be reading
  std::uint32_t length;    ///< entries of `current`
  std::uint32_t position;  ///< where the engine's list of threads names this record; the threads lock
  std::uint32_t blocks_end;  ///< offset in the record up to which blocks have been written: zeroed on return
  std::uint32_t entries;     ///< entries of `vector` that may be non-null, counted from 0: zeroed on return
  bool attached;    ///< has blocks; written by its own thread under the shared modules lock, as all below
  bool foreign;     ///< the guest has exchanged entries or vectors of this thread
  bool handed_out;  ///< the guest got `vector` back, and may free it

  /// Small blocks, at the same offsets in every record: the first few here, others after the vector.
  alignas(kRecordAlignment) std::byte blocks[0x19F0 - 0x18C0];

  /// The thread's own vector in place; by swapping only what is left when a guest leaves no other.
  VectorHeader header;
  void* vector[kVectorCapacity];

  std::byte more_blocks[kRecordSize - 0x1A00 - sizeof(void*) * kVectorCapacity];
};

inline constexpr std::size_t kBlocksBegin = offsetof(ThreadRecord, blocks);
inline constexpr std::size_t kVectorBegin = offsetof(ThreadRecord, header);
inline constexpr std::size_t kVectorEnd = offsetof(ThreadRecord, more_blocks);

static_assert(kBlocksBegin == 0x18C0 && kVectorBegin == 0x19F0);
static_assert(sizeof(ThreadRecord) == kRecordSize && sizeof(VectorHeader) == 16);

}  // namespace bobbin::tls
