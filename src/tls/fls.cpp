#include "tls/fls.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "abi/status.hpp"

namespace bobbin::tls {
namespace {

/// Stands for "no destructor" in an allocated index, so that null can mean free.
void* no_destructor() { return reinterpret_cast<void*>(~std::uintptr_t{0}); }

std::unexpected<Error> out_of_memory(const char* what) {
  return fail({.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = what});
}

}  // namespace

Fls::Fls() { blocks_.Flink = blocks_.Blink = &blocks_; }

Result<std::unique_ptr<Fls>> Fls::create() {
  std::unique_ptr<Fls> fls(new Fls);
  auto destructors = ReservedArray<void*>::create(kFlsLimit);
  if (!destructors) return propagate(destructors);
  fls->destructors_ = std::move(*destructors);
  return fls;
}

Result<std::uint32_t> Fls::allocate(void* destructor) {
  const std::scoped_lock guard(lock_);
  std::uint32_t index = lowest_maybe_free_;
  while (index < kFlsLimit && destructors_[index] != nullptr) ++index;
  if (index == kFlsLimit) return out_of_memory("all 4079 FLS indices are taken");
  lowest_maybe_free_ = index + 1;
  destructors_[index] = destructor != nullptr ? destructor : no_destructor();
  return index;
}

bool Fls::free(std::uint32_t index) noexcept {
  const std::scoped_lock guard(lock_);
  if (index == 0 || index >= kFlsLimit || destructors_[index] == nullptr) return false;
  const FlsPlace place = fls_place(index);
  for (abi::LIST_ENTRY* link = blocks_.Flink; link != &blocks_; link = link->Flink) {
    void** const chunk = std::atomic_ref(reinterpret_cast<FlsBlock*>(link)->chunks[place.chunk]).load();
    if (chunk != nullptr) std::atomic_ref(chunk[place.cell]).store(nullptr, std::memory_order_relaxed);
  }
  destructors_[index] = nullptr;
  lowest_maybe_free_ = std::min(lowest_maybe_free_, index);
  return true;
}

Result<void> Fls::set(abi::TEB& teb, std::uint32_t index, void* value) {
  const FlsPlace place = fls_place(index);
  auto* block = static_cast<FlsBlock*>(teb.FlsData);
  const bool first = block == nullptr;
  if (first) {
    block = static_cast<FlsBlock*>(os::allocate(sizeof(FlsBlock)));
    if (block == nullptr) return out_of_memory("no memory for a fiber's FLS block");
  }
  std::atomic_ref chunk(block->chunks[place.chunk]);
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    auto* const cells = static_cast<void**>(os::allocate(((16u << place.chunk) + 1) * sizeof(void*)));
    if (cells == nullptr) {
      if (first) os::deallocate(block);
      return out_of_memory("no memory for a chunk of FLS values");
    }
    chunk.store(cells, std::memory_order_release);
  }
  std::atomic_ref(block->chunks[place.chunk][place.cell]).store(value, std::memory_order_relaxed);
  if (first) {
    teb.FlsData = block;
    const std::scoped_lock guard(lock_);
    block->links = {.Flink = &blocks_, .Blink = blocks_.Blink};
    blocks_.Blink->Flink = &block->links;
    blocks_.Blink = &block->links;
  }
  return {};
}

void Fls::drop_block(void*& fls_data) noexcept {
  auto* const block = static_cast<FlsBlock*>(std::exchange(fls_data, nullptr));
  if (block == nullptr) return;
  {
    const std::scoped_lock guard(lock_);
    block->links.Blink->Flink = block->links.Flink;
    block->links.Flink->Blink = block->links.Blink;
  }
  for (void** chunk : block->chunks) os::deallocate(chunk);
  os::deallocate(block);
}

}  // namespace bobbin::tls
