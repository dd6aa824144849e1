// Where an image's pages come from and what protection they end up with, worked out from the headers alone:
// no memory is touched, so this part can be tested (and fuzzed) on anything.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "image/image.hpp"
#include "pe/file.hpp"

namespace bobbin::image {

/// Pages of an image that are pages of a file. All three are page multiples.
struct FileRange {
  std::uint32_t rva = 0;
  std::uint32_t size = 0;
  std::uint64_t offset = 0;
};

/// Bytes of the PE file and where they go.
struct Piece {
  std::uint32_t rva = 0;
  std::uint32_t size = 0;
  std::uint64_t offset = 0;
};

/// The headers and the raw data of each section that has some, ascending by RVA, none overlapping.
[[nodiscard]] std::vector<Piece> pieces(const pe::File& parsed);

/// What to map from the PE file itself; nothing if some piece does not stand on page borders in it.
[[nodiscard]] std::optional<std::vector<FileRange>> direct_ranges(const pe::File& parsed);

/// What to map from a file that is laid out as the image (offset = RVA). Long runs of zeros are left out.
[[nodiscard]] std::vector<FileRange> laid_out_ranges(const pe::File& parsed);

/// The final protection of every page of the image.
[[nodiscard]] std::vector<ProtectedRange> final_protections(const pe::File& parsed, bool data_only);

}  // namespace bobbin::image
