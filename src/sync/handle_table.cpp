#include "sync/handle_table.hpp"

#include <algorithm>
#include <functional>
#include <new>

#include "abi/status.hpp"

namespace bobbin::sync {
namespace {

constexpr std::size_t kMostHandles = std::size_t{1} << 24;  ///< as on Windows

std::unexpected<Error> invalid_handle(Handle handle) {
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_INVALID_HANDLE,
               .what = "handle " + std::to_string(handle) + " is not open"});
}

}  // namespace

Error HandleTable::wrong_kind() {
  return {.kind = ErrorKind::invalid,
          .status = abi::STATUS_OBJECT_TYPE_MISMATCH,
          .what = "the handle names an object of another kind"};
}

HandleTable::Entry* HandleTable::find(Handle handle) {
  // Windows ignores the two low bits of a handle.
  const std::size_t index = handle / 4 - 1;
  return index < entries_.size() && entries_[index].object ? &entries_[index] : nullptr;
}

void HandleTable::put(Entry& entry, Ref<Object> object, bool inheritable) noexcept {
  ++object->handles_;
  entry = {std::move(object), inheritable, false};
}

Result<Handle> HandleTable::insert(Ref<Object> object, bool inheritable) try {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    entries_.emplace_back();
    free_.reserve(entries_.capacity());  // so that closing never needs memory
    put(entries_.back(), std::move(object), inheritable);
    return 4 * entries_.size();
  }
  std::ranges::pop_heap(free_, std::greater{});
  const std::size_t index = free_.back();
  free_.pop_back();
  put(entries_[index], std::move(object), inheritable);
  return 4 * (index + 1);
} catch (const std::bad_alloc&) {
  return fail(
      {.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = "no memory for a handle"});
}

Result<void> HandleTable::insert_at(Handle handle, Ref<Object> object, bool inheritable) try {
  const std::scoped_lock lock(mutex_);
  const std::size_t index = handle / 4 - 1;
  if (index >= kMostHandles || find(handle) != nullptr) return invalid_handle(handle);
  if (index >= entries_.size()) {
    entries_.reserve(index + 1);
    free_.reserve(entries_.capacity());
    entries_.resize(index + 1);
  }
  put(entries_[index], std::move(object), inheritable);
  free_.clear();  // in order, which is a heap
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].object) free_.push_back(i);
  }
  return {};
} catch (const std::bad_alloc&) {
  return fail(
      {.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = "no memory for a handle"});
}

Result<Ref<Object>> HandleTable::get(Handle handle) const {
  const std::scoped_lock lock(mutex_);
  const Entry* entry = const_cast<HandleTable*>(this)->find(handle);
  if (entry == nullptr) return invalid_handle(handle);
  return entry->object;
}

Result<void> HandleTable::close(Handle handle) {
  Ref<Object> last;  // dropped after the lock: a destructor may do anything
  bool was_last = false;
  {
    const std::scoped_lock lock(mutex_);
    Entry* entry = find(handle);
    if (entry == nullptr) return invalid_handle(handle);
    if (entry->kept) {
      return fail({.kind = ErrorKind::invalid,
                   .status = abi::STATUS_HANDLE_NOT_CLOSABLE,
                   .what = "handle " + std::to_string(handle) + " is protected from being closed"});
    }
    last = std::move(entry->object);
    was_last = --last->handles_ == 0;
    free_.push_back(static_cast<std::size_t>(entry - entries_.data()));
    std::ranges::push_heap(free_, std::greater{});
  }
  if (was_last) last->on_last_handle_closed();
  return {};
}

Result<bool> HandleTable::inheritable(Handle handle) const {
  const std::scoped_lock lock(mutex_);
  const Entry* entry = const_cast<HandleTable*>(this)->find(handle);
  if (entry == nullptr) return invalid_handle(handle);
  return entry->inheritable;
}

Result<void> HandleTable::set_inheritable(Handle handle, bool inheritable) {
  const std::scoped_lock lock(mutex_);
  Entry* entry = find(handle);
  if (entry == nullptr) return invalid_handle(handle);
  entry->inheritable = inheritable;
  return {};
}

std::vector<std::pair<Handle, Ref<Object>>> HandleTable::all_inheritable() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::pair<Handle, Ref<Object>>> all;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].object && entries_[i].inheritable) all.emplace_back(4 * (i + 1), entries_[i].object);
  }
  return all;
}

Result<bool> HandleTable::protected_from_close(Handle handle) const {
  const std::scoped_lock lock(mutex_);
  const Entry* entry = const_cast<HandleTable*>(this)->find(handle);
  if (entry == nullptr) return invalid_handle(handle);
  return entry->kept;
}

Result<void> HandleTable::protect_from_close(Handle handle, bool protect) {
  const std::scoped_lock lock(mutex_);
  Entry* entry = find(handle);
  if (entry == nullptr) return invalid_handle(handle);
  entry->kept = protect;
  return {};
}

Handle HandleTable::handle_of(const void* object) const {
  const std::scoped_lock lock(mutex_);
  const auto at =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.object.get() == object; });
  return at != entries_.end() ? 4 * (static_cast<Handle>(at - entries_.begin()) + 1) : 0;
}

std::size_t HandleTable::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size() - free_.size();
}

}  // namespace bobbin::sync
