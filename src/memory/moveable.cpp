#include "memory/moveable.hpp"

#include <mutex>

namespace bobbin::memory {
namespace {

using Lock = std::scoped_lock<os::Mutex>;

constexpr std::uint64_t kMagic = 0x656C'6261'6576'6F4D;
constexpr std::size_t kHandleOffset = 8;
constexpr std::size_t kPrefix = 16;  ///< holds the handle, and keeps the data aligned

}  // namespace

Moveable* Moveables::record_of(const void* handle) const {
  if (reinterpret_cast<std::uintptr_t>(handle) % 16 != kHandleOffset) return nullptr;
  auto* record = const_cast<std::byte*>(static_cast<const std::byte*>(handle)) - kHandleOffset;
  if (heap_.size(record) != sizeof(Moveable)) return nullptr;
  auto* moveable = reinterpret_cast<Moveable*>(record);
  return moveable->magic == kMagic ? moveable : nullptr;
}

std::byte* Moveables::allocate_data(Handle handle, std::size_t size, bool zeroed) {
  if (size + kPrefix < size) return nullptr;
  auto* block = static_cast<std::byte*>(heap_.allocate(size + kPrefix, {.zeroed = zeroed}));
  if (block == nullptr) return nullptr;
  *reinterpret_cast<Handle*>(block) = handle;
  return block + kPrefix;
}

Moveables::Handle Moveables::allocate(std::size_t size, bool zeroed, bool discardable) {
  auto* record = static_cast<std::byte*>(heap_.allocate(sizeof(Moveable), {}));
  if (record == nullptr) return nullptr;
  Handle handle = record + kHandleOffset;
  std::byte* data = size == 0 ? nullptr : allocate_data(handle, size, zeroed);
  if (size != 0 && data == nullptr) {
    (void)heap_.free(record);
    return nullptr;
  }
  *reinterpret_cast<Moveable*>(record) = {kMagic, data, size, 0, discardable};
  return handle;
}

bool Moveables::free(Handle handle) {
  const Lock lock(mutex_);
  Moveable* record = record_of(handle);
  if (record == nullptr) return false;
  if (record->data != nullptr) (void)heap_.free(record->data - kPrefix);
  record->magic = 0;
  return heap_.free(record);
}

bool Moveables::resize(Handle handle, std::size_t size, bool zeroed, bool may_move) {
  const Lock lock(mutex_);
  Moveable* record = record_of(handle);
  if (record == nullptr || size + kPrefix < size) return false;
  if (size == 0) {
    if (record->locks != 0) return false;
    if (record->data != nullptr) (void)heap_.free(record->data - kPrefix);
    record->data = nullptr;
  } else if (record->data == nullptr) {
    std::byte* data = allocate_data(handle, size, zeroed);
    if (data == nullptr) return false;
    record->data = data;
  } else {
    const bool in_place = record->locks != 0 && !may_move;
    void* block = heap_.reallocate(record->data - kPrefix, size + kPrefix, {zeroed, in_place});
    if (block == nullptr) return false;
    record->data = static_cast<std::byte*>(block) + kPrefix;
  }
  record->size = size;
  return true;
}

void Moveables::set_discardable(Handle handle, bool discardable) {
  const Lock lock(mutex_);
  if (Moveable* record = record_of(handle); record != nullptr) record->discardable = discardable;
}

void* Moveables::lock(Handle handle) {
  const Lock lock(mutex_);
  Moveable* record = record_of(handle);
  if (record == nullptr || record->data == nullptr) return nullptr;
  if (record->locks != 0xFF) ++record->locks;
  return record->data;
}

std::optional<unsigned> Moveables::unlock(Handle handle) {
  const Lock lock(mutex_);
  Moveable* record = record_of(handle);
  if (record == nullptr || record->locks == 0) return std::nullopt;
  return --record->locks;
}

std::optional<Moveable> Moveables::inspect(const void* handle) const {
  const Lock lock(mutex_);
  const Moveable* record = record_of(handle);
  if (record == nullptr) return std::nullopt;
  return *record;
}

Moveables::Handle Moveables::handle_of(const void* data) const {
  const Lock lock(mutex_);
  const auto* block = static_cast<const std::byte*>(data) - kPrefix;
  if (!heap_.size(block)) return nullptr;
  Handle handle = *reinterpret_cast<Handle const*>(block);
  const Moveable* record = record_of(handle);
  return record != nullptr && record->data == data ? handle : nullptr;
}

}  // namespace bobbin::memory
