#include "memory/large_blocks.hpp"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

namespace bobbin::memory {
namespace {

using Lock = std::scoped_lock<os::Mutex>;

struct Free {
  void operator()(void* block) const { std::free(block); }
};

std::uintptr_t number(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

}  // namespace

LargeBlocks::~LargeBlocks() {
  for (const auto& [address, size] : sizes_) std::free(reinterpret_cast<void*>(address));
}

void* LargeBlocks::allocate(std::size_t size, bool zeroed) {
  const std::size_t asked = std::max<std::size_t>(size, 1);  // blocks of no size have addresses, too
  std::unique_ptr<void, Free> block(zeroed ? std::calloc(1, asked) : std::malloc(asked));
  if (block == nullptr) return nullptr;
  const Lock lock(mutex_);
  sizes_.emplace(number(block.get()), size);
  return block.release();
}

void* LargeBlocks::reallocate(void* block, std::size_t size, bool zeroed, bool in_place) {
  const Lock lock(mutex_);
  const auto found = sizes_.find(number(block));
  if (found == sizes_.end()) return nullptr;
  if (in_place && size > malloc_usable_size(block)) return nullptr;
  const std::size_t before = found->second;
  void* moved = in_place ? block : std::realloc(block, std::max<std::size_t>(size, 1));
  if (moved == nullptr) return nullptr;
  auto node = sizes_.extract(found);
  node.key() = number(moved);
  node.mapped() = size;
  sizes_.insert(std::move(node));
  if (zeroed && size > before) std::memset(static_cast<std::byte*>(moved) + before, 0, size - before);
  return moved;
}

bool LargeBlocks::free(void* block) {
  {
    const Lock lock(mutex_);
    if (sizes_.erase(number(block)) == 0) return false;
  }
  std::free(block);
  return true;
}

std::optional<std::size_t> LargeBlocks::size(const void* block) const {
  const Lock lock(mutex_);
  const auto found = sizes_.find(number(block));
  if (found == sizes_.end()) return std::nullopt;
  return found->second;
}

std::optional<HeapBlock> LargeBlocks::next(const void* after) const {
  const Lock lock(mutex_);
  const auto found = sizes_.upper_bound(number(after));
  if (found == sizes_.end()) return std::nullopt;
  return HeapBlock{reinterpret_cast<std::byte*>(found->first), found->second};
}

}  // namespace bobbin::memory
