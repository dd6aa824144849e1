// Where a file holds absolute addresses, which must be shifted when it does not stand at ImageBase.
//
//   block: page RVA, size in bytes, then 16-bit entries: type in the upper 4 bits, offset in the page below
//
// Type 0 pads a block to a multiple of 4 bytes. On x86-64 linkers write DIR64 only; the 32- and 16-bit types
// are legal. HIGHADJ and the types of other machines are an error: to skip one would leave a wrong address
// behind.
#include <fmt/format.h>

#include "pe/format.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

struct BlockHeader {
  U32 page;
  U32 size;
};
static_assert(sizeof(BlockHeader) == 8);

constexpr std::uint8_t kPadding = 0;

bool known(std::uint8_t type) {
  return type == kRelocateHigh || type == kRelocateLow || type == kRelocateHighLow || type == kRelocateDir64;
}

Result<void> parse_block(const File& file, Rva at, const BlockHeader& block, std::vector<Relocation>& out) {
  for (std::uint32_t offset = sizeof(BlockHeader); offset + 2 <= block.size; offset += 2) {
    const std::uint16_t entry = file.read<U16>(at + offset).value_or(U16{});
    const auto type = static_cast<std::uint8_t>(entry >> 12);
    if (type == kPadding) continue;
    if (!known(type)) {
      return malformed(file, at + offset, fmt::format("relocation type {} is not one of x86-64", type));
    }
    const auto target = checked_add<std::uint32_t>(block.page, entry & 0xFFF);
    if (!target || !file.covers({*target}, relocation_width(type))) {
      return malformed(file, at + offset,
                       fmt::format("a relocation in block {:#x} lies outside the image",
                                   static_cast<std::uint32_t>(block.page)));
    }
    out.push_back({.at = {*target}, .type = type});
  }
  return {};
}

}  // namespace

Result<std::vector<Relocation>> File::relocations() const {
  std::vector<Relocation> result;
  const DirectoryRange range = directory(Directory::relocations);
  if (!range.rva || range.size == 0) return result;
  if (!covers(range.rva, range.size))
    return malformed(*this, range.rva, "the relocation directory leaves the image");
  for (std::uint32_t done = 0; done + sizeof(BlockHeader) <= range.size;) {
    const Rva at = range.rva + done;
    const auto block = read<BlockHeader>(at).value_or(BlockHeader{});
    if (block.size == 0) break;  // padding at the end of the directory
    if (block.size < sizeof(BlockHeader) || block.size > range.size - done) {
      return malformed(*this, at,
                       fmt::format("relocation block of {:#x} bytes does not fit the directory",
                                   static_cast<std::uint32_t>(block.size)));
    }
    if (auto ok = parse_block(*this, at, block, result); !ok) return propagate(ok);
    done += block.size;
  }
  return result;
}

}  // namespace bobbin::pe
