// Unwinds frames by any bytes: the input is an image with a table of rows at its beginning, code, unwind
// information and stack at once. Whatever it says, each frame is undone or refused after a bounded number of
// reads, all of them inside the image.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "arch/x86_64/exception.hpp"
#include "unwind/unwind.hpp"

namespace {

using namespace bobbin;
using namespace bobbin::unwind;

constexpr std::uint64_t kBase = 0x180000000;
constexpr int kMostFrames = 64;
/// A frame's chain of 32 rows, each with its head, its codes and what they restore, and as much to look
/// whether a jump stays in the function.
constexpr std::uint64_t kMostReads = 2 * 33 * 300;

void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

class Image final : public Memory {
 public:
  Image(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes, bytes + size) {
    rows_.resize(std::min<std::size_t>(size / sizeof(abi::RUNTIME_FUNCTION), 16));
    if (!rows_.empty()) std::memcpy(rows_.data(), bytes, rows_.size() * sizeof rows_[0]);
  }
  bool read(std::uint64_t address, void* to, std::size_t size) const noexcept override {
    ++reads;
    const std::uint64_t offset = address - kBase;
    if (offset > bytes_.size() || bytes_.size() - offset < size) return false;
    std::memcpy(to, bytes_.data() + offset, size);
    return true;
  }
  bool same_function(std::uint64_t base, const abi::RUNTIME_FUNCTION& row,
                     std::uint64_t target) const noexcept override {
    const auto* other = row_of(target);
    if (other == nullptr) return false;
    const auto one = primary_row(*this, base, row), two = primary_row(*this, base, *other);
    return one && two && one->BeginAddress == two->BeginAddress;
  }
  [[nodiscard]] const abi::RUNTIME_FUNCTION* row_of(std::uint64_t pc) const noexcept {
    return arch::bobbin_guest_find_row(rows_.data(), rows_.size(), static_cast<std::uint32_t>(pc - kBase));
  }

  mutable std::uint64_t reads = 0;

 private:
  std::vector<std::uint8_t> bytes_;
  mutable std::vector<abi::RUNTIME_FUNCTION> rows_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 16) return 0;
  const Image image(bytes, size);
  abi::CONTEXT context{};
  std::uint32_t start[2];
  std::memcpy(start, bytes + size - sizeof start, sizeof start);
  context.Rip = kBase + start[0] % size;
  context.Rsp = kBase + start[1] % size;
  context.Rbp = context.Rsp + 64;
  for (int i = 0; i < kMostFrames; ++i) {
    image.reads = 0;
    const auto* row = image.row_of(context.Rip);
    const bool undone = row != nullptr ? unwind_frame(image, kBase, context.Rip, *row, context,
                                                      abi::UNW_FLAG_EHANDLER | abi::UNW_FLAG_UHANDLER)
                                             .has_value()
                                       : unwind_leaf(image, context);
    promise(image.reads <= kMostReads, "a frame takes a bounded number of reads");
    if (!undone) break;
  }
  return 0;
}
