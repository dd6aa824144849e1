// What a file wants of other DLLs.
//
//   descriptor[]   one per DLL, ended by an empty one
//     Name            -> "KERNEL32.dll"
//     OriginalFirstThunk -> name table   { RVA of hint+name | ordinal with bit 63 } ..., 0
//     FirstThunk         -> address table, the same shape on disk; the loader overwrites it with addresses
//
// A linker may leave the name table out; the names are then read from the address table. A *bound* file has
// addresses of some other machine's DLLs in its address table; they are of no use here, and the name table is
// read as if it were not bound. Delay imports have descriptors of another shape and the same tables.
#include <fmt/format.h>

#include "pe/format.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

struct ImportDescriptor {
  U32 names;  // OriginalFirstThunk
  U32 timestamp;
  U32 forwarder_chain;
  U32 dll_name;
  U32 addresses;  // FirstThunk
};
static_assert(sizeof(ImportDescriptor) == 20);

struct DelayDescriptor {
  U32 attributes;
  U32 dll_name;
  U32 module_handle;
  U32 addresses;
  U32 names;
  U32 bound_addresses;
  U32 unload_addresses;
  U32 timestamp;
};
static_assert(sizeof(DelayDescriptor) == 32);

constexpr std::uint64_t kByOrdinal = std::uint64_t{1} << 63;
constexpr std::uint32_t kSlotSize = 8;
constexpr const char* kTooMuch = "the import tables share their parts so often that they cannot be honest";

Result<ImportedSymbol> parse_symbol(const File& file, std::uint64_t thunk, Rva where, Rva slot,
                                    Budget& budget) {
  if ((thunk & kByOrdinal) != 0)
    return ImportedSymbol{.name = {}, .ordinal = static_cast<std::uint16_t>(thunk), .slot = slot};
  if (thunk >= file.header().image_size) {
    return malformed(file, where,
                     fmt::format("import {:#x} is neither an ordinal nor an RVA in the image", thunk));
  }
  const Rva entry{static_cast<std::uint32_t>(thunk)};
  const auto hint = file.read<U16>(entry);
  const auto name = file.string_at(entry + 2);
  if (!hint || !name || name->empty())
    return malformed(file, entry, "the name of an import leaves the image or is empty");
  if (!budget.spend(name->size())) return malformed(file, entry, kTooMuch);
  return ImportedSymbol{.name = *name, .ordinal = *hint, .slot = slot};
}

/// Walks the two parallel tables; `dll.symbols` is what comes out.
Result<void> parse_tables(const File& file, Rva names, Rva addresses, ImportedDll& dll, Budget& budget) {
  for (;; names = names + kSlotSize, addresses = addresses + kSlotSize) {
    const auto thunk = file.read<U64>(names);
    if (!thunk)
      return malformed(file, names, fmt::format("the imports from {} do not end inside the image", dll.name));
    if (*thunk == 0) return {};
    if (!file.covers(addresses, kSlotSize)) {
      return malformed(file, addresses, fmt::format("the address table for {} leaves the image", dll.name));
    }
    if (!budget.spend(kSlotSize)) return malformed(file, names, kTooMuch);
    auto symbol = parse_symbol(file, *thunk, names, addresses, budget);
    if (!symbol) return propagate(symbol);
    dll.symbols.push_back(*symbol);
  }
}

Result<ImportedDll> parse_dll(const File& file, Rva descriptor, Rva name, Budget& budget) {
  const auto text = file.string_at(name);
  if (!text || text->empty()) return malformed(file, descriptor, "an import descriptor names no DLL");
  if (!budget.spend(text->size())) return malformed(file, descriptor, kTooMuch);
  return ImportedDll{.name = *text, .symbols = {}, .descriptor = descriptor, .module_handle = {}};
}

/// Some old linkers leave rubbish where the name table should be named; Windows then takes the address table.
bool has_name_table(const File& file, const ImportDescriptor& descriptor) {
  return descriptor.names >= file.header().headers_size && descriptor.names < file.header().image_size;
}

/// A delay descriptor's addresses as RVAs. Bit 0 of its attributes says that they are; without it they are
/// absolute, as Visual C++ 6 wrote them.
class DelayAddress {
 public:
  DelayAddress(const File& file, std::uint32_t attributes) : file_(file), absolute_((attributes & 1) == 0) {}
  [[nodiscard]] std::optional<Rva> operator()(std::uint32_t field) const {
    return absolute_ ? file_.rva_of(Va{field}) : Rva{field};
  }

 private:
  const File& file_;
  bool absolute_;
};

Result<ImportedDll> parse_delayed(const File& file, Rva at, const DelayDescriptor& raw, Budget& budget) {
  const DelayAddress rva(file, raw.attributes);
  const auto name = rva(raw.dll_name), names = rva(raw.names), addresses = rva(raw.addresses);
  if (!name || !names || !addresses) {
    return malformed(file, at, "a delay-import descriptor holds an absolute address outside the image");
  }
  auto dll = parse_dll(file, at, *name, budget);
  if (!dll) return dll;
  if (raw.module_handle != 0) {
    const auto cell = rva(raw.module_handle);
    if (!cell || !file.covers(*cell, kSlotSize)) {
      return malformed(file, at,
                       fmt::format("the module handle of delay import {} lies outside the image", dll->name));
    }
    dll->module_handle = *cell;
  }
  if (auto ok = parse_tables(file, *names, *addresses, *dll, budget); !ok) return propagate(ok);
  return dll;
}

}  // namespace

Result<std::vector<ImportedDll>> File::imports() const {
  std::vector<ImportedDll> dlls;
  Budget budget(*this);
  Rva at = directory(Directory::imports).rva;
  if (!at) return dlls;
  for (;; at = at + sizeof(ImportDescriptor)) {
    const auto descriptor = read<ImportDescriptor>(at);
    if (!descriptor) return malformed(*this, at, "the import descriptors do not end inside the image");
    if (descriptor->dll_name == 0 || descriptor->addresses == 0) return dlls;
    if (!budget.spend(sizeof(ImportDescriptor))) return malformed(*this, at, kTooMuch);
    auto dll = parse_dll(*this, at, {descriptor->dll_name}, budget);
    if (!dll) return propagate(dll);
    const bool named = has_name_table(*this, *descriptor);
    if (!named && descriptor->timestamp != 0) {
      return malformed(*this, at,
                       fmt::format("the imports from {} are bound and their names are gone", dll->name));
    }
    const Rva names{named ? descriptor->names : descriptor->addresses};
    if (auto ok = parse_tables(*this, names, {descriptor->addresses}, *dll, budget); !ok)
      return propagate(ok);
    dlls.push_back(std::move(*dll));
  }
}

Result<std::vector<ImportedDll>> File::delay_imports() const {
  std::vector<ImportedDll> dlls;
  Budget budget(*this);
  Rva at = directory(Directory::delay_imports).rva;
  if (!at) return dlls;
  for (;; at = at + sizeof(DelayDescriptor)) {
    const auto descriptor = read<DelayDescriptor>(at);
    if (!descriptor) return malformed(*this, at, "the delay-import descriptors do not end inside the image");
    if (descriptor->dll_name == 0) return dlls;
    if (!budget.spend(sizeof(DelayDescriptor))) return malformed(*this, at, kTooMuch);
    auto dll = parse_delayed(*this, at, *descriptor, budget);
    if (!dll) return propagate(dll);
    dlls.push_back(std::move(*dll));
  }
}

}  // namespace bobbin::pe
