#include "memory/span.hpp"

#include <algorithm>
#include <mutex>

#include "os/os.hpp"

namespace bobbin::memory {

void Span::form(std::size_t size_class) noexcept {
  block_size = static_cast<std::uint32_t>(class_size(size_class));
  inverse = static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + block_size - 1) / block_size);
  // A block and its state for each; 15 bytes may go to align the first block.
  count = static_cast<std::uint16_t>((kSpanSize - sizeof(Span) - 15) / (block_size + sizeof(std::uint16_t)));
  first = static_cast<std::uint16_t>((sizeof(Span) + count * sizeof(std::uint16_t) + 15) & ~std::size_t{15});
  free = BlockState::kEnd;
  fresh = 0;
  full = false;
  remote.store(BlockState::kEnd, std::memory_order_relaxed);
}

namespace arena {
namespace {

constexpr std::size_t kStep = 16 * kSpanSize;  ///< how much is committed at a time

os::Mutex g_mutex;
Span* g_free = nullptr;      ///< guarded by g_mutex
std::size_t g_reserved = 0;  ///< guarded by g_mutex
std::size_t g_used = 0;      ///< guarded by g_mutex; spans below were handed out at least once
constinit std::atomic<std::byte*> g_base{nullptr};
/// Spans below may be looked into. Grows only.
constinit std::atomic<std::size_t> g_committed{0};

/// As much address space as the host gives: it costs nothing until it is used.
bool reserve() {
  for (std::size_t size = std::size_t{64} << 30; size >= kStep; size /= 4) {
    if (auto base = os::reserve(size, nullptr, kSpanSize)) {
      g_reserved = size;
      g_base = *base;
      return true;
    }
  }
  return false;
}

bool grow() {
  if (g_reserved == 0 && !reserve()) return false;
  const std::size_t committed = g_committed.load(std::memory_order_relaxed);
  if (g_reserved - committed < kStep) return false;
  if (!os::commit(g_base + committed, kStep, os::Protection::read_write)) return false;
  g_committed.store(committed + kStep, std::memory_order_release);
  return true;
}

}  // namespace

Span* take() noexcept {
  const std::scoped_lock lock(g_mutex);
  if (g_free != nullptr) {
    Span* span = g_free;
    g_free = span->next;
    return span;
  }
  if (g_used == g_committed.load(std::memory_order_relaxed) && !grow()) return nullptr;
  auto* span = reinterpret_cast<Span*>(g_base + g_used);
  g_used += kSpanSize;
  return span;
}

void give_back(Span* span) noexcept {
  os::discard(span, kSpanSize);
  const std::scoped_lock lock(g_mutex);
  span->next = g_free;
  g_free = span;
}

Span* span_of(const void* address) noexcept {
  std::byte* base = g_base.load(std::memory_order_relaxed);
  const auto offset = reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(base);
  if (offset >= g_committed.load(std::memory_order_acquire)) return nullptr;
  return reinterpret_cast<Span*>(base + (offset & ~(kSpanSize - 1)));
}

Span* at_or_after(const void* address) noexcept {
  const auto* base = g_base.load(std::memory_order_acquire);
  return span_of(std::max(static_cast<const std::byte*>(address), base));
}

}  // namespace arena
}  // namespace bobbin::memory
