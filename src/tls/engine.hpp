// Thread-local storage: the engine.
//
// (The picture of a thread's storage and the order of publication: written by the commit that completes
// this.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "os/os.hpp"

namespace bobbin::tls {

/// The largest alignment that a TLS directory can ask for (IMAGE_SCN_ALIGN_8192BYTES).
inline constexpr std::size_t kMaximumAlignment = 8192;

/// What a module brings: its template, and where its index is to be written.
struct Template {
  /// In the image's memory, which stays mapped until release_module: read again whenever a thread is born.
  std::span<const std::byte> bytes;
  std::size_t alignment = 16;              ///< power of two up to kMaximumAlignment; at least 16 is given
  std::uint32_t* index_address = nullptr;  ///< writable until commit_module has run; not null
};

/// The part of a thread's storage that every thread touches; its TEB is the first member. Pooled, address
/// stable for the life of the thread. Owned by Engine between create_thread and destroy_thread.
struct ThreadRecord;
[[nodiscard]] abi::TEB& teb_of(ThreadRecord& record);

class Engine;
class Fls;

/// Room for one module in every live thread, taken but not yet visible. Gives everything back if dropped.
class [[nodiscard]] Reservation {
 public:
  Reservation(Reservation&& other) noexcept
      : engine_(std::exchange(other.engine_, nullptr)), index_(other.index_) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~Reservation();
  /// The index that the module will have.
  [[nodiscard]] std::uint32_t index() const { return index_; }

 private:
  friend class Engine;
  Reservation(Engine& engine, std::uint32_t index) : engine_(&engine), index_(index) {}
  Engine* engine_;
  std::uint32_t index_;
};

enum class Growth : std::uint8_t { in_place, swap };

struct Options {
  Growth growth = Growth::in_place;
  bool honour_alignment =
      true;  ///< false before Windows 8.1: blocks are 16-byte aligned whatever the file asks
  /// Address space per thread for large templates, bytes; bounds the sum of all that are loaded at once.
  std::uint64_t arena_size = 1ull << 30;
};

/// All of a process's thread-local storage. Every function may be called from any thread, except where it
/// says otherwise.
class Engine {
 public:
  /// `low` are PEB.TlsBitmapBits (64 bits) and `high` PEB.TlsExpansionBitmapBits (1024): authoritative, and
  /// alive as long as the engine.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> create(const Options& options,
                                                              std::span<abi::ULONG> low,
                                                              std::span<abi::ULONG> high);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// All threads have been destroyed.
  ~Engine();

  // -- threads
  /// A zeroed TEB (ThreadLocalStoragePointer NULL) in a record of its own. May fail.
  [[nodiscard]] Result<ThreadRecord*> create_thread();
  /// Builds vector and blocks of every module and sets TEB.ThreadLocalStoragePointer: the thread is alive.
  /// Called before any callback runs on it. May fail, leaving the record as it was.
  [[nodiscard]] Result<void> attach_thread(ThreadRecord& record);
  /// The thread runs no more guest code: vector pointer NULL; blocks, expansion slots and FLS given back.
  void detach_thread(ThreadRecord& record) noexcept;
  /// Takes back the record, attached or not (a terminated thread was never detached). Nobody uses it any
  /// more.
  void destroy_thread(ThreadRecord* record) noexcept;

  // -- modules (callers hold the loader lock)
  /// Takes an index and room in every live thread; threads that attach before the commit get theirs too.
  [[nodiscard]] Result<Reservation> prepare_module(const Template& module);
  /// Writes the index (32 bits) into the image and publishes each thread's block. Cannot fail.
  std::uint32_t commit_module(Reservation&& reservation) noexcept;
  /// The index is free again; blocks stay readable until something else needs their room. The template's
  /// memory is not read any more after this.
  void release_module(std::uint32_t index) noexcept;

  // -- explicit slots
  /// Takes the lowest free slot, never 0. It reads NULL in every thread; `caller`, the calling thread, gets
  /// its expansion cells if the slot is one of them.
  [[nodiscard]] Result<std::uint32_t> allocate_slot(abi::TEB& caller);
  /// Zeroes the slot's cell in every thread; false if it was not allocated.
  [[nodiscard]] bool free_slot(std::uint32_t index) noexcept;
  /// The 1024 expansion cells of the calling thread, made on first use.
  [[nodiscard]] Result<void> make_expansion_slots(abi::TEB& teb);

  // -- fiber-local storage
  [[nodiscard]] Fls& fls() const;

 private:
  friend class Reservation;
  friend std::optional<std::string> check_invariants(const Engine& engine);
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  void cancel(std::uint32_t index) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// The first broken promise among the engine's own data, in words; nothing if all hold. For tests, between
/// operations: takes the engine's locks, and reads every thread's storage.
[[nodiscard]] std::optional<std::string> check_invariants(const Engine& engine);

}  // namespace bobbin::tls
