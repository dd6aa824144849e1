#include "tls/fls.hpp"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "abi/status.hpp"

namespace bobbin::tls {

/// Stands before each block, where guests do not look.
struct Fls::Head {
  /// Which index the pass over this block is calling back for; 0 for none. Written by the passing thread.
  std::atomic<std::uint32_t> running;
  std::uint32_t position;  ///< in blocks_, or kUnlinked; guarded by lock_
  FlsHolder holder;        ///< whose pass it is
};

namespace {

constexpr std::uint32_t kUnlinked = ~0u;
constexpr std::size_t kMostBlocks = 1u << 24;
constexpr std::size_t kOwnChunk = 16 + 1;  ///< chunk 0 lies behind its block

/// Stands for "no callback" in an allocated index, so that null can mean free.
void* no_callback() { return reinterpret_cast<void*>(~std::uintptr_t{0}); }
bool is_callback(void* callback) { return callback != nullptr && callback != no_callback(); }

/// Marks a callback whose image is gone. No guest's address has this bit.
constexpr std::uintptr_t kGone = std::uintptr_t{1} << 62;
bool is_gone(void* callback) { return (reinterpret_cast<std::uintptr_t>(callback) & kGone) != 0; }
void* without_mark(void* callback) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(callback) & ~kGone);
}

std::unexpected<Error> out_of_memory(const char* what) {
  return fail({.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = what});
}

void* get(void*& cell) { return std::atomic_ref(cell).load(std::memory_order_relaxed); }
void put(void*& cell, void* value) { std::atomic_ref(cell).store(value, std::memory_order_relaxed); }

void call_back(void* callback, void* value) {
  reinterpret_cast<void(BOBBIN_MS_ABI*)(void*)>(callback)(value);
}

}  // namespace

Fls::Fls(abi::PEB* peb)
    : limit_(peb != nullptr ? kOldFlsLimit : kFlsLimit),
      peb_(peb),
      list_(peb != nullptr ? peb->FlsListHead : own_list_) {
  list_.Flink = list_.Blink = &list_;
  if (peb != nullptr) peb->FlsBitmapBits[0] |= 1;  // index 0
}

Result<std::unique_ptr<Fls>> Fls::create(abi::PEB* peb) {
  std::unique_ptr<Fls> fls(new Fls(peb));
  auto slots = ReservedArray<Slot>::create(fls->limit_);
  if (!slots) return propagate(slots);
  auto blocks = ReservedArray<void*>::create(kMostBlocks);
  if (!blocks) return propagate(blocks);
  fls->slots_ = std::move(*slots);
  fls->blocks_ = std::move(*blocks);
  return fls;
}

Fls::~Fls() {
  // What terminated threads have left.
  while (count_ != 0) release(blocks_[count_ - 1]);
}

// ---- blocks ----------------------------------------------------------------------------------------------

Fls::Head& Fls::head_of(void* block) noexcept { return static_cast<Head*>(block)[-1]; }

Fls::Piece Fls::piece(void* block, std::uint32_t number) const noexcept {
  if (peb_ != nullptr) return {static_cast<OldFlsBlock*>(block)->cells, 0, kOldFlsLimit};
  void** const chunk =
      std::atomic_ref(static_cast<FlsBlock*>(block)->chunks[number]).load(std::memory_order_acquire);
  return {chunk == nullptr ? nullptr : chunk + 1, (16u << number) - 16, (32u << number) - 16};
}

void** Fls::cell(void* block, std::uint32_t index) const noexcept {
  const Piece in = piece(block, peb_ != nullptr ? 0 : fls_place(index).chunk);
  return in.cells == nullptr ? nullptr : in.cells + (index - in.first);
}

/// One that nobody knows yet, with its chunk 0. Null if there is no memory.
void* Fls::make_block() const {
  const std::size_t size = has_chunks() ? sizeof(FlsBlock) + kOwnChunk * sizeof(void*) : sizeof(OldFlsBlock);
  auto* const head = static_cast<Head*>(os::allocate(sizeof(Head) + size));
  if (head == nullptr) return nullptr;
  head->position = kUnlinked;
  if (has_chunks()) {
    auto* const block = reinterpret_cast<FlsBlock*>(head + 1);
    block->chunks[0] = reinterpret_cast<void**>(block + 1);
  }
  return head + 1;
}

bool Fls::link(void* block) noexcept {
  auto& links = *static_cast<abi::LIST_ENTRY*>(block);
  const std::scoped_lock guard(lock_);
  if (count_ == kMostBlocks) return false;
  head_of(block).position = static_cast<std::uint32_t>(count_);
  blocks_[count_++] = block;
  links = {.Flink = &list_, .Blink = list_.Blink};
  list_.Blink->Flink = &links;
  list_.Blink = &links;
  return true;
}

/// The block's own links stay as they are, as on Windows. Under lock_.
void Fls::unlink(void* block) noexcept {
  Head& head = head_of(block);
  if (head.position == kUnlinked) return;
  void* const last = blocks_[--count_];
  blocks_[head.position] = last;
  head_of(last).position = head.position;
  head.position = kUnlinked;
  const auto& links = *static_cast<abi::LIST_ENTRY*>(block);
  links.Blink->Flink = links.Flink;
  links.Flink->Blink = links.Blink;
}

void Fls::release(void* block) noexcept {
  if (block == nullptr) return;
  {
    const std::scoped_lock guard(lock_);
    unlink(block);
  }
  if (peb_ == nullptr) {
    auto& chunks = static_cast<FlsBlock*>(block)->chunks;
    for (std::size_t i = 1; i < kFlsChunks; ++i) os::deallocate(chunks[i]);
  }
  os::deallocate(&head_of(block));
}

Result<void> Fls::set(abi::TEB& teb, std::uint32_t index, void* value) {
  const bool first = teb.FlsData == nullptr;
  void* const block = first ? make_block() : teb.FlsData;
  if (block == nullptr) return out_of_memory("no memory for a fiber's FLS block");
  void** at = cell(block, index);
  if (at == nullptr) {
    const std::uint32_t number = fls_place(index).chunk;
    auto* const cells = static_cast<void**>(os::allocate(((16u << number) + 1) * sizeof(void*)));
    if (cells == nullptr) {
      if (first) release(block);
      return out_of_memory("no memory for a chunk of FLS values");
    }
    std::atomic_ref(static_cast<FlsBlock*>(block)->chunks[number]).store(cells, std::memory_order_release);
    at = cell(block, index);
  }
  put(*at, value);
  if (first && !link(block)) {
    release(block);
    return out_of_memory("there are too many fibers with FLS values");
  }
  teb.FlsData = block;
  return {};
}

// ---- indices ---------------------------------------------------------------------------------------------

Result<std::uint32_t> Fls::allocate(void* callback) {
  const std::scoped_lock guard(lock_);
  std::uint32_t index = lowest_maybe_free_;
  while (index < limit_ && slots_[index].callback.load(std::memory_order_relaxed) != nullptr) ++index;
  lowest_maybe_free_ = index;
  if (index == limit_) {
    return out_of_memory(peb_ != nullptr ? "all 127 FLS indices are taken"
                                         : "all 4079 FLS indices are taken");
  }
  never_used_ = std::max(never_used_.load(), index + 1);
  slots_[index].number = allocations_.load(std::memory_order_relaxed) + 1;
  allocations_.store(slots_[index].number, std::memory_order_release);
  set_callback(index, callback != nullptr ? callback : no_callback());
  return index;
}

/// Under lock_.
void Fls::set_callback(std::uint32_t index, void* callback) noexcept {
  slots_[index].callback.store(callback, std::memory_order_release);
  if (peb_ == nullptr) return;
  // Where guests of that time look.
  static_cast<void**>(peb_->FlsCallback)[index] = is_callback(callback) ? callback : nullptr;
  abi::ULONG& word = peb_->FlsBitmapBits[index / 32];
  const abi::ULONG bit = 1u << index % 32;
  word = callback != nullptr ? word | bit : word & ~bit;
  if (callback != nullptr) peb_->FlsHighIndex = std::max(peb_->FlsHighIndex, index);
}

/// Marks a callback within those bytes as gone, or takes the mark off. Whether it was one.
bool Fls::move_callback(std::uint32_t index, const void* base, std::size_t size, bool goes) noexcept {
  std::atomic<void*>& there = slots_[index].callback;
  const auto concerned = [&](void* callback) {
    const auto at = reinterpret_cast<std::uintptr_t>(without_mark(callback));
    return is_callback(callback) && is_gone(callback) != goes &&
           at - reinterpret_cast<std::uintptr_t>(base) < size;
  };
  if (!concerned(there.load(std::memory_order_acquire))) return false;
  const std::scoped_lock guard(lock_);
  void* const callback = there.load(std::memory_order_relaxed);
  if (!concerned(callback)) return false;
  there.store(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(callback) ^ kGone),
              std::memory_order_release);
  return true;
}

void Fls::image_comes(const void* base, std::size_t size) noexcept {
  for (std::uint32_t index = 1; index < never_used_.load(); ++index) move_callback(index, base, size, false);
}

bool Fls::free(std::uint32_t index, void* own, FlsHost& host) noexcept {
  if (!in_range(index)) return false;
  Slot& slot = slots_[index];
  if (!lock_slot(slot, host)) return false;
  struct Call {
    void* callback;
    void* value;
  } call{slot.callback.load(std::memory_order_acquire), nullptr};
  bool whole = call.callback != nullptr;
  if (is_callback(call.callback) && passes_.load() != 0) {
    os::flush_process_writes();
    whole = await(slot, host, FlsWait::callbacks, [&] { return !is_running(index); });
  }
  bool is_own = false;
  for (std::size_t position = ~std::size_t{0};
       whole && (call.value = take_next(index, position, own, is_own)) != nullptr;) {
    if (is_callback(call.callback) && is_gone(call.callback)) {
      host.callback_is_gone(index, without_mark(call.callback));
      whole = false;
    } else if (is_callback(call.callback)) {
      whole = host.call_guest(
          [](void* raw) {
            auto& [callback, value] = *static_cast<Call*>(raw);
            call_back(callback, value);
          },
          &call);
    }
    if (whole && is_own) put(*cell(own, index), nullptr);
  }
  if (whole) {
    const std::scoped_lock guard(lock_);
    set_callback(index, nullptr);
    lowest_maybe_free_ = std::min(lowest_maybe_free_, index);
  }
  unlock_slot(slot, host);
  return whole;
}

/// The value of the next block that has one, which has none from now on; null if no block is left. The
/// caller's own block keeps it, so that it is visible in its callback. Blocks are walked downwards: then one
/// that goes meanwhile, and has its place taken by the last, hides none that has not been looked at.
void* Fls::take_next(std::uint32_t index, std::size_t& position, void* own, bool& is_own) noexcept {
  const std::shared_lock guard(lock_);
  position = std::min(position, count_);
  while (position != 0) {
    void* const block = blocks_[--position];
    void** const at = cell(block, index);
    if (at == nullptr || get(*at) == nullptr) continue;
    is_own = block == own;
    void* const value = is_own ? get(*at) : std::atomic_ref(*at).exchange(nullptr, std::memory_order_relaxed);
    if (value != nullptr) return value;
  }
  return nullptr;
}

// ---- an index's lock -------------------------------------------------------------------------------------

bool Fls::is_running(std::uint32_t index) noexcept {
  const std::shared_lock guard(lock_);
  return std::any_of(blocks_.data(), blocks_.data() + count_, [&](void* block) {
    return head_of(block).running.load(std::memory_order_acquire) == index;
  });
}

/// Sleeps until until() holds, which slot.changes tells of. False if the thread is to end.
template <class Until>
bool Fls::await(Slot& slot, FlsHost& host, FlsWait whom, Until until) noexcept {
  ++slot.waiting;
  bool goes_on = true;
  for (;;) {
    const std::uint32_t seen = slot.changes.load();
    if (until()) break;
    if (!host.wait(slot.changes, seen, whom)) {
      goes_on = false;
      break;
    }
  }
  --slot.waiting;
  return goes_on;
}

bool Fls::lock_slot(Slot& slot, FlsHost& host) noexcept {
  const auto take = [&] {
    std::uint32_t nobody = 0;
    return slot.freeing.compare_exchange_strong(nobody, 1);
  };
  if (!take() && !await(slot, host, FlsWait::freeing, take)) return false;
  slot.holder.set(host.teb());
  return true;
}

void Fls::unlock_slot(Slot& slot, FlsHost& host) noexcept {
  slot.freeing = 0;
  if (slot.waiting.load() == 0) return;
  ++slot.changes;
  host.wake_all(slot.changes);
}

// ---- who has an index ------------------------------------------------------------------------------------

void FlsHolder::set(const abi::TEB& teb) noexcept {
  id_.store(0, std::memory_order_relaxed);  // until all three belong together
  teb_.store(&teb, std::memory_order_release);
  stack_.store(teb.StackBase, std::memory_order_release);
  id_.store(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(teb.UniqueThread)),
            std::memory_order_release);
}

std::uint32_t FlsHolder::thread_id() const noexcept {
  const std::uint32_t id = id_.load(std::memory_order_acquire);
  const abi::TEB* const teb = teb_.load(std::memory_order_acquire);
  const bool there = id != 0 && teb->StackBase == stack_.load(std::memory_order_acquire) &&
                     teb->UniqueThread == reinterpret_cast<void*>(std::uintptr_t{id});
  return there ? id : 0;
}

std::uint32_t Fls::index_of(const void* word) const noexcept {
  const auto offset = static_cast<const std::byte*>(word) - reinterpret_cast<const std::byte*>(slots_.data());
  return static_cast<std::uint32_t>(static_cast<std::size_t>(offset) / sizeof(Slot));
}

void* Fls::callback_of(std::uint32_t index) const noexcept {
  void* const callback = slots_[index].callback.load(std::memory_order_acquire);
  return is_callback(callback) ? without_mark(callback) : nullptr;
}

void Fls::add_holders(std::uint32_t index, FlsWait whom, std::vector<std::uint32_t>& ids) const {
  if (whom == FlsWait::freeing) {
    const Slot& slot = slots_[index];
    if (slot.freeing.load(std::memory_order_acquire) != 0) ids.push_back(slot.holder.thread_id());
    return;
  }
  const std::shared_lock guard(lock_);
  for (std::size_t i = 0; i < count_; ++i) {
    const Head& head = head_of(blocks_[i]);
    if (head.running.load(std::memory_order_acquire) == index) ids.push_back(head.holder.thread_id());
  }
}

// ---- the end of a fiber ----------------------------------------------------------------------------------

struct Fls::Pass {
  Fls& fls;
  void* block;
  std::uint64_t started;       ///< indices allocated after that are left alone
  std::uint32_t next = 1;      ///< where to go on
  std::uint32_t held_off = 0;  ///< the index that is being freed, by which the walk could not pass
  std::uint32_t gone = 0;      ///< the index whose callback's image was unloaded, where the walk ended
  std::uint32_t awaited = 0;   ///< the index whose callback is over, which somebody waits to free
};

/// Calls back from pass.next on. Among guest code, so it neither sleeps nor owns anything: where it would
/// have to, it returns.
void Fls::walk(void* raw) noexcept {
  auto& pass = *static_cast<Pass*>(raw);
  Fls& fls = pass.fls;
  Head& head = head_of(pass.block);
  const std::uint32_t pieces = fls.peb_ != nullptr ? 1 : kFlsChunks;
  for (std::uint32_t number = 0; number < pieces; ++number) {
    const Piece piece = fls.piece(pass.block, number);
    if (piece.cells == nullptr || piece.end <= pass.next) continue;
    for (std::uint32_t index = std::max(piece.first, pass.next); index < piece.end; ++index) {
      void*& cell = piece.cells[index - piece.first];
      Slot& slot = fls.slots_[index];
      if (get(cell) == nullptr || !is_callback(slot.callback.load(std::memory_order_relaxed))) continue;
      const std::uint32_t outer = head.running.load(std::memory_order_relaxed);
      head.running.store(index, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // the other half is flush_process_writes' in free
      if (slot.freeing.load(std::memory_order_acquire) != 0) {
        head.running.store(outer, std::memory_order_release);
        pass.next = pass.held_off = pass.awaited = index;
        return;
      }
      void* const callback = slot.callback.load(std::memory_order_acquire);
      void* const value = get(cell);
      if (value != nullptr && is_callback(callback) && slot.number <= pass.started) {
        if (is_gone(callback)) [[unlikely]] {
          head.running.store(outer, std::memory_order_release);
          pass.next = index + 1;
          pass.gone = pass.awaited = index;
          return;
        }
        call_back(callback, value);
        put(cell, nullptr);
      }
      head.running.store(outer, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      if (slot.freeing.load(std::memory_order_relaxed) != 0) {
        pass.next = index + 1;
        pass.awaited = index;
        return;
      }
    }
  }
  pass.next = fls.limit_;
}

bool Fls::is_over(void* block) const noexcept {
  const std::shared_lock guard(lock_);
  return head_of(block).position == kUnlinked;
}

bool Fls::run(void* block, FlsHost& host) noexcept {
  if (block == nullptr || is_over(block)) return true;
  Head& head = head_of(block);
  const std::uint32_t outer = head.running.load(std::memory_order_relaxed);
  head.holder.set(host.teb());
  Pass pass{*this, block, allocations_.load(std::memory_order_acquire)};
  ++passes_;
  bool finished = true;
  while (finished && pass.next < limit_) {
    finished = host.call_guest(&Fls::walk, &pass);
    if (!finished) {  // left within a callback: of the index that we say we run
      pass.awaited = head.running.load(std::memory_order_relaxed);
      head.running.store(outer);
    }
    if (const std::uint32_t index = std::exchange(pass.awaited, 0); index != 0) {
      ++slots_[index].changes;
      host.wake_all(slots_[index].changes);
    }
    if (finished && pass.gone != 0) {
      host.callback_is_gone(pass.gone, callback_of(pass.gone));
      finished = false;
    }
    if (const std::uint32_t index = std::exchange(pass.held_off, 0); finished && index != 0) {
      Slot& slot = slots_[index];
      finished = await(slot, host, FlsWait::freeing, [&] { return slot.freeing.load() == 0; });
    }
  }
  --passes_;
  if (finished) {
    const std::scoped_lock guard(lock_);
    unlink(block);
  }
  return finished;
}

}  // namespace bobbin::tls
