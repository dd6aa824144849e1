#include "tls/in_place.hpp"

#include <fmt/format.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include "abi/status.hpp"
#include "trace/trace.hpp"

namespace bobbin::tls {
namespace {

/// Templates up to this size are copied into the record, larger ones are views. A view costs a page as soon
/// as it is touched, and 1.7 us then; a copy of a page 0.2 us (engine.hpp, DESIGN.md).
constexpr std::size_t kLargestCopied = os::kPageSize;

constexpr std::size_t kLeastAlignment = 16;

using Vector = void**;

/// TEB+58h. Its thread may be reading it; a guest may have put a vector of its own there.
std::atomic_ref<Vector> vector_field(ThreadRecord& record) {
  return std::atomic_ref(record.teb.ThreadLocalStoragePointer);
}

/// What the field holds on a live thread when no module has TLS: its own address.
Vector sentinel(ThreadRecord& record) {
  return reinterpret_cast<Vector>(&record.teb.ThreadLocalStoragePointer);
}

void store_entry(Vector vector, std::uint32_t index, void* block) {
  std::atomic_ref(vector[index]).store(block, std::memory_order_release);
}

}  // namespace

Result<std::unique_ptr<InPlace>> InPlace::create(const Options& options, Threads& threads) {
  std::unique_ptr<InPlace> made(new InPlace(options, threads));
  auto modules = ReservedArray<Module>::create(kVectorCapacity);
  if (!modules) return propagate(modules);
  auto blocks = Ranges::create(kBlocksBegin, kBlocksEnd, kVectorCapacity);
  if (!blocks) return propagate(blocks);
  auto views = Ranges::create(0, options.arena_size, kVectorCapacity);
  if (!views) return propagate(views);
  made->modules_ = std::move(*modules);
  made->blocks_layout_ = std::move(*blocks);
  made->views_layout_ = std::move(*views);
  return made;
}

InPlace::~InPlace() {
  threads_.for_each_made([this](ThreadRecord& record) {
    if (record.views != nullptr) views_.unmap(record.views);
  });
}

std::byte* InPlace::block(ThreadRecord& record, const Module& module) {
  return (module.is_view ? record.views : reinterpret_cast<std::byte*>(&record)) + module.offset;
}

/// Fills one thread's block, which it cannot see yet, with the template as it is now.
void InPlace::build(ThreadRecord& record, const Module& module) noexcept {
  const auto bytes = module.source.bytes;
  if (module.is_view) return views_.refresh(record.views, module.offset, bytes);
  std::byte* const at = block(record, module);
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  std::memset(at + bytes.size(), 0, module.room - bytes.size());
  record.blocks_end = std::max(record.blocks_end, static_cast<std::uint32_t>(module.offset + module.room));
}

/// The first `entries` entries are about to be used. A thread that needs none does not touch the page.
void InPlace::expose_vector(ThreadRecord& record, std::uint32_t entries) noexcept {
  if (entries <= record.entries) return;
  record.header.length = kVectorCapacity;
  record.entries = entries;
}

/// Lets one thread see its block.
void InPlace::publish(ThreadRecord& record, std::uint32_t index) noexcept {
  void* const at = block(record, modules_[index]);
  expose_vector(record, index + 1);
  store_entry(record.vector, index, at);
  const Vector seen = vector_field(record).load(std::memory_order_relaxed);
  if (seen == record.vector) [[likely]]
    return;
  if (seen == sentinel(record)) {
    vector_field(record).store(record.vector, std::memory_order_release);
  } else if (seen != nullptr) {
    publish_to_guest_vector(record, seen, index, at);
  }
}

/// The thread runs on a vector that the guest installed. If that is too short, the thread returns to its own.
void InPlace::publish_to_guest_vector(ThreadRecord& record, Vector guest, std::uint32_t index,
                                      void* at) noexcept {
  const std::uint64_t length = reinterpret_cast<const VectorHeader*>(guest)[-1].length;
  if (index < length) return store_entry(guest, index, at);
  for (std::uint32_t i = 0; i < std::min<std::uint64_t>(length, index); ++i) {
    store_entry(record.vector, i, std::atomic_ref(guest[i]).load(std::memory_order_relaxed));
  }
  vector_field(record).store(record.vector, std::memory_order_release);
}

// ---- threads ---------------------------------------------------------------------------------------------

Result<void> InPlace::attach(ThreadRecord& record) {
  const std::shared_lock guard(lock_);
  if (views_in_use_ != 0 && record.views == nullptr) {
    auto view = views_.map();  // the only step that can fail
    if (!view) return propagate(view);
    record.views = *view;
  }
  expose_vector(record, high_);
  for (std::uint32_t i = 0; i < high_; ++i) {
    const Module& module = modules_[i];
    if (module.state == State::free) continue;
    build(record, module);
    if (module.state == State::live) record.vector[i] = block(record, module);
  }
  record.attached = true;
  vector_field(record).store(live_ != 0 ? record.vector : sentinel(record), std::memory_order_release);
  return {};
}

void InPlace::detach(ThreadRecord& record) noexcept {
  const std::shared_lock guard(lock_);
  if (!record.attached) return;
  vector_field(record).store(nullptr, std::memory_order_relaxed);
  record.attached = false;
  if (record.views != nullptr) views_.clean(record.views);
}

// ---- modules ---------------------------------------------------------------------------------------------

Result<void> InPlace::validate(const Template& module) const {
  if (!std::has_single_bit(module.alignment) || module.alignment > kMaximumAlignment) {
    return fail(
        {.kind = ErrorKind::malformed,
         .status = abi::STATUS_INVALID_IMAGE_FORMAT,
         .what = fmt::format("TLS directory asks for an alignment of {} bytes (powers of two up to {})",
                             module.alignment, kMaximumAlignment)});
  }
  if (module.bytes.size() > arena_size_) {
    return fail(
        {.kind = ErrorKind::out_of_memory,
         .status = abi::STATUS_NO_MEMORY,
         .what = fmt::format("a TLS template of {} bytes is larger than the room per thread ({} bytes)",
                             module.bytes.size(), arena_size_)});
  }
  return {};
}

std::uint32_t InPlace::lowest_free() const {
  std::uint32_t index = 0;
  while (index < high_ && modules_[index].state != State::free) ++index;
  return index;
}

/// Takes room in the layout: in records if the template is small and fits, else in views.
bool InPlace::choose_place(Module& module) {
  const std::size_t size = module.source.bytes.size();
  const std::size_t alignment =
      honour_alignment_ ? std::max(module.source.alignment, kLeastAlignment) : kLeastAlignment;
  if (size <= kLargestCopied && alignment <= os::kPageSize) {  // a record begins at a page
    module.room = align_up(std::max<std::size_t>(size, 1), kLeastAlignment);
    if (const auto offset = blocks_layout_.take(module.room, alignment)) {
      module.offset = *offset;
      return true;
    }
  }
  module.is_view = true;
  module.room = align_up(std::max<std::size_t>(size, 1), os::kPageSize);
  const auto offset = views_layout_.take(module.room, std::max(alignment, os::kPageSize));
  if (offset) module.offset = *offset;
  return offset.has_value();
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
Result<void> InPlace::prepare_blocks(const Module& module) {
  if (!module.is_view) {
    const std::scoped_lock guard(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (record->attached) build(*record, module);
    }
    return {};
  }
  const bool used_before = module.offset < views_.file_size();
  if (auto placed = views_.place(module.offset, module.source.bytes); !placed) return placed;
  const std::scoped_lock guard(threads_.lock());
  auto mapped = map_views();
  if (!mapped) {
    views_.punch(module.offset, module.room);
  } else if (used_before) {
    // A thread may have written there since the former owner was released.
    for (ThreadRecord* record : threads_.listed()) {
      if (record->views != nullptr) Views::clean(record->views, module.offset, module.room);
    }
  }
  return mapped;
}

Result<std::uint32_t> InPlace::prepare(const Template& source) {
  if (auto valid = validate(source); !valid) return propagate(valid);
  const std::scoped_lock guard(lock_);
  const std::uint32_t index = lowest_free();
  Module module{.state = State::prepared, .is_view = false, .offset = 0, .room = 0, .source = source};
  if (index == kVectorCapacity || !choose_place(module)) {
    return fail(
        {.kind = ErrorKind::out_of_memory,
         .status = abi::STATUS_NO_MEMORY,
         .what = fmt::format("no room for another module with TLS: {} of {} indices in use, {} of {} bytes "
                             "of large templates",
                             high_, kVectorCapacity, views_layout_.high_water(), arena_size_)});
  }
  if (auto prepared = prepare_blocks(module); !prepared) {
    layout_of(module).give_back(module.offset);
    return propagate(prepared);
  }
  if (trace::on(trace::Category::tls)) {
    trace::emit(trace::Category::tls,
                fmt::format("module {}: {} bytes of template, {} at offset {:#x}", index, source.bytes.size(),
                            module.is_view ? "a view" : "copied", module.offset));
  }
  modules_[index] = module;
  high_ = std::max(high_, index + 1);
  if (module.is_view) ++views_in_use_;
  return index;
}

void InPlace::commit(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  Module& module = modules_[index];
  module.state = State::live;
  ++live_;
  {
    const std::scoped_lock walk(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (record->attached) publish(*record, index);
    }
  }
  std::atomic_ref(*module.source.index_address).store(index, std::memory_order_release);
}

/// The index and its room are free. Vectors keep the old entry, which stays readable until the room is
/// reused.
void InPlace::forget(std::uint32_t index) noexcept {
  Module& module = modules_[index];
  layout_of(module).give_back(module.offset);
  if (module.is_view) --views_in_use_;
  module.state = State::free;
  module.source = {};
  while (high_ != 0 && modules_[high_ - 1].state == State::free) --high_;
}

void InPlace::cancel(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  const Module& module = modules_[index];
  if (module.is_view) views_.punch(module.offset, module.room);  // no thread has seen it
  forget(index);
}

void InPlace::release(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  if (index >= high_ || modules_[index].state != State::live) return;
  const Module& module = modules_[index];
  if (module.is_view) {
    const std::scoped_lock walk(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (record->views != nullptr) Views::clean(record->views, module.offset, module.room);
    }
    views_.punch(module.offset, module.room);
  }
  --live_;
  forget(index);
}

}  // namespace bobbin::tls
