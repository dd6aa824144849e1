// Fiber-local storage: like explicit slots, but the cells belong to a fiber (a thread that never became one
// counts as one), there are more of them, and an index can carry a callback that is told of each value when
// its fiber ends or the index is freed.
//
// A fiber's cells hang from its block, eight chunks that are made when first needed. TEB.FlsData points to
// the block of the fiber that runs (the specification, 4.1, gives this shape, which guests may walk):
//
//     TEB.FlsData -> [ links | chunk 0 | chunk 1 | ... | chunk 7 ]
//                                 |         |
//                                 v         v
//                             [ - | 16 cells ]  [ - | 32 cells ]  ...  [ - | 2048 cells ]
//                               '-- one unused pointer leads each chunk
//
// Before Windows 10 1903 a block was [ links | 128 cells ], and the indices were kept in the PEB.
//
// Callbacks
// ---------
//
// A callback is guest code: it may set and get values, allocate and free indices, load DLLs, create threads
// and wait for them, end its thread. So it runs under one lock only, that of its own index:
//
//   a fiber ends (run)       one pass over its block, ascending; each callback under its index's lock, shared
//                            with other fibers that end. The value is visible in its own callback and NULL
//                            after it. A value set below the place that the pass has reached stays; an index
//                            allocated during the pass is left alone.
//   an index goes (free)     its lock taken alone, so it waits for callbacks of that index under way; then
//                            the callback for the value of every block there is, on the caller's thread.
//
// Many fibers end, few indices go. So the shared side of an index's lock costs no atomic operation: a pass
// says in its block which index it is at (`running`), and then looks whether somebody frees that index; who
// frees it says so first, and then looks at the blocks. Each must see the other, which takes a barrier on
// both sides: the freeing one's is the host's (os::flush_process_writes makes every running thread pass
// one), and it is needed only if a pass is under way at all.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "os/os.hpp"
#include "tls/reserved_array.hpp"

namespace bobbin::tls {

inline constexpr std::uint32_t kFlsLimit = 0xFF0;  ///< indices are 1 to kFlsLimit - 1; 0 is never handed out
inline constexpr std::size_t kFlsChunks = 8;
inline constexpr std::uint32_t kOldFlsLimit = 128;  ///< the same before Windows 10 1903

/// One fiber's values. Cells are written by the fiber that runs on it, and by Fls.
struct FlsBlock {
  abi::LIST_ENTRY links;  ///< all blocks of the process; guarded by Fls's lock
  void** chunks[kFlsChunks];
};
/// The same before Windows 10 1903.
struct OldFlsBlock {
  abi::LIST_ENTRY links;
  void* cells[kOldFlsLimit];
};

/// Where an index lies: chunk i holds 16 << i cells.
struct FlsPlace {
  std::uint32_t chunk;
  std::uint32_t cell;  ///< counted from the chunk's unused first pointer
};
[[nodiscard]] constexpr FlsPlace fls_place(std::uint32_t index) {
  const std::uint32_t shifted = index + 16;
  const auto chunk = static_cast<std::uint32_t>(std::bit_width(shifted)) - 5;
  return {chunk, shifted - (16u << chunk) + 1};
}

/// Whom a wait for an index is for.
enum class FlsWait : std::uint8_t {
  freeing,    ///< the one that frees it
  callbacks,  ///< all that are in its callback
};

/// A thread that frees an index or is in its callback. It counts as long as the thread stands on the same
/// stack: the fiber that did so may have been left, and any thread may go on with it.
class FlsHolder {
 public:
  /// By the thread itself.
  void set(const abi::TEB& teb) noexcept;
  /// The thread's id, or 0 if it is not there any more.
  [[nodiscard]] std::uint32_t thread_id() const noexcept;

 private:
  std::atomic<const abi::TEB*> teb_{nullptr};
  std::atomic<const void*> stack_{nullptr};
  std::atomic<std::uint32_t> id_{0};
};

/// What callbacks and waits need of the thread that they happen on. An interface, since the room of threads
/// stands above this one.
class FlsHost {
 public:
  virtual ~FlsHost() = default;
  /// The calling thread's.
  [[nodiscard]] virtual const abi::TEB& teb() noexcept = 0;
  /// Runs body(context), which calls into the guest. False if it was left: the thread, or the guest, ended
  /// in one of those calls. So `body` owns nothing.
  [[nodiscard]] virtual bool call_guest(void (*body)(void*), void* context) noexcept = 0;
  /// Sleeps while `word`, which stands for an index (Fls::index_of), holds `expected`; may wake for no
  /// reason. False if the thread is to end.
  [[nodiscard]] virtual bool wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                                  FlsWait whom) noexcept = 0;
  virtual void wake_all(std::atomic<std::uint32_t>& word) noexcept = 0;
  /// A callback is due whose image was unloaded (Fls::image_goes). It is not called.
  virtual void callback_is_gone(std::uint32_t index, void* callback) noexcept = 0;
};

/// All indices and blocks of the process.
class Fls {
 public:
  /// `peb`, if not null, is where indices are kept before Windows 10 1903; blocks then have their old shape.
  [[nodiscard]] static Result<std::unique_ptr<Fls>> create(abi::PEB* peb = nullptr);
  ~Fls();
  Fls(const Fls&) = delete;
  Fls& operator=(const Fls&) = delete;

  /// Indices are 1 to limit() - 1.
  [[nodiscard]] std::uint32_t limit() const { return limit_; }
  /// Whether blocks have their shape since Windows 10 1903.
  [[nodiscard]] bool has_chunks() const { return peb_ == nullptr; }
  [[nodiscard]] bool in_range(std::uint32_t index) const { return index - 1 < limit_ - 1; }

  /// The lowest free index. `callback` is the guest's, or null.
  [[nodiscard]] Result<std::uint32_t> allocate(void* callback);
  /// Calls back for each value of the index, `own` being the caller's block or null; then no block has one,
  /// and the index is free. False if it was not allocated, or if the thread ended meanwhile.
  [[nodiscard]] bool free(std::uint32_t index, void* own, FlsHost& host) noexcept;
  /// Sets the calling fiber's value, making its block and chunk on first use. The index is in range.
  [[nodiscard]] Result<void> set(abi::TEB& teb, std::uint32_t index, void* value);
  /// A value's cell in a block, or null if there is none yet. The index is in range.
  [[nodiscard]] void** cell(void* block, std::uint32_t index) const noexcept;

  /// The fiber whose block this is ends: calls back for its values, and takes the block out of those that
  /// free() walks. Null is allowed. False if it was left before the end.
  bool run(void* block, FlsHost& host) noexcept;
  /// Whether that has been done: free() does not know the block any more.
  [[nodiscard]] bool is_over(void* block) const noexcept;
  /// Gives back what no fiber uses any more. Null is allowed.
  void release(void* block) noexcept;

  /// An image is unloaded: what points into it is not called from now on, but said to be gone (FlsHost),
  /// until an image comes there again. Tells of each such index.
  template <class Tell>
  void image_goes(const void* base, std::size_t size, Tell tell) noexcept {
    for (std::uint32_t index = 1; index < never_used_.load(); ++index) {
      if (move_callback(index, base, size, true)) tell(index, callback_of(index));
    }
  }
  void image_comes(const void* base, std::size_t size) noexcept;

  /// Which index a word that FlsHost::wait was given stands for.
  [[nodiscard]] std::uint32_t index_of(const void* word) const noexcept;
  /// The guest's callback of an index, or null.
  [[nodiscard]] void* callback_of(std::uint32_t index) const noexcept;
  /// Adds the ids of those that a wait is for.
  void add_holders(std::uint32_t index, FlsWait whom, std::vector<std::uint32_t>& ids) const;

 private:
  struct Head;
  struct Pass;
  /// An index.
  struct Slot {
    /// Null: free. no_callback(): allocated without one. Marked as gone: its image is. Written under lock_.
    std::atomic<void*> callback;
    std::uint64_t number;  ///< the how manieth allocation this was; guarded by lock_ and `freeing`
    std::atomic<std::uint32_t> freeing;  ///< the index's lock, its exclusive side: 1 if a thread has it
    std::atomic<std::uint32_t> waiting;  ///< threads that sleep, or are about to, until that changes
    std::atomic<std::uint32_t> changes;  ///< what they sleep on
    FlsHolder holder;                    ///< who frees it
  };
  /// Cells in one piece: those of indices [first, end).
  struct Piece {
    void** cells;  ///< null: not made yet
    std::uint32_t first, end;
  };

  explicit Fls(abi::PEB* peb);
  static Head& head_of(void* block) noexcept;
  [[nodiscard]] Piece piece(void* block, std::uint32_t number) const noexcept;
  [[nodiscard]] void* make_block() const;
  [[nodiscard]] bool link(void* block) noexcept;
  void unlink(void* block) noexcept;
  [[nodiscard]] void* take_next(std::uint32_t index, std::size_t& position, void* own, bool& is_own) noexcept;
  void set_callback(std::uint32_t index, void* callback) noexcept;
  bool move_callback(std::uint32_t index, const void* base, std::size_t size, bool goes) noexcept;
  static void walk(void* raw) noexcept;
  [[nodiscard]] bool is_running(std::uint32_t index) noexcept;
  [[nodiscard]] bool lock_slot(Slot& slot, FlsHost& host) noexcept;
  static void unlock_slot(Slot& slot, FlsHost& host) noexcept;
  template <class Until>
  [[nodiscard]] bool await(Slot& slot, FlsHost& host, FlsWait whom, Until until) noexcept;

  const std::uint32_t limit_;
  abi::PEB* const peb_;
  abi::LIST_ENTRY own_list_;
  abi::LIST_ENTRY& list_;  ///< of blocks, for guests that walk it; guarded by lock_

  mutable os::RwLock lock_;  ///< inner to every other lock of tls/; never held while guest code runs
  ReservedArray<Slot> slots_;
  std::atomic<std::uint32_t> never_used_{1};   ///< neither was any index from here on; written under lock_
  std::uint32_t lowest_maybe_free_ = 1;        ///< every index below is taken; guarded by lock_
  std::atomic<std::uint64_t> allocations_{0};  ///< counts allocate(); written under lock_
  /// All linked blocks, each naming its position; what is walked. Guarded by lock_.
  ReservedArray<void*> blocks_;
  std::size_t count_ = 0;
  std::atomic<std::uint32_t> passes_{0};  ///< how many run() are calling back
};

}  // namespace bobbin::tls
