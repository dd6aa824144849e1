// What must hold between any two operations of the engine, as code.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "tls/engine_impl.hpp"
#include "tls/in_place.hpp"
#include "tls/swap.hpp"

namespace bobbin::tls {
namespace {

/// The first byte is zero, and each is as the one before.
bool all_zero(const void* at, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(at);
  return size == 0 || (bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

}  // namespace

// ---- what holds in both modes ----------------------------------------------------------------------------

std::optional<std::string> Strategy::broken_invariant() {
  const std::scoped_lock guard(lock_);
  std::uint32_t live = 0;
  for (std::uint32_t i = 0; i < high_; ++i) {  // any beyond would be missing in the books below
    const Module& module = modules_[i];
    if (module.state == State::free) continue;
    if (auto broken = broken_module(i)) return broken;
    if (module.state != State::live) continue;
    ++live;
    if (const std::uint32_t written = std::atomic_ref(*module.source.index_address).load(); written != i)
      return fmt::format("module {}: its image says {}", i, written);
  }
  if (live != live_) return fmt::format("{} live modules, counted {}", live, live_);
  std::uint64_t retired = 0, bytes = 0;
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    if (auto broken = broken_thread(*record)) return broken;
    for (auto* old = record->retired; old != nullptr; old = static_cast<VectorHeader*>(old->next_retired)) {
      ++retired;
      bytes += vector_bytes(old->length);
    }
  }
  if (retired != retired_) return fmt::format("{} vectors retired, counted {}", retired, retired_.load());
  if (bytes != retired_bytes_)
    return fmt::format("{} bytes of vectors retired, counted {}", bytes, retired_bytes_.load());
  {
    const std::scoped_lock walk(threads_.lock());
    for (ThreadRecord* record : threads_.listed()) {
      if (record->attached) continue;
      if (field(*record).load() != nullptr) return "a thread not attached has a vector";
      if (record->owned != nullptr || record->retired != nullptr) return "a thread not attached owns vectors";
    }
  }
  return broken_books();
}

// ---- in place --------------------------------------------------------------------------------------------

std::optional<std::string> InPlace::broken_module(std::uint32_t index) {
  const Place& place = places_[index];
  if (modules_[index].source.bytes.size() > place.room)
    return fmt::format("module {}: room below its template", index);
  Ranges& layout = layout_of(place);
  bool found = false;
  for (std::size_t i = 0; i < layout.count(); ++i) found |= layout.at(i).begin == place.offset;
  if (!found) return fmt::format("module {}: its room is not taken in the layout", index);
  return std::nullopt;
}

std::optional<std::string> InPlace::broken_thread(ThreadRecord& record) {
  const Vector vector = field(record).load();
  if (record.entries != 0 && record.header.length != kVectorCapacity)
    return "vector[-2] is not the vector's length";
  if (live_ != 0 && vector == sentinel(record)) return "a thread has the sentinel although a module has TLS";
  for (std::uint32_t i = 0; i < high_; ++i) {
    if (modules_[i].state != State::live) continue;
    std::byte* const at = block(record, places_[i]);
    if (record.vector[i] != at && !record.foreign)
      return fmt::format("vector[{}] is not the module's block", i);
    const std::size_t alignment = honour_alignment_ ? modules_[i].source.alignment : 1;
    if (reinterpret_cast<std::uintptr_t>(at) % alignment != 0)
      return fmt::format("block {} is not aligned", i);
    if (i >= record.entries) return fmt::format("entry {} would not be zeroed", i);
  }
  return std::nullopt;
}

std::optional<std::string> InPlace::broken_books() {
  std::size_t in_use = 0;
  for (std::uint32_t i = 0; i < high_; ++i) in_use += modules_[i].state != State::free ? 1 : 0;
  if (in_use + 1 != blocks_layout_.count() + views_layout_.count())  // one is the vector's own
    return "room taken for no module";
  return std::nullopt;
}

// ---- by swapping -----------------------------------------------------------------------------------------

std::optional<std::string> Swap::broken_module(std::uint32_t index) {
  if (modules_[index].state == State::live && index >= length_)
    return fmt::format("module {} beyond the bitmap's {} bits", index, length_);
  if (modules_[index].state == State::live && prepared_[index].load() != nullptr)
    return fmt::format("module {}: blocks prepared that nobody will get", index);
  if (index >= std::max(length_, pending_)) return fmt::format("module {}: no vector will hold it", index);
  return std::nullopt;
}

std::optional<std::string> Swap::broken_thread(ThreadRecord& record) {
  const Vector vector = field(record).load();
  if (vector == nullptr)
    return interfered_ ? std::nullopt : std::optional<std::string>("an attached thread has no vector");
  if (vector == sentinel(record)) {
    return length_ == 0 ? std::nullopt
                        : std::optional<std::string>("a thread has the sentinel, others vectors");
  }
  if (vector == record.current && record.owned != nullptr) {
    if (vector_of(record.owned) != vector) return "a thread owns another vector than it runs on";
    if (record.owned->length != record.length) return "vector[-2] is not the vector's length";
  }
  if (!record.foreign && vector == record.current && record.length < length_)
    return fmt::format("a vector of {} entries, the common length is {}", record.length, length_);
  for (std::uint32_t i = 0; i < high_; ++i) {
    if (modules_[i].state != State::live) continue;
    if (i >= length_of(record, vector)) return fmt::format("a vector ends before entry {}", i);
    void* const at = entry(vector, i);
    if (record.foreign || vector != record.current) continue;
    if (at == nullptr) return fmt::format("vector[{}] is NULL", i);
    const std::size_t alignment = honour_alignment_ ? modules_[i].source.alignment : 1;
    if (heap_block_of(at) != nullptr && reinterpret_cast<std::uintptr_t>(at) % alignment != 0)
      return fmt::format("block {} is not aligned", i);
  }
  return std::nullopt;
}

/// Every vector and every block is in one place, and in one only.
std::optional<std::string> Swap::broken_books() {
  std::uint64_t blocks = 0, prepared = 0, vectors = retired_;
  for (std::uint32_t i = 0; i < high_; ++i) {
    for (const BlockHeader* one = prepared_[i].load(); one != nullptr; one = one->next) ++prepared;
  }
  for (auto* spare = spares_; spare != nullptr; spare = static_cast<VectorHeader*>(spare->next_retired))
    ++vectors;
  for (ThreadRecord* record = attached(); record != nullptr; record = record->next) {
    vectors += record->owned != nullptr ? 1 : 0;
    const Vector vector = field(*record).load();
    const std::uint32_t length = length_of(*record, vector);
    for (std::uint32_t i = 0; i < length; ++i) blocks += entry(vector, i) != nullptr ? 1 : 0;
  }
  if (vectors != vectors_)
    return fmt::format("{} vectors from the heap, {} are known", vectors_.load(), vectors);
  if (!interfered_ && blocks + prepared != blocks_)
    return fmt::format("{} blocks from the heap, {} in vectors, {} prepared", blocks_.load(), blocks,
                       prepared);
  if (!anything_prepared() && (spares_ != nullptr || prepared != 0 || pending_ != 0))
    return "something is prepared for no module";
  return std::nullopt;
}

// ---- threads and slots -----------------------------------------------------------------------------------

std::optional<std::string> Threads::broken_invariant() {
  const std::scoped_lock guard(lock_);
  for (std::size_t i = 0; i < count_; ++i) {
    if (list_[i]->position != i) return fmt::format("thread {} does not know its position", i);
  }
  std::size_t pooled = 0;
  for (ThreadRecord* record = free_; record != nullptr; record = record->next, ++pooled) {
    if (record->attached) return "a pooled record is attached";
    if (!all_zero(&record->teb, sizeof record->teb)) return "a pooled record's TEB is not zero";
    if (!all_zero(record->blocks, kRecordSize - kBlocksBegin)) return "a pooled record is not zero";
  }
  // Records on their way back to the pool are in neither list.
  if (count_ + pooled > made_) return fmt::format("{} records made, {} known", made_, count_ + pooled);
  return std::nullopt;
}

std::optional<std::string> Slots::broken_invariant() {
  const std::scoped_lock guard(threads_.lock());
  if (!is_allocated(0)) return "slot 0 is not reserved";
  return std::nullopt;
}

std::optional<std::string> check_invariants(const Engine& engine) {
  Engine::Impl& parts = *engine.impl_;
  if (auto broken = parts.modules->broken_invariant()) return broken;
  if (auto broken = parts.threads->broken_invariant()) return broken;
  return parts.slots.broken_invariant();
}

}  // namespace bobbin::tls
