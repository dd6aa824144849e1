#include "tls/in_place.hpp"

#include <fmt/format.h>

#include <cstring>
#include <mutex>

#include "abi/status.hpp"
#include "trace/trace.hpp"

namespace bobbin::tls {
namespace {

/// Templates up to this size are copied into the record, larger ones are views. A view costs a page as soon
/// as it is touched, and 1.7 us then; a copy of a page 0.2 us (engine.hpp, DESIGN.md).
constexpr std::size_t kLargestCopied = os::kPageSize;

}  // namespace

Result<std::unique_ptr<Strategy>> InPlace::create(const Options& options, Threads& threads) {
  std::unique_ptr<InPlace> made(new InPlace(options, threads));
  if (auto table = made->reserve_table(); !table) return propagate(table);
  auto places = ReservedArray<Place>::create(kVectorCapacity);
  if (!places) return propagate(places);
  auto blocks = Ranges::create(kBlocksBegin, kRecordSize, kVectorCapacity + 1);
  if (!blocks) return propagate(blocks);
  const auto before_vector = blocks->take(kVectorBegin - kBlocksBegin, 1);
  (void)blocks->take(kVectorEnd - kVectorBegin, 1);  // the vector's, for good
  blocks->give_back(*before_vector);
  auto views = Ranges::create(0, options.arena_size, kVectorCapacity);
  if (!views) return propagate(views);
  made->places_ = std::move(*places);
  made->blocks_layout_ = std::move(*blocks);
  made->views_layout_ = std::move(*views);
  return made;
}

InPlace::~InPlace() {
  threads_.for_each_made([this](ThreadRecord& record) {
    if (record.views != nullptr) views_.unmap(record.views);
  });
}

std::byte* InPlace::block(ThreadRecord& record, const Place& place) {
  return (place.is_view ? record.views : reinterpret_cast<std::byte*>(&record)) + place.offset;
}

/// Fills one thread's block, which it cannot see yet, with the template as it is now.
void InPlace::fill(ThreadRecord& record, const Place& place, const Template& source) noexcept {
  const auto bytes = source.bytes;
  if (place.is_view) return views_.refresh(record.views, place.offset, bytes);
  std::byte* const at = block(record, place);
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  std::memset(at + bytes.size(), 0, place.room - bytes.size());
  record.blocks_end = std::max(record.blocks_end, static_cast<std::uint32_t>(place.offset + place.room));
}

// ---- threads ---------------------------------------------------------------------------------------------

Result<Vector> InPlace::build(ThreadRecord& record) {
  if (views_in_use_ != 0 && record.views == nullptr) {
    auto view = views_.map();  // the only step that can fail
    if (!view) return propagate(view);
    record.views = *view;
  }
  expose_vector(record, high_);
  for (std::uint32_t i = 0; i < high_; ++i) {
    const Module& module = modules_[i];
    if (module.state == State::free) continue;
    fill(record, places_[i], module.source);
    if (module.state == State::live) record.vector[i] = block(record, places_[i]);
  }
  return live_ != 0 ? record.vector : nullptr;
}

void InPlace::drop(ThreadRecord& record, Vector seen) noexcept {
  if (record.foreign && can_be_walked(record, seen)) {
    // Also blocks of modules that have gone since: they stay until now.
    const std::uint32_t length = seen == record.vector ? record.entries : length_of(record, seen);
    for (std::uint32_t i = 0; i < length; ++i) free_foreign(record, entry(seen, i));
  }
  if (record.views != nullptr) views_.clean(record.views);
}

/// Gives back a block that the guest put into a vector by the service, if the heap knows it.
void InPlace::free_foreign(ThreadRecord& record, void* block) noexcept {
  const auto within = [block](const void* start, std::size_t size) {
    return static_cast<const std::byte*>(block) - static_cast<const std::byte*>(start) <
               static_cast<std::ptrdiff_t>(size) &&
           block >= start;
  };
  if (within(&record, kRecordSize) || (record.views != nullptr && within(record.views, arena_size_))) return;
  free_block(block);
}

// ---- modules ---------------------------------------------------------------------------------------------

/// Takes room in the layout: in records if the template is small and fits, else in views.
std::optional<InPlace::Place> InPlace::choose_place(const Template& source) {
  const std::size_t size = std::max<std::size_t>(source.bytes.size(), 1);
  const std::size_t alignment =
      honour_alignment_ ? std::max(source.alignment, kLeastAlignment) : kLeastAlignment;
  if (size <= kLargestCopied && alignment <= kRecordAlignment) {
    const std::uint64_t room = align_up(size, kLeastAlignment);
    if (const auto offset = blocks_layout_.take(room, alignment))
      return Place{.is_view = false, .offset = *offset, .room = room};
  }
  const std::uint64_t room = align_up(size, os::kPageSize);
  const auto offset = views_layout_.take(room, std::max(alignment, os::kPageSize));
  if (!offset) return std::nullopt;
  return Place{.is_view = true, .offset = *offset, .room = room};
}

/// Gives every attached thread a view; all that lack one, or none. Under the threads lock.
Result<void> InPlace::map_views() {
  ThreadRecord* mapped = nullptr;
  for (ThreadRecord* record : threads_.listed()) {
    if (!record->attached || record->views != nullptr) continue;
    auto view = views_.map();
    if (!view) {
      for (; mapped != nullptr; mapped = mapped->next) views_.unmap(std::exchange(mapped->views, nullptr));
      return propagate(view);
    }
    record->views = *view;
    record->next = std::exchange(mapped, record);
  }
  return {};
}

/// Fills the block of every attached thread. What can fail comes first.
Result<void> InPlace::prepare_blocks(const Place& place, const Template& source) {
  if (!place.is_view) {
    const std::scoped_lock guard(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (record->attached) fill(*record, place, source);
    }
    return {};
  }
  const bool used_before = place.offset < views_.file_size();
  if (auto placed = views_.place(place.offset, source.bytes); !placed) return placed;
  const std::scoped_lock guard(threads_.lock());
  auto mapped = map_views();
  if (!mapped) {
    views_.punch(place.offset, place.room);
  } else if (used_before) {
    // A thread may have written there since the former owner was released.
    for (ThreadRecord* record : threads_.listed()) {
      if (record->views != nullptr) Views::clean(record->views, place.offset, place.room);
    }
  }
  return mapped;
}

Result<void> InPlace::make_room(std::uint32_t index, const Template& source) {
  const auto place = choose_place(source);
  if (!place) {
    return fail(
        {.kind = ErrorKind::out_of_memory,
         .status = abi::STATUS_NO_MEMORY,
         .what = fmt::format("no room for a TLS template of {} bytes: {} of {} bytes per thread are in use",
                             source.bytes.size(), views_layout_.high_water(), arena_size_)});
  }
  if (auto prepared = prepare_blocks(*place, source); !prepared) {
    layout_of(*place).give_back(place->offset);
    return prepared;
  }
  trace::emit(trace::Category::tls, [&] {
    return fmt::format("module {}: {} bytes of template, {} at offset {:#x}", index, source.bytes.size(),
                       place->is_view ? "a view" : "copied", place->offset);
  });
  places_[index] = *place;
  if (place->is_view) ++views_in_use_;
  return {};
}

void InPlace::publish(std::uint32_t index) noexcept {
  ThreadRecord* rare = nullptr;
  {
    const std::scoped_lock walk(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (!record->attached) continue;
      void* const at = block(*record, places_[index]);
      if (!record->foreign && field(*record).load(std::memory_order_relaxed) == record->vector) [[likely]] {
        expose_vector(*record, index + 1);
        std::atomic_ref(record->vector[index]).store(at, std::memory_order_release);
      } else {
        record->next = std::exchange(rare, record);
      }
    }
  }
  for (; rare != nullptr; rare = rare->next) publish_in(*rare, index);
}

/// The thread has no vector yet, or the guest has changed what it has. Its own gets the entry in any case; if
/// the one that it runs on is too short, it returns to its own.
void InPlace::publish_in(ThreadRecord& record, std::uint32_t index) noexcept {
  void* const at = block(record, places_[index]);
  void* old = exchange_entry(record, record.vector, index, at);
  const Vector seen = field(record).load(std::memory_order_relaxed);
  if (seen != record.vector && seen != nullptr) {
    const std::uint32_t length = length_of(record, seen);
    interfered_ |= seen != sentinel(record);
    if (index < length) {
      old = exchange_entry(record, seen, index, at);
    } else {
      copy_entries(record, seen, record.vector, length);
      run_on(record, record.vector, kVectorCapacity, nullptr);
      record.handed_out = false;
    }
  }
  if (record.foreign) free_foreign(record, old);
}

void InPlace::give_up(std::uint32_t index) noexcept {
  const Place& place = places_[index];
  if (place.is_view) {
    if (modules_[index].state == State::live) {
      const std::scoped_lock walk(threads_.lock());
      for (ThreadRecord* record : threads_.listed()) {
        if (record->views != nullptr) Views::clean(record->views, place.offset, place.room);
      }
    }
    views_.punch(place.offset, place.room);
    --views_in_use_;
  }
  layout_of(place).give_back(place.offset);
}

void InPlace::count(Statistics& statistics) const {
  statistics.growth = Growth::in_place;
  statistics.vector_length = kVectorCapacity;
}

}  // namespace bobbin::tls
