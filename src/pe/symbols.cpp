// The COFF symbol table, which GNU tools leave in images: records of 18 bytes, each followed by as many more
// as it says (auxiliary records), then a string table for names of more than 8 bytes.
#include "pe/format.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

struct RawSymbol {
  char name[8];  // or four zero bytes and an offset in the string table
  U32 value;
  U16 section;  // counted from 1; 0 and 0xFFFF, 0xFFFE are no sections
  U16 type;
  std::uint8_t storage_class;
  std::uint8_t auxiliaries;
};
static_assert(sizeof(RawSymbol) == 18);

constexpr std::uint8_t kExternal = 2;
constexpr std::uint8_t kStatic = 3;

}  // namespace

std::vector<Symbol> File::symbols() const {
  std::vector<Symbol> result;
  if (layout_ != Layout::file || symbol_table_ == 0) return result;
  const std::uint64_t strings = symbol_table_ + std::uint64_t{symbol_count_} * sizeof(RawSymbol);
  Budget budget(*this);
  for (std::uint32_t i = 0; i < symbol_count_; ++i) {
    const std::uint64_t at = symbol_table_ + std::uint64_t{i} * sizeof(RawSymbol);
    const auto raw = bytes_.read<RawSymbol>(at);
    if (!raw) break;
    i += raw->auxiliaries;
    if (raw->section == 0 || raw->section > sections_.size()) continue;
    if (raw->storage_class != kExternal && raw->storage_class != kStatic) continue;
    const Section& section = sections_[raw->section - 1u];
    if (raw->value >= section.virtual_size || !section.accessible()) continue;
    const U32 zeros = *bytes_.read<U32>(at), offset = *bytes_.read<U32>(at + 4);
    const auto* text = reinterpret_cast<const char*>(bytes_.bytes().data() + at);
    const std::string_view field(text, sizeof(RawSymbol::name));
    const auto name = zeros == 0 ? bytes_.c_string(strings + offset) : field.substr(0, field.find('\0'));
    if (!name || name->empty() || !budget.spend(name->size())) continue;
    result.push_back({.name = *name, .rva = section.rva + raw->value});
  }
  return result;
}

}  // namespace bobbin::pe
