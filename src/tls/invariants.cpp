// What must hold between any two operations of the engine, as code.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "tls/engine_impl.hpp"

namespace bobbin::tls {
namespace {

bool all_zero(const void* at, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(at);
  return std::all_of(bytes, bytes + size, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

std::optional<std::string> InPlace::broken_module(std::uint32_t index) {
  const Module& module = modules_[index];
  if (module.state == State::free) return std::nullopt;
  if (module.source.bytes.size() > module.room)
    return fmt::format("module {}: room below its template", index);
  Ranges& layout = layout_of(module);
  bool found = false;
  for (std::size_t i = 0; i < layout.count(); ++i) found |= layout.at(i).begin == module.offset;
  if (!found) return fmt::format("module {}: its room is not taken in the layout", index);
  if (module.state == State::live && std::atomic_ref(*module.source.index_address).load() != index) {
    return fmt::format("module {}: its image says {}", index, *module.source.index_address);
  }
  return std::nullopt;
}

std::optional<std::string> InPlace::broken_thread(ThreadRecord& record) {
  void** const vector = std::atomic_ref(record.teb.ThreadLocalStoragePointer).load();
  if (!record.attached) {
    return vector == nullptr ? std::nullopt
                             : std::optional(std::string("a thread not attached has a vector"));
  }
  if (record.entries != 0 && record.header.length != kVectorCapacity)
    return "vector[-2] is not the vector's length";
  if (live_ != 0 && vector == reinterpret_cast<void**>(&record.teb.ThreadLocalStoragePointer)) {
    return "a thread has the sentinel although a module has TLS";
  }
  for (std::uint32_t i = 0; i < high_; ++i) {
    if (modules_[i].state != State::live) continue;
    std::byte* const at = block(record, modules_[i]);
    if (record.vector[i] != at) return fmt::format("vector[{}] is not the module's block", i);
    const std::size_t alignment = honour_alignment_ ? modules_[i].source.alignment : 1;
    if (reinterpret_cast<std::uintptr_t>(at) % alignment != 0)
      return fmt::format("block {} is not aligned", i);
    if (i >= record.entries) return fmt::format("entry {} would not be zeroed", i);
  }
  return std::nullopt;
}

std::optional<std::string> InPlace::broken_invariant() {
  const std::scoped_lock guard(lock_);
  std::uint32_t live = 0;
  std::size_t in_use = 0;
  for (std::uint32_t i = 0; i < kVectorCapacity; ++i) {
    if (auto broken = broken_module(i)) return broken;
    live += modules_[i].state == State::live ? 1 : 0;
    in_use += modules_[i].state != State::free ? 1 : 0;
    if (modules_[i].state != State::free && i >= high_) return "a module beyond the highest index";
  }
  if (live != live_) return fmt::format("{} live modules, counted {}", live, live_);
  if (in_use != blocks_layout_.count() + views_layout_.count()) return "room taken for no module";
  const std::scoped_lock walk(threads_.lock());
  for (ThreadRecord* record : threads_.listed()) {
    if (auto broken = broken_thread(*record)) return broken;
  }
  return std::nullopt;
}

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
