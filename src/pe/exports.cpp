// What a file offers to others.
//
//   functions[ordinal - base]  RVA of code or data; or, if it lies inside the export directory itself, of the
//                              text of a forwarder ("NTDLL.RtlAllocateHeap"); or 0, a gap in the ordinals
//   names[i]                   RVA of a name, ascending by byte value, so that a search may halve
//   name_ordinals[i]           the index in functions[] that names[i] stands for
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "pe/format.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

struct ExportDirectory {
  U32 characteristics;
  U32 timestamp;
  U16 major_version, minor_version;
  U32 dll_name;
  U32 ordinal_base;
  U32 function_count;
  U32 name_count;
  U32 functions;
  U32 names;
  U32 name_ordinals;
};
static_assert(sizeof(ExportDirectory) == 40);

/// Whether a table of `count` elements has bytes in the file; its size in bytes must fit as well.
bool table_present(const File& file, std::uint32_t rva, std::uint32_t count, std::uint32_t element) {
  const auto size = checked_mul(count, element);
  return count == 0 || (size && file.at({rva}, *size));
}

}  // namespace

Result<Exports> File::exports() const {
  Exports exports;
  exports.file_ = this;
  const DirectoryRange range = directory(Directory::exports);
  if (!range.rva) return exports;
  const auto raw = read<ExportDirectory>(range.rva);
  if (!raw) return malformed(*this, range.rva, "the export directory leaves the image");
  if (!table_present(*this, raw->functions, raw->function_count, 4)) {
    return malformed(*this, range.rva,
                     fmt::format("the table of {} exported functions leaves the image",
                                 static_cast<std::uint32_t>(raw->function_count)));
  }
  if (!table_present(*this, raw->names, raw->name_count, 4) ||
      !table_present(*this, raw->name_ordinals, raw->name_count, 2)) {
    return malformed(*this, range.rva,
                     fmt::format("the tables of {} exported names leave the image",
                                 static_cast<std::uint32_t>(raw->name_count)));
  }
  if (!checked_add<std::uint32_t>(raw->ordinal_base, raw->function_count)) {
    return malformed(*this, range.rva,
                     "the ordinals of the exports (Base, NumberOfFunctions) do not fit 32 bits");
  }
  exports.dll_name_ = string_at({raw->dll_name}).value_or(std::string_view{});
  exports.directory_begin_ = range.rva.value;
  exports.directory_end_ = checked_add(range.rva.value, range.size).value_or(header_.image_size);
  exports.ordinal_base_ = raw->ordinal_base;
  exports.functions_ = raw->functions;
  exports.function_count_ = raw->function_count;
  exports.names_ = raw->names;
  exports.name_ordinals_ = raw->name_ordinals;
  exports.name_count_ = raw->name_count;
  return exports;
}

std::optional<std::string_view> Exports::name_at(std::uint32_t position) const {
  const auto rva = file_->read<U32>({names_ + position * 4});
  return rva ? file_->string_at({*rva}) : std::nullopt;
}

std::optional<std::uint32_t> Exports::index_at(std::uint32_t position) const {
  const auto index = file_->read<U16>({name_ordinals_ + position * 2});
  if (!index || *index >= function_count_) return std::nullopt;
  return *index;
}

std::optional<ExportTarget> Exports::target_at(std::uint32_t index) const {
  const auto rva = file_->read<U32>({functions_ + index * 4});
  if (!rva || *rva == 0 || *rva >= file_->header().image_size) return std::nullopt;
  if (*rva < directory_begin_ || *rva >= directory_end_) return ExportTarget{.rva = {*rva}, .forwarder = {}};
  const auto text = file_->string_at({*rva});
  if (!text || !text->contains('.')) return std::nullopt;
  return ExportTarget{.rva = {}, .forwarder = *text};
}

/// Windows takes the order for granted. A file whose names are out of order (made by hand, or by an old
/// Delphi) is served all the same, by looking at each; the order is only looked into once a name was not
/// found.
bool Exports::sorted() const {
  std::uint8_t known = order_.known.load(std::memory_order_relaxed);
  if (known == 0) {
    bool ascending = true;
    std::string_view last;
    for (std::uint32_t i = 0; ascending && i < name_count_; ++i) {
      const auto name = name_at(i);
      ascending = name && last <= *name;
      if (name) last = *name;
    }
    known = ascending ? 1 : 2;
    order_.known.store(known, std::memory_order_relaxed);
  }
  return known == 1;
}

std::optional<ExportTarget> Exports::find(std::string_view name) const {
  const auto found = [&](std::uint32_t position) -> std::optional<ExportTarget> {
    const auto index = index_at(position);
    return index ? target_at(*index) : std::nullopt;
  };
  std::uint32_t low = 0, high = name_count_;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const auto candidate = name_at(middle);
    if (!candidate) break;
    if (*candidate == name) return found(middle);
    (*candidate < name ? low : high) = *candidate < name ? middle + 1 : middle;
  }
  if (name_count_ == 0 || sorted()) return std::nullopt;
  for (std::uint32_t i = 0; i < name_count_; ++i) {
    if (name_at(i) == name) return found(i);
  }
  return std::nullopt;
}

std::optional<ExportTarget> Exports::find(std::uint32_t ordinal) const {
  if (ordinal < ordinal_base_ || ordinal - ordinal_base_ >= function_count_) return std::nullopt;
  return target_at(ordinal - ordinal_base_);
}

std::vector<Export> Exports::all() const {
  std::vector<Export> result;
  if (function_count_ == 0) return result;
  Budget budget(*file_);
  std::vector<bool> named(function_count_);
  for (std::uint32_t i = 0; i < name_count_; ++i) {
    const auto name = name_at(i);
    const auto index = index_at(i);
    const auto target = name && index ? target_at(*index) : std::nullopt;
    if (!target || !budget.spend(name->size() + target->forwarder.size())) continue;
    named[*index] = true;
    result.push_back({.name = *name, .ordinal = ordinal_base_ + *index, .target = *target});
  }
  for (std::uint32_t index = 0; index < function_count_; ++index) {
    if (named[index]) continue;
    const auto target = target_at(index);
    if (!target || !budget.spend(target->forwarder.size())) continue;
    result.push_back({.name = {}, .ordinal = ordinal_base_ + index, .target = *target});
  }
  std::ranges::sort(result, {}, [](const Export& e) { return std::tie(e.ordinal, e.name); });
  return result;
}

}  // namespace bobbin::pe
