// CONTRACT (first draft; the tls room's author completes it and replaces this note by the picture of a thread's
// storage). It is what thread/ and loader/ are written against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "os/os.hpp"

namespace bobbin::tls {

/// What a module brings: its template, and where its index is to be written.
struct Template {
  std::span<const std::byte> bytes;  ///< in the image's memory: read again whenever a thread is born
  std::size_t alignment = 16;        ///< power of two; at least 16 is given
  std::uint32_t* index_address = nullptr;
};

/// The part of a thread's storage that every thread touches; its TEB is the first member. Pooled, address
/// stable for the life of the thread. Owned by Engine between create_thread and destroy_thread.
struct ThreadRecord;
[[nodiscard]] abi::TEB& teb_of(ThreadRecord& record);

/// Room for one module in every live thread, taken but not yet visible. Gives everything back if dropped.
class Reservation;

enum class Growth : std::uint8_t { in_place, swap };

struct Options {
  Growth growth = Growth::in_place;
  bool honour_alignment = true;  ///< false before Windows 8.1: blocks are 16-byte aligned whatever the file asks
};

class Engine {
 public:
  /// `low` are PEB.TlsBitmapBits (64 bits) and `high` PEB.TlsExpansionBitmapBits (1024): authoritative.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> create(const Options& options, std::span<abi::ULONG> low,
                                                              std::span<abi::ULONG> high);
  ~Engine();

  // -- threads
  /// A zeroed TEB (ThreadLocalStoragePointer NULL) in a record of its own. May fail.
  [[nodiscard]] Result<ThreadRecord*> create_thread();
  /// Builds vector and blocks of every module and sets TEB.ThreadLocalStoragePointer: the thread is alive.
  /// Called before any callback runs on it. May fail, leaving the record as it was.
  [[nodiscard]] Result<void> attach_thread(ThreadRecord& record);
  /// The thread runs no more guest code: vector pointer NULL, blocks and expansion slots given back.
  void detach_thread(ThreadRecord& record) noexcept;
  void destroy_thread(ThreadRecord* record) noexcept;

  // -- modules (callers hold the loader lock)
  /// Takes an index and room in every live thread.
  [[nodiscard]] Result<Reservation> prepare_module(const Template& module);
  /// Writes the index (32 bits) into the image and publishes each thread's block. Cannot fail.
  std::uint32_t commit_module(Reservation&& reservation) noexcept;
  /// The index is free again; blocks stay readable until something else needs their room.
  void release_module(std::uint32_t index) noexcept;

  // -- explicit slots; any thread
  [[nodiscard]] Result<std::uint32_t> allocate_slot();  ///< lowest free, never 0; reads NULL in every thread
  [[nodiscard]] bool free_slot(std::uint32_t index) noexcept;  ///< false if it was not allocated
  /// The 1024 expansion cells of the calling thread, made on first use.
  [[nodiscard]] Result<void> make_expansion_slots(abi::TEB& teb);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::tls
