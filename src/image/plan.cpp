#include "image/plan.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "memory/address_space.hpp"

namespace bobbin::image {
namespace {

using pe::kPageSize;

/// A hole of zeros in a laid-out file costs page cache when it is read; leaving it out costs two system
/// calls.
constexpr std::uint32_t kLongZeros = 0x10000;

std::uint32_t page_end(std::uint32_t rva, std::uint32_t size) { return align_up(rva + size, kPageSize); }

/// Appends a range, joined to the last one if it continues that.
void append(std::vector<FileRange>& ranges, FileRange next) {
  if (!ranges.empty()) {
    FileRange& last = ranges.back();
    if (last.rva + last.size == next.rva && last.offset + last.size == next.offset) {
      last.size += next.size;
      return;
    }
  }
  ranges.push_back(next);
}

void append(std::vector<ProtectedRange>& ranges, std::uint32_t end, std::uint32_t protect) {
  const std::uint32_t begin = ranges.empty() ? 0 : ranges.back().end;
  if (end == begin) return;
  if (!ranges.empty() && ranges.back().protect == protect) {
    ranges.back().end = end;
  } else {
    ranges.push_back({.begin = begin, .end = end, .protect = protect});
  }
}

/// What Windows gives pages of such a section. A writable page starts as copy-on-write; Windows shows it as
/// PAGE_READWRITE once it was written, which the host does not tell us.
std::uint32_t protection_of(const pe::Section& section, bool data_only) {
  if (data_only) return memory::kReadOnly;
  if (section.executable()) {
    if (section.writable()) return memory::kExecuteWriteCopy;
    return section.readable() ? memory::kExecuteRead : memory::kExecute;
  }
  if (section.writable()) return memory::kWriteCopy;
  return section.readable() ? memory::kReadOnly : memory::kNoAccess;
}

}  // namespace

std::vector<Piece> pieces(const pe::File& parsed) {
  std::vector<Piece> result{{.rva = 0, .size = parsed.header().headers_size, .offset = 0}};
  for (const pe::Section& section : parsed.sections()) {
    if (section.raw_size == 0) continue;
    result.push_back({.rva = section.rva.value, .size = section.raw_size, .offset = section.offset.value});
  }
  return result;
}

std::optional<std::vector<FileRange>> direct_ranges(const pe::File& parsed) {
  std::vector<FileRange> ranges;
  const std::uint64_t file_size = parsed.bytes().size();
  for (const Piece& piece : pieces(parsed)) {
    // A last page that is not full must end the file, or the next bytes of the file would stand where zeros
    // belong.
    const bool whole = piece.size % kPageSize == 0 || piece.offset + piece.size == file_size;
    // The headers are the exception: what follows them up to the page's end is padding, as Windows maps it
    // too.
    if (piece.offset % kPageSize != 0 || !(whole || piece.rva == 0)) return std::nullopt;
    append(ranges, {.rva = piece.rva, .size = page_end(0, piece.size), .offset = piece.offset});
  }
  return ranges;
}

std::vector<FileRange> laid_out_ranges(const pe::File& parsed) {
  std::vector<FileRange> ranges;
  for (const Piece& piece : pieces(parsed)) {
    const std::uint32_t end = page_end(piece.rva, piece.size);
    if (!ranges.empty() && piece.rva - (ranges.back().rva + ranges.back().size) < kLongZeros) {
      ranges.back().size = end - ranges.back().rva;
    } else {
      ranges.push_back({.rva = piece.rva, .size = end - piece.rva, .offset = piece.rva});
    }
  }
  return ranges;
}

std::vector<ProtectedRange> final_protections(const pe::File& parsed, bool data_only) {
  std::vector<ProtectedRange> ranges;
  append(ranges, page_end(0, parsed.header().headers_size), memory::kReadOnly);
  for (const pe::Section& section : parsed.sections()) {
    append(ranges, section.rva.value, memory::kNoAccess);  // a gap, if there is one
    append(ranges, page_end(section.rva.value, section.virtual_size), protection_of(section, data_only));
  }
  append(ranges, parsed.header().image_size, memory::kNoAccess);
  return ranges;
}

}  // namespace bobbin::image
