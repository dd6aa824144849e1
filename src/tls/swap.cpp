#include "tls/swap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "abi/status.hpp"
#include "base/checked.hpp"
#include "trace/trace.hpp"

namespace bobbin::tls {
namespace {

std::unexpected<Error> no_memory(std::string what) {
  return fail({.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = std::move(what)});
}

std::unexpected<Error> no_block(const Template& source) {
  return no_memory(
      fmt::format("no memory for a thread's copy of a TLS template of {} bytes", source.bytes.size()));
}

}  // namespace

Result<std::unique_ptr<Strategy>> Swap::create(const Options& options, Threads& threads) {
  std::unique_ptr<Swap> made(new Swap(options, threads));
  if (auto table = made->reserve_table(); !table) return propagate(table);
  auto prepared = ReservedArray<std::atomic<BlockHeader*>>::create(kVectorCapacity);
  if (!prepared) return propagate(prepared);
  made->prepared_ = std::move(*prepared);
  return made;
}

// ---- blocks ----------------------------------------------------------------------------------------------

/// A block that holds the template as it is now; null if there is no memory.
void* Swap::make_block(const Template& source) {
  const auto bytes = source.bytes;
  const std::size_t alignment =
      honour_alignment_ ? std::max(source.alignment, kLeastAlignment) : kLeastAlignment;
  const std::size_t size = align_up(bytes.size(), kLeastAlignment) + alignment +
                           (alignment > kLeastAlignment ? sizeof(BlockHeader) : 0);
  auto* const raw = static_cast<std::byte*>(heap_->allocate(size));
  if (raw == nullptr) return nullptr;
  const std::uintptr_t aligned =
      align_up(reinterpret_cast<std::uintptr_t>(raw) + sizeof(BlockHeader), alignment);
  void* const block = reinterpret_cast<void*>(aligned);
  header_of_block(block) = {.next = nullptr, .raw = raw};
  if (!bytes.empty()) std::memcpy(block, bytes.data(), bytes.size());
  count_block(raw, true);
  return block;
}

void Swap::push(std::uint32_t index, void* block) noexcept {
  BlockHeader& header = header_of_block(block);
  header.next = prepared_[index].load();
  while (!prepared_[index].compare_exchange_weak(header.next, &header)) {
  }
}

void* Swap::pop(std::uint32_t index) noexcept {
  BlockHeader* const header = prepared_[index].load();
  if (header == nullptr) return nullptr;
  prepared_[index].store(std::exchange(header->next, nullptr));
  return header + 1;
}

// ---- threads ---------------------------------------------------------------------------------------------

Result<Vector> Swap::build(ThreadRecord& record) {
  const std::uint32_t length = std::max(length_, pending_);
  if (length == 0) return nullptr;
  VectorHeader* const header = make_vector(length);
  if (header == nullptr) return no_memory(fmt::format("no memory for a TLS vector of {} entries", length));
  const Vector vector = vector_of(header);
  for (std::uint32_t i = 0; i < high_; ++i) {
    if (modules_[i].state == State::free) continue;
    vector[i] = make_block(modules_[i].source);
    if (vector[i] != nullptr) continue;
    while (i-- > 0) free_block(vector[i]);
    free_vector(header);
    return no_block(modules_[i + 1].source);
  }
  for (std::uint32_t i = 0; i < high_; ++i) {  // those that are not live yet it gets with all the others
    if (modules_[i].state == State::prepared) push(i, std::exchange(vector[i], nullptr));
  }
  record.current = vector;
  record.length = length;
  record.owned = header;
  return vector;
}

void Swap::drop(ThreadRecord& record, Vector seen) noexcept {
  if (!can_be_walked(record, seen)) return;
  for (std::uint32_t i = 0; i < length_of(record, seen); ++i) free_block(entry(seen, i));
}

// ---- modules ---------------------------------------------------------------------------------------------

/// How long vectors have to be for an index. The first ones hold what is there at the start, and a step.
std::uint32_t Swap::length_for(std::uint32_t index) const {
  const std::uint32_t length = std::max(length_, pending_);
  if (length_ != 0 && index < length) return length;
  const std::uint32_t wanted =
      length_ == 0 ? std::max(length, index + 1 + step_) : length + std::max(step_, 1u);
  return std::min(wanted, kVectorCapacity);
}

Result<void> Swap::make_room(std::uint32_t index, const Template& source) {
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    void* const block = make_block(source);
    if (block == nullptr) {
      while (void* const made = pop(index)) free_block(made);
      return no_block(source);
    }
    push(index, block);
  }
  const std::uint32_t length = length_for(index);
  if (auto vectors = prepare_vectors(index, length); !vectors) {
    while (void* const made = pop(index)) free_block(made);
    return vectors;
  }
  if (length > length_) pending_ = length;
  trace::emit(trace::Category::tls, [&] {
    return fmt::format("module {}: {} bytes of template; vectors have {} entries, and will have {}", index,
                       source.bytes.size(), length_, std::max(length_, pending_));
  });
  return {};
}

/// A vector for each thread whose own is too short for the index.
Result<void> Swap::prepare_vectors(std::uint32_t index, std::uint32_t length) {
  std::size_t needed = 0, ready = 0;
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    if (length_of(*record, field(*record).load(std::memory_order_relaxed)) <= index) ++needed;
  }
  for (auto* spare = spares_; spare != nullptr; spare = static_cast<VectorHeader*>(spare->next_retired))
    ready += spare->length >= length ? 1 : 0;
  if (ready >= needed) return {};
  VectorHeader* made = nullptr;
  for (std::size_t i = 0; i < needed; ++i) {
    VectorHeader* const header = make_vector(length);
    if (header == nullptr) {
      std::swap(made, spares_);
      drop_spares();
      spares_ = made;
      return no_memory(fmt::format("no memory for {} TLS vectors of {} entries", needed, length));
    }
    header->next_retired = std::exchange(made, header);
  }
  drop_spares();
  spares_ = made;
  return {};
}

void Swap::drop_spares() noexcept {
  while (spares_ != nullptr) {
    VectorHeader* const spare = spares_;
    spares_ = static_cast<VectorHeader*>(spare->next_retired);
    free_vector(spare);
  }
}

/// One thread gets its block, and a longer vector if its own does not reach so far.
void Swap::hand_out(ThreadRecord& record, std::uint32_t index, void* block) noexcept {
  const Vector seen = field(record).load(std::memory_order_relaxed);
  const std::uint32_t length = length_of(record, seen);
  interfered_ |= seen != record.current && seen != sentinel(record);
  if (index < length) return free_block(exchange_entry(record, seen, index, block));
  VectorHeader* const spare = spares_;
  if (spare != nullptr) {
    spares_ = static_cast<VectorHeader*>(std::exchange(spare->next_retired, nullptr));
  } else {  // the guest has changed its vector since: what stands in the record always does
    std::memset(record.vector, 0, record.entries * sizeof(void*));
    record.handed_out = false;
  }
  const Vector vector = spare != nullptr ? vector_of(spare) : record.vector;
  copy_entries(record, seen, vector, length);
  exchange_entry(record, vector, index, block);
  run_on(record, vector, spare != nullptr ? static_cast<std::uint32_t>(spare->length) : kVectorCapacity,
         spare);
}

void Swap::publish(std::uint32_t index) noexcept {
  std::uint32_t given = 0;
  const std::uint64_t retired_before = ever_retired_;
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    if (field(*record).load(std::memory_order_relaxed) == nullptr) continue;
    hand_out(*record, index, pop(index));
    ++given;
  }
  const bool grows = index >= length_;
  if (grows) {
    length_ = pending_;
    ++growths_;
  }
  std::uint32_t left_over = 0;
  for (; void* const block = pop(index); ++left_over) free_block(block);
  if (!anything_prepared()) {
    for (auto* spare = spares_; spare != nullptr; spare = static_cast<VectorHeader*>(spare->next_retired))
      ++left_over;
    drop_spares();
    pending_ = 0;
  }
  unused_ += left_over;
  trace::emit(trace::Category::tls, [&] {
    return fmt::format(
        "module {}: in {} threads{}; {} vectors retired ({} by now, {} bytes), "
        "{} prepared for nobody",
        index, given, grows ? fmt::format(", vectors grown to {}", length_) : "",
        ever_retired_ - retired_before, retired_.load(), retired_bytes_.load(), left_over);
  });
}

bool Swap::anything_prepared() const {
  for (std::uint32_t i = 0; i < high_; ++i) {
    if (modules_[i].state == State::prepared) return true;
  }
  return false;
}

void Swap::give_up(std::uint32_t index) noexcept {
  while (void* const block = pop(index)) free_block(block);
  if (std::exchange(modules_[index].state, State::free) == State::prepared && !anything_prepared()) {
    drop_spares();
    pending_ = 0;
  }
}

void Swap::count(Statistics& statistics) const {
  statistics.growth = Growth::swap;
  statistics.vector_length = length_;
  statistics.growths = growths_;
  statistics.unused = unused_;
}

}  // namespace bobbin::tls
