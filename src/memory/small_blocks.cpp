#include "memory/small_blocks.hpp"

#include <algorithm>
#include <mutex>

namespace bobbin::memory {
namespace {

using Lock = std::scoped_lock<os::Mutex>;

// ---- the calling thread ----------------------------------------------------------------------------------

/// Which cache the thread has of which heap; a heap's entry is found by its id, and may be displaced by
/// another's.
struct Known {
  std::uint64_t id;
  SpanCache* cache;
};
constexpr std::size_t kKnown = 16;
constinit thread_local Known t_known[kKnown] = {};
/// After the thread's destructors nobody would abandon a cache that it adopted.
constinit thread_local bool t_ended = false;

const void* this_thread() { return &t_known; }

os::Mutex g_mutex;
/// All heaps that exist; guarded by g_mutex. Never destroyed: threads may end after the program's main has.
std::vector<SmallBlocks*>& all_heaps() {
  static auto* heaps = new std::vector<SmallBlocks*>;
  return *heaps;
}

struct ThreadEnd {
  ~ThreadEnd() {
    t_ended = true;
    std::ranges::fill(t_known, Known{});
    const Lock lock(g_mutex);
    for (SmallBlocks* heap : all_heaps()) heap->abandon(this_thread());
  }
  void arm() const {}
};
thread_local const ThreadEnd t_end;

std::uint64_t next_id() {
  static constinit std::atomic<std::uint64_t> last{0};
  return ++last;
}

// ---- lists of a span and a cache, by their owner ---------------------------------------------------------

void put_into_list(Span& span, std::uint32_t index) {
  span.set(index, BlockState::listed(span.free));
  span.free = static_cast<std::uint16_t>(index);
}

bool has_room(const Span& span) { return span.free != BlockState::kEnd || span.fresh < span.count; }

std::uint32_t take_out(Span& span) {
  const std::uint16_t index = span.free;
  if (index == BlockState::kEnd) return span.fresh++;
  span.free = span.look(index).next();
  return index;
}

void has_room_again(SpanCache& cache, Span& span) {
  Span*& list = cache.with_room[class_of(span.block_size)];
  span.full = false;
  span.next = list;
  list = &span;
}

/// Takes back what other threads freed.
void collect(SpanCache& cache) {
  Span* span = cache.notified.exchange(nullptr, std::memory_order_acq_rel);
  while (span != nullptr) {
    // Read before the list is emptied: from then on others may put the span onto `notified` again.
    Span* next = span->next_notified;
    std::uint32_t index = span->remote.exchange(BlockState::kEnd, std::memory_order_acq_rel);
    while (index != BlockState::kEnd) {
      const std::uint32_t following = span->look(index).next();
      put_into_list(*span, index);
      index = following;
    }
    if (span->full) has_room_again(cache, *span);
    span = next;
  }
}

/// Frees a block of another thread's span.
bool free_remotely(SpanCache& owner, Span& span, std::uint32_t index) {
  std::uint16_t seen = span.look(index).raw();
  // Whoever turns it from live to listed has freed it.
  if (!BlockState(seen).is_live() ||
      !span.state(index).compare_exchange_strong(seen, BlockState::listed(BlockState::kEnd).raw())) {
    return false;
  }
  std::uint32_t head = span.remote.load(std::memory_order_relaxed);
  do span.set(index, BlockState::listed(head));
  while (!span.remote.compare_exchange_weak(head, index, std::memory_order_acq_rel));
  if (head != BlockState::kEnd) return true;  // the owner has been told
  Span* first = owner.notified.load(std::memory_order_relaxed);
  do span.next_notified = first;
  while (!owner.notified.compare_exchange_weak(first, &span, std::memory_order_acq_rel));
  return true;
}

}  // namespace

// ---- heaps and threads -----------------------------------------------------------------------------------

SmallBlocks::SmallBlocks() : id_(next_id()) {
  const Lock lock(g_mutex);
  all_heaps().push_back(this);
}

SmallBlocks::~SmallBlocks() {
  {
    const Lock lock(g_mutex);
    std::erase(all_heaps(), this);
  }
  for (const auto& cache : caches_) {
    for (Span* span = cache->spans; span != nullptr;) {
      Span* next = span->sibling;
      span->cache.store(nullptr, std::memory_order_release);
      arena::give_back(span);
      span = next;
    }
  }
}

SpanCache* SmallBlocks::my_cache() const {
  const Known& known = t_known[id_ % kKnown];
  return known.id == id_ ? known.cache : nullptr;
}

SpanCache* SmallBlocks::adopt_cache() {
  if (t_ended) return nullptr;
  t_end.arm();  // from here on its destructor will run
  const Lock lock(mutex_);
  auto found = std::ranges::find(caches_, this_thread(), [](const auto& cache) { return cache->owner; });
  if (found == caches_.end()) {
    found = std::ranges::find(caches_, static_cast<const void*>(nullptr),
                              [](const auto& cache) { return cache->owner; });
  }
  if (found == caches_.end()) found = caches_.insert(found, std::make_unique<SpanCache>(*this));
  (*found)->owner = this_thread();
  t_known[id_ % kKnown] = {id_, found->get()};
  return found->get();
}

void SmallBlocks::abandon(const void* thread) noexcept {
  const Lock lock(mutex_);
  for (const auto& cache : caches_) {
    if (cache->owner == thread) cache->owner = nullptr;
  }
}

// ---- blocks ----------------------------------------------------------------------------------------------

Span* SmallBlocks::span_with_room(SpanCache& cache, std::size_t size_class) {
  Span*& list = cache.with_room[size_class];
  collect(cache);
  while (list != nullptr && !has_room(*list)) {
    list->full = true;
    list = list->next;
  }
  if (list != nullptr) return list;
  Span* span = arena::take();
  if (span == nullptr) return nullptr;
  span->form(size_class);
  span->next = nullptr;
  span->sibling = cache.spans;
  cache.spans = span;
  list = span;
  span->cache.store(&cache, std::memory_order_release);
  return span;
}

void* SmallBlocks::allocate(std::size_t size) {
  SpanCache* cache = my_cache();
  if (cache == nullptr) [[unlikely]] {
    cache = adopt_cache();
    if (cache == nullptr) return nullptr;
  }
  const std::size_t size_class = class_of(size);
  Span* span = cache->with_room[size_class];
  if (span == nullptr || !has_room(*span)) [[unlikely]] {
    span = span_with_room(*cache, size_class);
    if (span == nullptr) return nullptr;
  }
  const std::uint32_t index = take_out(*span);
  span->set(index, BlockState::live(size));
  return span->block(index);
}

SmallBlocks::Place SmallBlocks::place_of(const void* block) const {
  Span* span = arena::span_of(block);
  if (span == nullptr) return {};
  const SpanCache* owner = span->cache.load(std::memory_order_acquire);
  if (owner == nullptr || owner->heap != this) return {};
  const std::uint32_t index = span->index_of(block);
  if (index == Span::kNone) return {};
  return {span, index};
}

bool SmallBlocks::free(void* block) {
  const auto [span, index] = place_of(block);
  if (span == nullptr) return false;
  SpanCache* owner = span->cache.load(std::memory_order_relaxed);
  if (owner != my_cache()) return free_remotely(*owner, *span, index);
  if (!span->look(index).is_live()) return false;
  put_into_list(*span, index);
  if (span->full) [[unlikely]]
    has_room_again(*owner, *span);
  return true;
}

std::optional<std::size_t> SmallBlocks::size(const void* block) const {
  const auto [span, index] = place_of(block);
  if (span == nullptr) return std::nullopt;
  const BlockState state = span->look(index);
  if (!state.is_live()) return std::nullopt;
  return state.size();
}

bool SmallBlocks::resize(void* block, std::size_t size) {
  const auto [span, index] = place_of(block);
  if (span == nullptr || size > span->block_size || !span->look(index).is_live()) return false;
  span->set(index, BlockState::live(size));
  return true;
}

std::optional<HeapBlock> SmallBlocks::next(const void* after) const {
  const auto* from = static_cast<const std::byte*>(after);
  for (Span* span = arena::at_or_after(after); span != nullptr; span = arena::span_of(from)) {
    const SpanCache* owner = span->cache.load(std::memory_order_acquire);
    const std::uint32_t count = owner != nullptr && owner->heap == this ? span->count : 0;
    for (std::uint32_t index = 0; index < count; ++index) {
      const BlockState state = span->look(index);
      if (state.is_live() && span->block(index) > from) return HeapBlock{span->block(index), state.size()};
    }
    from = reinterpret_cast<const std::byte*>(span) + kSpanSize;
  }
  return std::nullopt;
}

}  // namespace bobbin::memory
