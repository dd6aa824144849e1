// What both ways of growing share: the table of modules, the order in which things become visible, who owns
// which vector, and the service that exchanges entries and vectors in all threads. What differs (where blocks
// lie, and what becomes of a vector that is too short) is a strategy's: in_place.hpp, swap.hpp.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tls/engine.hpp"
#include "tls/reserved_array.hpp"
#include "tls/threads.hpp"

namespace bobbin::tls {

using Vector = void**;

/// Before each block that comes from the heap. Windows since 8.1 has the same word right before a block, so
/// that what aligned it can be freed.
struct BlockHeader {
  BlockHeader* next;  ///< chains blocks that no thread has yet
  void* raw;          ///< what the heap gave
};
[[nodiscard]] inline BlockHeader& header_of_block(void* block) {
  return static_cast<BlockHeader*>(block)[-1];
}

inline constexpr std::size_t kLeastAlignment = 16;

class Strategy {
 public:
  /// The one that the options ask for.
  [[nodiscard]] static Result<std::unique_ptr<Strategy>> create(const Options& options, Threads& threads);
  virtual ~Strategy() = default;
  Strategy(const Strategy&) = delete;
  Strategy& operator=(const Strategy&) = delete;

  [[nodiscard]] Result<void> attach(ThreadRecord& record);
  void detach(ThreadRecord& record) noexcept;

  [[nodiscard]] Result<std::uint32_t> prepare(const Template& source);
  void commit(std::uint32_t index) noexcept;
  void cancel(std::uint32_t index) noexcept;
  void release(std::uint32_t index) noexcept;

  [[nodiscard]] Result<void> exchange(Exchange what, std::uint32_t number, std::span<ThreadData> data);
  [[nodiscard]] bool take_back_vector(const void* block) noexcept;

  [[nodiscard]] Statistics statistics();
  [[nodiscard]] std::optional<std::string> broken_invariant();

 protected:
  enum class State : std::uint8_t { free, prepared, live };

  /// One index; guarded by lock_.
  struct Module {
    State state;
    Template source;
  };

  Strategy(const Options& options, Threads& threads)
      : threads_(threads), honour_alignment_(options.honour_alignment), heap_(options.heap) {}
  /// The part of making one that can fail.
  [[nodiscard]] Result<void> reserve_table();

  // -- what a strategy decides; called with lock_ held, exclusively unless it says "shared"

  /// Makes a thread's blocks and fills its vector, not yet visible; null if it needs none yet. Shared.
  [[nodiscard]] virtual Result<Vector> build(ThreadRecord& record) = 0;
  /// A thread that ran on `seen` runs no more: its blocks go. Shared.
  virtual void drop(ThreadRecord& record, Vector seen) noexcept = 0;
  /// Room for a module in every attached thread, and its blocks in it; not visible to them.
  [[nodiscard]] virtual Result<void> make_room(std::uint32_t index, const Template& source) = 0;
  /// Every attached thread sees its block.
  virtual void publish(std::uint32_t index) noexcept = 0;
  /// The room is free again; modules_[index].state says whether anybody has seen it.
  virtual void give_up(std::uint32_t index) noexcept = 0;
  /// Fills in what only the strategy counts.
  virtual void count(Statistics& statistics) const = 0;
  [[nodiscard]] virtual std::optional<std::string> broken_module(std::uint32_t index) = 0;
  [[nodiscard]] virtual std::optional<std::string> broken_thread(ThreadRecord& record) = 0;
  [[nodiscard]] virtual std::optional<std::string> broken_books() = 0;

  // -- vectors

  /// TEB+58h. Its thread may be reading it; a guest may have put a vector of its own there.
  [[nodiscard]] static std::atomic_ref<Vector> field(ThreadRecord& record) {
    return std::atomic_ref(record.teb.ThreadLocalStoragePointer);
  }
  /// What the field holds on a live thread that has no vector yet: its own address.
  [[nodiscard]] static Vector sentinel(ThreadRecord& record) {
    return reinterpret_cast<Vector>(&record.teb.ThreadLocalStoragePointer);
  }
  [[nodiscard]] static VectorHeader& header_of(Vector vector) {
    return reinterpret_cast<VectorHeader*>(vector)[-1];
  }
  [[nodiscard]] static Vector vector_of(VectorHeader* header) { return reinterpret_cast<Vector>(header + 1); }
  /// How many entries the vector that a thread runs on has.
  [[nodiscard]] static std::uint32_t length_of(const ThreadRecord& record, Vector seen) noexcept;
  /// Whether a vector's entries can be read at the end of its thread. What a guest stored by itself may have
  /// gone before.
  [[nodiscard]] bool can_be_walked(const ThreadRecord& record, Vector seen) const noexcept;
  [[nodiscard]] static void* entry(Vector vector, std::uint32_t index) {
    return std::atomic_ref(vector[index]).load(std::memory_order_relaxed);
  }
  /// Puts a block into a vector of this thread, and says what stood there.
  static void* exchange_entry(ThreadRecord& record, Vector vector, std::uint32_t index, void* block) noexcept;
  /// The first `entries` entries of the record's own vector are about to be used. A thread that needs none
  /// does not touch the page.
  static void expose_vector(ThreadRecord& record, std::uint32_t entries) noexcept;
  static void copy_entries(ThreadRecord& record, Vector from, Vector to, std::uint32_t count) noexcept;
  /// The thread runs on `vector` from now on. `owned`, if not null, is freed when the thread ends; what it
  /// owned before is retired: it may be reading it.
  void run_on(ThreadRecord& record, Vector vector, std::uint32_t length, VectorHeader* owned) noexcept;
  void retire(ThreadRecord& record) noexcept;

  // -- memory that guests may free

  [[nodiscard]] static std::size_t vector_bytes(std::uint64_t length) {
    return sizeof(VectorHeader) + length * sizeof(void*);
  }
  [[nodiscard]] VectorHeader* make_vector(std::uint32_t length);
  void free_vector(VectorHeader* header) noexcept;
  /// The heap's block behind a TLS block: the word before it says so, as on Windows 8.1 and later. Null if it
  /// is not laid out that way.
  [[nodiscard]] void* heap_block_of(void* block) const noexcept;
  /// Frees a TLS block that is the heap's, be it ours or one that a guest handed us.
  void free_block(void* block) noexcept;
  /// A block of the heap becomes ours, or ceases to be.
  void count_block(void* raw, bool ours) noexcept;

  /// All attached threads, chained by ThreadRecord::next. Stays as it is while lock_ is held exclusively:
  /// nobody can attach or detach. So that no heap is entered under the threads lock.
  [[nodiscard]] ThreadRecord* attached() noexcept;

  Threads& threads_;
  const bool honour_alignment_;
  GuestHeap* const heap_;  ///< may be null in place

  /// The modules lock: births and deaths of threads share it, changes of the set of modules exclude them.
  os::RwLock lock_;
  ReservedArray<Module> modules_;  ///< by index; guarded by lock_
  std::uint32_t high_ = 0;         ///< one past the largest index in use; guarded by lock_
  std::uint32_t live_ = 0;         ///< modules in State::live; guarded by lock_
  bool interfered_ = false;        ///< a guest has changed vectors: not all blocks are ours to count; lock_

  // Counted by threads that share lock_.
  std::atomic<std::uint64_t> vectors_{0}, vector_bytes_{0};   ///< from the heap, retired ones included
  std::atomic<std::uint64_t> retired_{0}, retired_bytes_{0};  ///< of these, kept for their threads' sake
  std::atomic<std::uint64_t> ever_retired_{0};
  std::atomic<std::uint64_t> blocks_{0}, block_bytes_{0};  ///< from the heap

 private:
  struct Measured {
    std::uint32_t length;
    VectorHeader* owned;
  };
  [[nodiscard]] std::optional<Measured> measure(Vector vector, std::uint32_t count) const noexcept;
  void hand_over(ThreadRecord& record, std::uint32_t count, ThreadData& data) noexcept;
  [[nodiscard]] Result<void> validate(const Template& module) const;
  [[nodiscard]] std::uint32_t lowest_free() const;
  void forget(std::uint32_t index) noexcept;
  std::atomic<std::uint64_t> exchanges_{0};  ///< calls of the service by guests
};

}  // namespace bobbin::tls
