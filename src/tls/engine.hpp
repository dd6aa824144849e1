// Thread-local storage: the engine. What Windows threads call their own, and how Bobbin keeps it.
//
// A Windows program has three kinds of variable that each thread has its own copy of:
//
//   explicit slots   TlsAlloc hands out an index; TlsGetValue and TlsSetValue read and write the calling
//                    thread's cell of that index, one pointer.
//   module TLS       `thread_local int x;` in an EXE or DLL. The file carries a template, the initial bytes
//                    of all its such variables. The loader gives the module an index (it writes the index
//                    into the image) and each thread a block, a copy of the template. The compiler reads x
//                    without calling anybody:
//                        mov  eax, [_tls_index]       the module's index
//                        mov  rcx, gs:[58h]           TEB.ThreadLocalStoragePointer: the thread's vector
//                        mov  rcx, [rcx + rax*8]      vector[index]: the thread's block of that module
//                        mov  eax, [rcx + offset_x]
//   fiber-local      like explicit slots, but kept by a fiber and with callbacks at its end: fls.hpp.
//
// gs: points at the thread's TEB, and all of it is read by code that asks for no lock. So what stands at
// those offsets is the truth, not a copy of it; and since a thread may be between any two of the four
// instructions above when another thread loads a DLL, what it has read must stay right.
//
// A thread's storage
// ------------------
//
//   A ThreadRecord (record.hpp): pooled, side by side with those of other threads, nothing paid for untouched
//   pages; two are touched by all. Here with modules A (index 0), B (index 1, large) and C (index 2).
//
//   gs: -> +--------------------------------------+ 0
//          | TEB    ThreadLocalStoragePointer  ---|----------.
//          |        TlsSlots[64]                  |          |    explicit slots 0 to 63
//          |        TlsExpansionSlots  -----------|--------- | -> 1024 cells, slots 64 to 1087; on first use
//          |        FlsData  ---------------------|--------- | -> FLS block (fls.hpp)
//          +--------------------------------------+ 0x1878   |
//          | what the engine remembers:  views ---|----.     |
//          +--------------------------------------+ 0x18C0   |
//          | small blocks   [ A ]  [ C ]          |    |     |    at the same offsets in every record
//          |                  ^      ^            |    |     |
//          +------------------|------|------------+ 0x19F0   |
//          | length           |      |            |    |     |    16 bytes; length is vector[-2]
//          | vector  [0] -----'      |            | <- | ----'    never moves, never grows: 2046 entries
//          |         [1] ------------|------------|--. |
//          |         [2] ------------'            |  | |
//          |         ...  NULL                    |  | |
//          +--------------------------------------+ 0x59F0
//          | more small blocks                    |  | |          where the first few found no room
//          +--------------------------------------+  | |
//          v-----------------------------------------'-'
//          +-------------------------------+---------------------+
//          | B's template; pages that this | address space kept  |    one mapping per thread: a view of the
//          | thread has written are its    | for templates to    |    template file (views.hpp), there once
//          | own copies                    | come                |    a large module was loaded
//          +-------------------------------+---------------------+
//
// That is growth in place (in_place.hpp), the default: a vector never moves and never has to be outgrown.
// Windows has it otherwise, and so has Growth::swap (swap.hpp). There the thread's record holds the TEB only;
// vectors and blocks come from the guest's heap, vectors are as long as the modules need, and one that is
// too short for a new module is replaced under the running thread. When that thread reads the old one last
// nobody can know, so it is kept until the thread ends:
//
//   gs: -> TEB    ThreadLocalStoragePointer  ------> vector of 17: [0] -> [ A ]  [1] -> [ B ]  [2] -> [ C ]
//   ...
//          what the engine remembers: retired --+                    ^             ^
//                                               v                    |             |
//                                         vector of 9:  [0] ---------'  [1] -------'   ...   -> older ones
//
// In both modes TEB+58h says which vector counts. A guest may have stored one of its own there, or had one
// installed by the service of Windows' loader (Engine::exchange); where that is too short for a new module,
// the thread gets one of the engine's again, entries copied.
//
// In place, templates up to a page are copied: a copy costs 15 ns for 64 bytes and 0.2 us for 4 KiB, a
// touched view 1.7 us and a page anyway. Larger ones, and small ones that find no room, are views: a thread
// pays for the pages that it writes to.
//
// How a change becomes visible
// ----------------------------
//
// Everything that can fail comes first and is not seen by anyone; then come stores that cannot fail.
//
//   a module      prepare_module   index chosen; every live thread's block filled, or (large) the template
//                                  put into the file and views mapped; swap: a block for each live thread,
//                                  and a longer vector if need be. Failure undoes all of it.
//                 commit_module    per thread: vector[index] = block (release), after which, if the thread
//                                  had no vector yet, or too short a one, TEB+58h = vector (release); last,
//                                  the index goes into the image.
//                 release_module   index and room are free. Vectors keep the stale entry: a late reader finds
//                                  its block readable, until another module takes the index or the room. In
//                                  place a large block's pages go back to the host at once; swap frees a
//                                  block when its index is taken again.
//   a thread      create_thread    a record, all zero. TEB+58h is NULL: "not alive yet", loads pass it by.
//                 attach_thread    view mapped, or (swap) vector and blocks made: may fail; blocks filled,
//                                  entries stored; last, TEB+58h = vector. With no TLS module in the process
//                                  it holds its own address, as on Windows.
//                 detach_thread    TEB+58h = NULL; then blocks, retired vectors, expansion cells and FLS go.
//                 destroy_thread   the record is zeroed, where it was written, and pooled.
//   a slot        allocate_slot    lowest clear bit of the PEB's bitmap set; the caller's cell zeroed.
//                 free_slot        the cell zeroed in every thread, alive or not; then the bit cleared. So
//                                  whoever gets the index next reads NULL everywhere.
//   the service   exchange         every vector of the guest's is measured first. Then the live threads, in
//                                  the order of their birth: vector[index], or TEB+58h once the old entries
//                                  are in the new vector, is exchanged; what stood there goes to the guest.
//
// Locks, outer to inner: the loader lock (not ours; modules are loaded and unloaded under it) > the modules
// lock (Strategy: births and deaths share it, changes of the set of modules exclude them) > the threads lock
// (Threads: the list of records, the pool, the slot bitmaps), or the guest's heap, never one under the other:
// a guest may call TlsAlloc with its heap locked. FLS has its own. None is held while guest code runs.
//
// Files: record.hpp, threads.hpp (where records come from), slots.hpp, strategy.hpp (modules, as far as both
// ways of growing go), in_place.hpp over ranges.hpp (the layout) and views.hpp (large templates), swap.hpp,
// fls.hpp, invariants.cpp (what must always hold, as code).
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

/// The guest's process heap. Memory that comes from it can be freed by guests, who do that with vectors that
/// the engine hands them. An interface, since the room of heaps stands beside this one.
class GuestHeap {
 public:
  virtual ~GuestHeap() = default;
  /// Zeroed, 16-byte aligned; null when there is none.
  [[nodiscard]] virtual void* allocate(std::size_t size) noexcept = 0;
  /// Nothing if it is no live block. Any address may be asked for.
  [[nodiscard]] virtual std::optional<std::size_t> size(const void* block) const noexcept = 0;
  /// What is no live block is left alone.
  virtual void free(void* block) noexcept = 0;
};

struct Options {
  Growth growth = Growth::in_place;
  /// Where vectors and blocks come from by swapping, which cannot do without. In place: tells which of a
  /// guest's vectors and blocks are to be freed with their thread; null: none.
  GuestHeap* heap = nullptr;
  /// Swap: by how many entries vectors grow, and how many are to spare at first.
  std::uint32_t growth_step = 8;
  bool honour_alignment =
      true;  ///< false before Windows 8.1: blocks are 16-byte aligned whatever the file asks
  /// Address space per thread for large templates, bytes; bounds the sum of all that are loaded at once.
  std::uint64_t arena_size = 1ull << 30;
  /// Before Windows 10 1903: where FLS indices are kept. Its FlsCallback has room for kOldFlsLimit pointers.
  abi::PEB* fls_in_peb = nullptr;
};

/// What the service exchanges: one entry of each thread's vector, or the vector itself.
enum class Exchange : std::uint8_t { entries, vectors };

/// What it does to one thread.
struct ThreadData {
  void* data;                 ///< in: what the thread gets
  void* previous = nullptr;   ///< out: what it had; null for no vector
  void* thread_id = nullptr;  ///< out: TEB.UniqueThread
  bool taken = false;         ///< out: whether there was a thread for it
};

/// What the engine holds at the moment.
struct Statistics {
  Growth growth = Growth::in_place;
  std::uint32_t modules = 0;        ///< live ones with TLS
  std::uint32_t threads = 0;        ///< attached
  std::uint32_t vector_length = 0;  ///< entries that every thread's vector has at least
  std::uint64_t growths = 0;        ///< how often all threads' vectors were replaced by longer ones
  std::uint64_t vectors = 0;        ///< from the guest's heap: in use, prepared or retired
  std::uint64_t vector_bytes = 0;
  std::uint64_t retired_vectors = 0;  ///< of those, replaced under a thread that lives
  std::uint64_t retired_bytes = 0;
  std::uint64_t ever_retired = 0;  ///< since the start
  std::uint64_t blocks = 0;        ///< from the guest's heap: in threads' vectors, or prepared
  std::uint64_t block_bytes = 0;
  std::uint64_t unused = 0;     ///< blocks and vectors prepared for a thread that went before it got them
  std::uint64_t exchanges = 0;  ///< calls of exchange()
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
  /// The thread runs no more guest code: vector pointer NULL; blocks, expansion slots and the FLS block that
  /// TEB.FlsData names given back.
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

  // -- the service by which Windows' loader, and guests that map DLLs by themselves, reach all threads
  /// NtSetInformationProcess(ProcessTlsInformation). Walks the threads in the order of their birth and hands
  /// each the next of `data`; passes by those without a vector pointer (being born, or dying). `number` is
  /// the entry's index, or how many entries of its old vector each thread keeps in its new one. A vector of
  /// the guest's heap belongs to its thread from then on, and the one that the guest gets back to the guest.
  /// Changes nothing if it fails: STATUS_INVALID_PARAMETER for a vector that is too short.
  [[nodiscard]] Result<void> exchange(Exchange what, std::uint32_t number, std::span<ThreadData> data);
  /// Whether `block` is a vector, header and all, that exchange() handed out and that is no block of the
  /// guest's heap: freeing it is right, once, and does nothing.
  [[nodiscard]] bool take_back_vector(const void* block) noexcept;
  [[nodiscard]] Statistics statistics() const;

  // -- explicit slots
  /// Takes the lowest free slot, never 0. It reads NULL in every thread; `caller`, the calling thread, gets
  /// its expansion cells if the slot is one of them.
  [[nodiscard]] Result<std::uint32_t> allocate_slot(abi::TEB& caller);
  /// Zeroes the slot's cell in every thread; false if it was not allocated.
  [[nodiscard]] bool free_slot(std::uint32_t index) noexcept;
  /// Zeroes a slot's cell in every thread, allocated or not (ThreadZeroTlsCell); false if there is no such.
  [[nodiscard]] bool zero_slot(std::uint32_t index) noexcept;
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
