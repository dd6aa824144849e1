// From RVAs to bytes: the one bridge between how a file describes itself and where its bytes stand.
#include "pe/file.hpp"

#include <algorithm>
#include <cstring>

#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

constexpr std::size_t kLongestString = 4096;
constexpr std::uint32_t kReadableSection = 0x40000000;

}  // namespace

/// Pages of a section beyond its raw data read as zero; so does the rest of its last page. The headers are
/// like a section that can be read. What no flag makes accessible is not there, since in memory it would
/// fault.
std::optional<File::Extent> File::extent_at(Rva rva) const {
  const std::uint32_t headers_size = header_.headers_size;
  Section place{.virtual_size = headers_size, .raw_size = headers_size, .characteristics = kReadableSection};
  const auto after = std::ranges::upper_bound(sections_, rva, {}, &Section::rva);
  if (after != sections_.begin()) place = *(after - 1);
  const std::uint32_t into = rva - place.rva;
  const std::uint32_t size = align_up(place.virtual_size, kPageSize);
  if (into >= size || !place.accessible()) return std::nullopt;
  if (layout_ == Layout::file) {
    return Extent{.offset = place.offset.value + into,
                  .present = into < place.raw_size ? place.raw_size - into : 0,
                  .visible = size - into};
  }
  if (rva.value >= bytes_.size()) return std::nullopt;
  const auto room =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(size - into, bytes_.size() - rva.value));
  return Extent{.offset = rva.value, .present = room, .visible = room};
}

std::optional<ByteView> File::at(Rva rva, std::uint32_t size) const {
  const auto extent = extent_at(rva);
  if (!extent || size > extent->present) return std::nullopt;
  return bytes_.slice(extent->offset, size);
}

bool File::copy_to(Rva rva, std::span<std::byte> out) const {
  const auto extent = extent_at(rva);
  if (!extent || out.size() > extent->visible) return false;
  const std::size_t present = std::min<std::size_t>(out.size(), extent->present);
  if (present != 0) std::memcpy(out.data(), bytes_.bytes().data() + extent->offset, present);
  std::memset(out.data() + present, 0, out.size() - present);
  return true;
}

bool File::covers(Rva rva, std::uint32_t size) const {
  std::uint64_t at = rva.value;
  const std::uint64_t end = at + size;
  while (at < end) {
    const auto extent = extent_at({static_cast<std::uint32_t>(at)});
    if (!extent || end > header_.image_size) return false;
    at += extent->visible;
  }
  return true;
}

std::optional<std::string_view> File::string_at(Rva rva) const {
  const auto extent = extent_at(rva);
  if (!extent || extent->present == 0) return std::nullopt;
  const auto bytes = bytes_.slice(extent->offset, extent->present);
  if (const auto text = bytes->c_string(0, kLongestString)) return text;
  // Without a NUL of its own, it may still be ended by the zeros that follow the raw data in memory.
  if (extent->present >= kLongestString || extent->present == extent->visible) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes->bytes().data()), extent->present);
}

std::optional<FileOffset> File::offset_of(Rva rva) const {
  if (layout_ != Layout::file) return std::nullopt;
  const auto extent = extent_at(rva);
  if (!extent || extent->present == 0) return std::nullopt;
  return FileOffset{extent->offset};
}

std::optional<Rva> File::rva_of(Va address) const {
  if (address.value < header_.image_base) return std::nullopt;
  const std::uint64_t offset = address.value - header_.image_base;
  if (offset >= header_.image_size) return std::nullopt;
  return Rva{static_cast<std::uint32_t>(offset)};
}

DirectoryRange File::directory(Directory which) const {
  const auto index = static_cast<std::size_t>(which);
  return index < directories_.size() ? directories_[index] : DirectoryRange{};
}

Result<DirectoryRange> File::exceptions() const {
  constexpr std::uint32_t kEntrySize = 12;  // begin, end, unwind information
  DirectoryRange range = directory(Directory::exceptions);
  if (!range.rva || range.size == 0) return DirectoryRange{};
  range.size -= range.size % kEntrySize;
  if (!covers(range.rva, range.size))
    return malformed(*this, range.rva, "the exception directory leaves the image");
  return range;
}

}  // namespace bobbin::pe
