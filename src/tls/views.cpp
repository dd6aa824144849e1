#include "tls/views.hpp"

#include <algorithm>
#include <cstring>

#include "base/checked.hpp"
#include "tls/engine.hpp"

namespace bobbin::tls {
namespace {

/// Of pages that were never written to: they are read from their file again.
void forget_reading(std::span<const std::byte> bytes) {
  const auto begin = align_up(reinterpret_cast<std::uintptr_t>(bytes.data()), os::kPageSize);
  const auto end = align_down(reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size(), os::kPageSize);
  if (begin < end) os::discard(reinterpret_cast<std::byte*>(begin), end - begin);
}

}  // namespace

Views::~Views() {
  if (original_ != nullptr) unmap(original_);
}

Result<void> Views::open() {
  if (file_.fd() < 0) {
    auto file = os::MemoryFile::create("bobbin-tls-templates");
    if (!file) return propagate(file);
    file_ = std::move(*file);
  }
  if (original_ == nullptr) {
    auto view = map();
    if (!view) return propagate(view);
    original_ = *view;
  }
  return {};
}

Result<void> Views::place(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (auto opened = open(); !opened) return opened;
  const std::uint64_t end = offset + align_up<std::uint64_t>(bytes.size(), os::kPageSize);
  if (end > file_size_) {
    if (auto grown = file_.resize(end); !grown) return grown;
    file_size_ = end;
  }
  auto written = file_.write(offset, bytes);
  if (!written) punch(offset, end - offset);
  // The births to come ask whether the image's pages have been written to, soonest answered where none is
  // mapped.
  if (os::never_written(bytes.data(), bytes.size())) forget_reading(bytes);
  return written;
}

void Views::punch(std::uint64_t offset, std::uint64_t size) noexcept { file_.punch(offset, size); }

Result<std::byte*> Views::map() const {
  auto space = os::reserve(arena_size_, nullptr, kMaximumAlignment);
  if (!space) return space;
  auto view = os::map_private(file_.fd(), 0, arena_size_, os::Protection::read_write, *space);
  if (!view) os::release(*space, arena_size_);
  return view;
}

void Views::unmap(std::byte* view) const noexcept { os::release(view, arena_size_); }

void Views::clean(std::byte* view) const noexcept { clean(view, 0, file_size_); }

void Views::clean(std::byte* view, std::uint64_t offset, std::uint64_t size) noexcept {
  if (size != 0) os::discard(view + offset, size);
}

void Views::refresh(std::byte* view, std::uint64_t offset, std::span<const std::byte> bytes) const noexcept {
  // A page never written since it was mapped is what it was when place() read it.
  constexpr std::size_t kAskedAtOnce = 512 * os::kPageSize;
  for (std::size_t at = 0; at < bytes.size(); at += kAskedAtOnce) {
    const auto part = bytes.subspan(at, std::min(kAskedAtOnce, bytes.size() - at));
    if (!os::never_written(part.data(), part.size())) copy_changed(view, offset + at, part);
  }
}

void Views::copy_changed(std::byte* view, std::uint64_t offset,
                         std::span<const std::byte> bytes) const noexcept {
  for (std::size_t at = 0; at < bytes.size(); at += os::kPageSize) {
    const std::size_t size = std::min(os::kPageSize, bytes.size() - at);
    if (std::memcmp(original_ + offset + at, bytes.data() + at, size) == 0) continue;
    std::memcpy(view + offset + at, bytes.data() + at, size);
  }
}

}  // namespace bobbin::tls
