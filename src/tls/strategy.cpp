#include "tls/strategy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include "abi/status.hpp"
#include "tls/in_place.hpp"
#include "tls/swap.hpp"
#include "trace/trace.hpp"

namespace bobbin::tls {
namespace {

std::unexpected<Error> invalid(std::string what) {
  return fail({.kind = ErrorKind::invalid, .status = abi::STATUS_INVALID_PARAMETER, .what = std::move(what)});
}

}  // namespace

Result<std::unique_ptr<Strategy>> Strategy::create(const Options& options, Threads& threads) {
  return options.growth == Growth::swap ? Swap::create(options, threads) : InPlace::create(options, threads);
}

Result<void> Strategy::reserve_table() {
  auto modules = ReservedArray<Module>::create(kVectorCapacity);
  if (!modules) return propagate(modules);
  modules_ = std::move(*modules);
  return {};
}

// ---- threads ---------------------------------------------------------------------------------------------

Result<void> Strategy::attach(ThreadRecord& record) {
  const std::shared_lock guard(lock_);
  auto vector = build(record);
  if (!vector) return propagate(vector);
  record.attached = true;
  field(record).store(*vector != nullptr ? *vector : sentinel(record), std::memory_order_release);
  return {};
}

void Strategy::detach(ThreadRecord& record) noexcept {
  const std::shared_lock guard(lock_);
  if (!record.attached) return;
  drop(record, field(record).exchange(nullptr, std::memory_order_relaxed));
  record.attached = false;
  if (record.owned != nullptr) free_vector(std::exchange(record.owned, nullptr));
  for (VectorHeader* next = nullptr; record.retired != nullptr; record.retired = next) {
    next = static_cast<VectorHeader*>(record.retired->next_retired);
    retired_ -= 1;
    retired_bytes_ -= vector_bytes(record.retired->length);
    free_vector(record.retired);
  }
  record.current = nullptr;
  record.length = 0;
  record.foreign = record.handed_out = false;
}

// ---- modules ---------------------------------------------------------------------------------------------

Result<void> Strategy::validate(const Template& module) const {
  if (std::has_single_bit(module.alignment) && module.alignment <= kMaximumAlignment) return {};
  return fail({.kind = ErrorKind::malformed,
               .status = abi::STATUS_INVALID_IMAGE_FORMAT,
               .what = fmt::format("TLS directory asks for an alignment of {} bytes (powers of two up to {})",
                                   module.alignment, kMaximumAlignment)});
}

std::uint32_t Strategy::lowest_free() const {
  std::uint32_t index = 0;
  while (index < high_ && modules_[index].state != State::free) ++index;
  return index;
}

Result<std::uint32_t> Strategy::prepare(const Template& source) {
  if (auto valid = validate(source); !valid) return propagate(valid);
  const std::scoped_lock guard(lock_);
  const std::uint32_t index = lowest_free();
  if (index == kVectorCapacity) {
    return fail({.kind = ErrorKind::out_of_memory,
                 .status = abi::STATUS_NO_MEMORY,
                 .what = fmt::format("all {} indices of modules with TLS are taken", kVectorCapacity)});
  }
  if (auto made = make_room(index, source); !made) return propagate(made);
  modules_[index] = {.state = State::prepared, .source = source};
  high_ = std::max(high_, index + 1);
  return index;
}

void Strategy::commit(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  Module& module = modules_[index];
  module.state = State::live;
  ++live_;
  publish(index);
  std::atomic_ref(*module.source.index_address).store(index, std::memory_order_release);
}

/// The index and its room are free. Vectors keep the old entry, which stays readable until the room is
/// reused.
void Strategy::forget(std::uint32_t index) noexcept {
  give_up(index);
  modules_[index] = {};
  while (high_ != 0 && modules_[high_ - 1].state == State::free) --high_;
}

void Strategy::cancel(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  forget(index);
}

void Strategy::release(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  if (index >= high_ || modules_[index].state != State::live) return;
  forget(index);
  --live_;
}

// ---- vectors ---------------------------------------------------------------------------------------------

std::uint32_t Strategy::length_of(const ThreadRecord& record, Vector seen) noexcept {
  if (seen == record.current) return record.length;
  if (seen == record.vector) return kVectorCapacity;
  if (seen == nullptr || static_cast<const void*>(seen) == &record.teb.ThreadLocalStoragePointer) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(header_of(seen).length, kVectorCapacity));
}

bool Strategy::can_be_walked(const ThreadRecord& record, Vector seen) const noexcept {
  if (seen == record.vector) return true;
  if (record.owned != nullptr && seen == vector_of(record.owned)) return true;
  return heap_ != nullptr && heap_->size(seen).has_value();
}

void* Strategy::exchange_entry(ThreadRecord& record, Vector vector, std::uint32_t index,
                               void* block) noexcept {
  if (vector == record.vector) expose_vector(record, index + 1);
  return std::atomic_ref(vector[index]).exchange(block, std::memory_order_acq_rel);
}

void Strategy::expose_vector(ThreadRecord& record, std::uint32_t entries) noexcept {
  if (entries <= record.entries) return;
  record.header.length = kVectorCapacity;
  record.entries = entries;
}

void Strategy::copy_entries(ThreadRecord& record, Vector from, Vector to, std::uint32_t count) noexcept {
  if (to == record.vector) expose_vector(record, count);
  for (std::uint32_t i = 0; i < count; ++i)
    std::atomic_ref(to[i]).store(entry(from, i), std::memory_order_relaxed);
}

void Strategy::run_on(ThreadRecord& record, Vector vector, std::uint32_t length,
                      VectorHeader* owned) noexcept {
  retire(record);
  record.current = vector;
  record.length = length;
  record.owned = owned;
  field(record).store(vector, std::memory_order_release);
}

void Strategy::retire(ThreadRecord& record) noexcept {
  if (record.owned == nullptr) return;
  retired_ += 1;
  ever_retired_ += 1;
  retired_bytes_ += vector_bytes(record.owned->length);
  record.owned->next_retired = record.retired;
  record.retired = std::exchange(record.owned, nullptr);
}

VectorHeader* Strategy::make_vector(std::uint32_t length) {
  auto* const header = static_cast<VectorHeader*>(heap_->allocate(vector_bytes(length)));
  if (header == nullptr) return nullptr;
  header->length = length;
  vectors_ += 1;
  vector_bytes_ += vector_bytes(length);
  return header;
}

void Strategy::free_vector(VectorHeader* header) noexcept {
  vectors_ -= 1;
  vector_bytes_ -= vector_bytes(header->length);
  heap_->free(header);
}

void* Strategy::heap_block_of(void* block) const noexcept {
  if (heap_ == nullptr || block == nullptr) return nullptr;
  auto* const at = static_cast<std::byte*>(block);
  // Nearly always the heap's block begins right before the header; and what the heap knows can be read.
  void* raw = at - sizeof(BlockHeader);
  const auto size = heap_->size(raw);
  if (size && *size >= sizeof(BlockHeader) && header_of_block(block).raw == raw) return raw;
  // The word may belong to nobody: anything at all can stand in a vector.
  if (os::copy_from_doubtful(&raw, at - sizeof raw, sizeof raw) != sizeof raw) return nullptr;
  const auto distance = static_cast<std::uint64_t>(at - static_cast<std::byte*>(raw));
  if (distance < sizeof(BlockHeader) || distance > kMaximumAlignment + sizeof(BlockHeader)) return nullptr;
  const auto whole = heap_->size(raw);
  return whole && *whole >= distance ? raw : nullptr;
}

void Strategy::count_block(void* raw, bool ours) noexcept {
  if (raw == nullptr) return;
  const std::uint64_t size = heap_->size(raw).value_or(0);
  blocks_ += ours ? 1 : std::uint64_t{0} - 1;
  block_bytes_ += ours ? size : std::uint64_t{0} - size;
}

void Strategy::free_block(void* block) noexcept {
  void* const raw = heap_block_of(block);
  if (raw == nullptr) return;
  count_block(raw, false);
  heap_->free(raw);
}

ThreadRecord* Strategy::attached() noexcept {
  const std::scoped_lock guard(threads_.lock());
  ThreadRecord* first = nullptr;
  for (ThreadRecord* record : threads_.listed()) {
    if (record->attached) record->next = std::exchange(first, record);
  }
  return first;
}

// ---- the service -----------------------------------------------------------------------------------------

/// How long a vector of the guest's is, and what to free when its thread ends. Nothing if it cannot hold
/// `count` entries.
std::optional<Strategy::Measured> Strategy::measure(Vector vector, std::uint32_t count) const noexcept {
  if (vector == nullptr || reinterpret_cast<std::uintptr_t>(vector) % sizeof(void*) != 0) return std::nullopt;
  VectorHeader* const header = &header_of(vector);
  const auto capacity = [](std::size_t bytes) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(bytes / sizeof(void*), kVectorCapacity));
  };
  Measured measured{0, nullptr};
  if (const auto bare = heap_ != nullptr ? heap_->size(vector) : std::nullopt) {
    measured.length = capacity(*bare);  // without a header: it stays the guest's
  } else if (const auto size = heap_ != nullptr ? heap_->size(header) : std::nullopt;
             size && *size >= sizeof *header) {
    measured = {capacity(*size - sizeof *header), header};
  } else {
    VectorHeader copy{};
    if (os::copy_from_doubtful(&copy, header, sizeof copy) != sizeof copy) return std::nullopt;
    measured.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(copy.length, kVectorCapacity));
  }
  return measured.length >= count ? std::optional(measured) : std::nullopt;
}

/// One thread gets the guest's vector, and the guest the thread's.
void Strategy::hand_over(ThreadRecord& record, std::uint32_t count, ThreadData& data) noexcept {
  const Vector seen = field(record).load(std::memory_order_relaxed);
  const Vector given = static_cast<Vector>(data.data);
  const Measured measured = *measure(given, 0);
  copy_entries(record, seen, given, std::min({count, length_of(record, seen), measured.length}));
  if (record.owned != nullptr && vector_of(record.owned) == seen) {  // the guest's from now on
    vectors_ -= 1;
    vector_bytes_ -= vector_bytes(record.owned->length);
    record.owned = nullptr;
  }
  if (measured.owned != nullptr) {
    measured.owned->length = measured.length;
    vectors_ += 1;
    vector_bytes_ += vector_bytes(measured.length);
  }
  if (seen == record.vector) record.handed_out = true;
  if (given == record.vector) record.handed_out = false;
  run_on(record, given, measured.length, measured.owned);
  data.previous = seen == sentinel(record) ? nullptr : seen;
}

Result<void> Strategy::exchange(Exchange what, std::uint32_t number, std::span<ThreadData> data) {
  const std::scoped_lock guard(lock_);
  if (what == Exchange::vectors) {
    for (const ThreadData& one : data) {
      if (!measure(static_cast<Vector>(one.data), number))
        return invalid(fmt::format("a TLS vector that cannot hold {} entries", number));
    }
  }
  ThreadRecord* const first = attached();
  std::size_t count = 0;
  for (ThreadRecord* record = first; record != nullptr; record = record->next) {
    if (field(*record).load(std::memory_order_relaxed) != nullptr) ++count;
  }
  if (count == 0) return {};
  struct Free {
    void operator()(ThreadRecord** block) const { os::deallocate(block); }
  };
  const std::unique_ptr<ThreadRecord*[], Free> threads(
      static_cast<ThreadRecord**>(os::allocate(count * sizeof(ThreadRecord*))));
  if (threads == nullptr) {
    return fail({.kind = ErrorKind::out_of_memory,
                 .status = abi::STATUS_NO_MEMORY,
                 .what = "no memory to put the threads in order"});
  }
  std::size_t filled = 0;
  for (ThreadRecord* record = first; record != nullptr && filled < count; record = record->next) {
    if (field(*record).load(std::memory_order_relaxed) != nullptr) threads[filled++] = record;
  }
  std::sort(threads.get(), threads.get() + filled, [](const ThreadRecord* a, const ThreadRecord* b) {
    return a->teb.UniqueThread < b->teb.UniqueThread;  // ids grow from birth to birth
  });
  filled = std::min(filled, data.size());
  if (what == Exchange::entries) {
    for (std::size_t i = 0; i < filled; ++i) {
      if (number >= length_of(*threads[i], field(*threads[i]).load(std::memory_order_relaxed)))
        return invalid(fmt::format("no vector has an entry {}", number));
    }
  }
  // Nothing can fail any more.
  for (std::size_t i = 0; i < filled; ++i) {
    ThreadRecord& record = *threads[i];
    if (what == Exchange::vectors) {
      hand_over(record, number, data[i]);
    } else {
      data[i].previous = exchange_entry(record, field(record).load(), number, data[i].data);
      count_block(heap_block_of(data[i].data), true);
      count_block(heap_block_of(data[i].previous), false);
    }
    data[i].thread_id = record.teb.UniqueThread;
    data[i].taken = true;
    record.foreign = true;
  }
  interfered_ = true;
  ++exchanges_;
  trace::emit(trace::Category::tls, [&] {
    return fmt::format("the guest replaces {} {} in {} threads",
                       what == Exchange::vectors ? "vectors," : "entry", number, filled);
  });
  return {};
}

bool Strategy::take_back_vector(const void* block) noexcept {
  if (exchanges_ == 0) return false;
  const std::scoped_lock guard(lock_);
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    if (&record->header == block) return std::exchange(record->handed_out, false);
  }
  return false;
}

Statistics Strategy::statistics() {
  const std::scoped_lock guard(lock_);
  Statistics now{.modules = live_,
                 .vectors = vectors_,
                 .vector_bytes = vector_bytes_,
                 .retired_vectors = retired_,
                 .retired_bytes = retired_bytes_,
                 .ever_retired = ever_retired_,
                 .blocks = blocks_,
                 .block_bytes = block_bytes_,
                 .exchanges = exchanges_};
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) ++now.threads;
  count(now);
  return now;
}

}  // namespace bobbin::tls
