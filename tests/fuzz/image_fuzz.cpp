// Plans the image of whatever parses as a PE file: where its pages come from, what protection they end up
// with. Nothing is mapped; a plan that leads out of the file or of the image is a finding.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "base/checked.hpp"
#include "image/plan.hpp"

namespace {

using namespace bobbin;
using namespace bobbin::image;

void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

/// The end of the image's last page.
std::uint64_t image_end(const pe::File& file) {
  return align_up(std::uint64_t{file.header().image_size}, std::uint64_t{pe::kPageSize});
}

/// `ranges` ascend without overlapping, inside the image and inside `bytes` of file.
template <class Ranges>
void check_ranges(const Ranges& ranges, const pe::File& file, std::uint64_t bytes) {
  std::uint64_t end = 0;
  for (const auto& range : ranges) {
    promise(range.size != 0 && range.rva >= end, "ranges ascend, and none is empty");
    end = std::uint64_t{range.rva} + range.size;
    promise(end <= image_end(file), "ranges end inside the image");
    promise(range.offset <= bytes && range.size <= bytes - range.offset, "ranges end inside the file");
  }
}

void check_protections(const pe::File& file, bool data_only) {
  std::uint64_t end = 0;
  for (const ProtectedRange& range : final_protections(file, data_only)) {
    promise(range.begin == end && range.end > range.begin, "protections leave no gap");
    end = range.end;
  }
  promise(end >= file.header().image_size && end <= image_end(file), "protections cover the image");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = pe::File::parse(bytes, "fuzz", pe::Layout::file);
  if (!file) return 0;
  check_ranges(pieces(*file), *file, size);
  const auto whole_pages = align_up(std::uint64_t{size}, std::uint64_t{pe::kPageSize});
  if (const auto direct = direct_ranges(*file)) check_ranges(*direct, *file, whole_pages);
  check_ranges(laid_out_ranges(*file), *file, image_end(*file));
  check_protections(*file, false);
  check_protections(*file, true);
  return 0;
}
