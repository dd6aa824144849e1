#include "loader/native_modules.hpp"

#include <algorithm>
#include <cstring>

#include "base/checked.hpp"

namespace bobbin::loader {
namespace {

std::uint64_t first_eight(std::string_view name) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<unsigned char>(name[i]) : 0u);
  }
  return value;
}

// ---- writing a PE image ----------------------------------------------------------------------------------

constexpr std::uint32_t kHeaderSize = 0x400;
constexpr std::uint32_t kExports = os::kPageSize;  ///< where the first section begins: a page, as all do
constexpr std::uint32_t kNtHeaders = 0x80;
constexpr std::uint32_t kExportDirectorySize = 40;
constexpr std::uint32_t kJumpSize = 12;  ///< movabs rax, imm64; jmp rax

/// Positions of the parts of a synthetic image, as RVAs.
struct Layout {
  std::uint32_t directory, functions, names, ordinals, strings, code, size;
};

/// Where a function's code starts if it may start at `rva`: a fast path has cache lines of its own (that is
/// worth a third of its time), the others are packed.
std::uint32_t code_start(std::uint32_t rva, const SyntheticImage::Symbol& symbol) {
  return align_up(rva, symbol.fast != nullptr ? 64u : 4u);
}

/// What it takes: its fast path, and the jump.
std::uint32_t code_size(const SyntheticImage::Symbol& symbol) {
  return (symbol.fast != nullptr ? static_cast<std::uint32_t>(symbol.fast->size) : 0) + kJumpSize;
}

Layout lay_out(std::string_view name, std::span<const SyntheticImage::Symbol> symbols) {
  const auto count = static_cast<std::uint32_t>(symbols.size());
  std::size_t text = name.size() + 1;
  std::uint32_t code = 0;
  for (const auto& symbol : symbols) {
    text += symbol.name.size() + 1;
    code = code_start(code, symbol) + code_size(symbol);
  }
  Layout at{};
  at.directory = kExports;
  at.functions = at.directory + kExportDirectorySize;
  at.names = at.functions + 4 * count;
  at.ordinals = at.names + 4 * count;
  at.strings = at.ordinals + 2 * count;
  at.code = align_up(at.strings + static_cast<std::uint32_t>(text), std::uint32_t{os::kPageSize});
  at.size = align_up(at.code + code, std::uint32_t{os::kPageSize});
  return at;
}

class Writer {
 public:
  explicit Writer(std::byte* base) : base_(base) {}
  template <class T>
  void put(std::uint32_t rva, T value) {
    std::memcpy(base_ + rva, &value, sizeof value);
  }
  void bytes(std::uint32_t rva, std::span<const std::byte> value) {
    std::memcpy(base_ + rva, value.data(), value.size());
  }
  void text(std::uint32_t rva, std::string_view value) { bytes(rva, std::as_bytes(std::span(value))); }

 private:
  std::byte* base_;
};

void write_headers(Writer& out, const Layout& at, std::uint64_t base, bool dll, bool exports) {
  constexpr std::uint32_t kFile = kNtHeaders + 4, kOptional = kFile + 20, kSections = kOptional + 240;
  out.text(0, "MZ");
  out.put<std::uint32_t>(0x3C, kNtHeaders);
  out.text(kNtHeaders, std::string_view("PE\0\0", 4));
  out.put<std::uint16_t>(kFile, 0x8664);
  out.put<std::uint16_t>(kFile + 2, exports ? 2 : 1);  // sections
  out.put<std::uint16_t>(kFile + 16, 240);             // size of the optional header
  out.put<std::uint16_t>(kFile + 18, static_cast<std::uint16_t>(dll ? 0x2022 : 0x22));
  out.put<std::uint16_t>(kOptional, 0x20B);
  out.put<std::uint64_t>(kOptional + 24, base);
  out.put<std::uint32_t>(kOptional + 32, os::kPageSize);  // section alignment
  out.put<std::uint32_t>(kOptional + 36, 0x200);
  out.put<std::uint16_t>(kOptional + 40, 10);  // operating system version
  out.put<std::uint16_t>(kOptional + 48, 10);  // subsystem version
  out.put<std::uint32_t>(kOptional + 56, at.size);
  out.put<std::uint32_t>(kOptional + 60, kHeaderSize);
  out.put<std::uint16_t>(kOptional + 68, 3);  // console
  out.put<std::uint32_t>(kOptional + 108, 16);
  if (exports) {
    out.put<std::uint32_t>(kOptional + 112, at.directory);
    out.put<std::uint32_t>(kOptional + 116, at.code - at.directory);
  }
  const auto section = [&](std::uint32_t row, std::string_view name, std::uint32_t rva, std::uint32_t size,
                           std::uint32_t characteristics) {
    out.text(row, name);
    out.put<std::uint32_t>(row + 8, size);
    out.put<std::uint32_t>(row + 12, rva);
    out.put<std::uint32_t>(row + 36, characteristics);
  };
  section(kSections, ".edata", kExports, at.code - kExports, 0x40000040);
  if (exports) section(kSections + 40, ".text", at.code, at.size - at.code, 0x60000020);
}

void write_exports(Writer& out, const Layout& at, std::string_view name,
                   std::span<const SyntheticImage::Symbol> symbols) {
  const auto count = static_cast<std::uint32_t>(symbols.size());
  std::uint32_t text = at.strings;
  out.put(at.directory + 12, text);
  out.put<std::uint32_t>(at.directory + 16, 1);  // ordinal base
  out.put(at.directory + 20, count);
  out.put(at.directory + 24, count);
  out.put(at.directory + 28, at.functions);
  out.put(at.directory + 32, at.names);
  out.put(at.directory + 36, at.ordinals);
  out.text(text, name);
  text += static_cast<std::uint32_t>(name.size()) + 1;
  std::uint32_t code = at.code;
  for (std::uint32_t i = 0; i < count; ++i) {
    code = code_start(code, symbols[i]);
    out.put(at.functions + 4 * i, code);
    out.put(at.names + 4 * i, text);
    out.put(at.ordinals + 2 * i, static_cast<std::uint16_t>(i));
    out.text(text, symbols[i].name);
    text += static_cast<std::uint32_t>(symbols[i].name.size()) + 1;
    std::uint32_t jump = code;
    if (symbols[i].fast != nullptr) {
      out.bytes(jump, symbols[i].fast->code());
      jump += static_cast<std::uint32_t>(symbols[i].fast->size);
    }
    out.put<std::uint16_t>(jump, 0xB848);  // movabs rax, imm64
    out.put(jump + 2, reinterpret_cast<std::uint64_t>(symbols[i].address));
    out.put<std::uint16_t>(jump + 10, 0xE0FF);  // jmp rax
    code += code_size(symbols[i]);
  }
}

}  // namespace

bool NativeTable::before(const Row& row, const Row& other) {
  if (row.start != other.start) return row.start < other.start;
  return std::strcmp(row.native->name, other.native->name) < 0;
}

NativeTable::NativeTable(std::span<const std::span<const NativeExport>> tables) {
  std::size_t count = 0;
  for (const auto& table : tables) count += table.size();
  rows_.reserve(count);
  for (const auto& table : tables) {
    for (const NativeExport& native : table) rows_.push_back({first_eight(native.name), &native});
  }
  std::ranges::sort(rows_, before);
}

const NativeExport* NativeTable::find(std::string_view name, std::uint16_t dlls) const {
  const auto comes_before = [&, start = first_eight(name)](const Row& row) {
    return row.start != start ? row.start < start : row.native->name < name;
  };
  for (auto at = std::ranges::partition_point(rows_, comes_before);
       at != rows_.end() && at->native->name == name; ++at) {
    if ((at->native->dlls & dlls) != 0) return at->native;
  }
  return nullptr;
}

const NativeExport* NativeTable::find(std::uint32_t ordinal, std::uint16_t dlls) const {
  bool numbered = false;
  for (const Row& row : rows_) {
    if ((row.native->dlls & dlls) == 0 || row.native->ordinal == 0) continue;
    if (row.native->ordinal == ordinal) return row.native;
    numbered = true;
  }
  if (numbered) return nullptr;
  for (const Row& row : rows_) {
    if ((row.native->dlls & dlls) != 0 && --ordinal == 0) return row.native;
  }
  return nullptr;
}

std::vector<const NativeExport*> NativeTable::of(std::uint16_t dlls) const {
  std::vector<const NativeExport*> found;
  found.reserve(rows_.size());
  for (const Row& row : rows_) {
    if ((row.native->dlls & dlls) != 0) found.push_back(row.native);
  }
  return found;
}

Result<SyntheticImage> SyntheticImage::make(memory::AddressSpace& space, std::string_view name,
                                            std::span<const Symbol> symbols, bool dll) {
  const Layout at = lay_out(name, symbols);
  auto base = space.reserve(at.size, nullptr, memory::Type::image, memory::kExecuteWriteCopy);
  if (!base) return propagate(base);
  SyntheticImage image;  // gives the space back from here on
  image.space_ = &space;
  image.base_ = *base;
  image.size_ = at.size;
  if (auto done = space.commit(*base, at.size, memory::kReadWrite); !done) return propagate(done);
  Writer out(*base);
  write_headers(out, at, reinterpret_cast<std::uint64_t>(*base), dll, !symbols.empty());
  if (!symbols.empty()) write_exports(out, at, name, symbols);
  if (auto done = space.protect(*base, at.code, memory::kReadOnly); !done) return propagate(done);
  if (at.size != at.code) {
    auto done = space.protect(*base + at.code, at.size - at.code, memory::kExecuteRead);
    if (!done) return propagate(done);
  }
  return image;
}

std::byte* SyntheticImage::entry(std::size_t number) const {
  std::uint32_t rva = 0;
  std::memcpy(&rva, base_ + kExports + kExportDirectorySize + 4 * number, sizeof rva);
  return base_ + rva;
}

SyntheticImage::~SyntheticImage() {
  if (base_ != nullptr) (void)space_->release(base_);
}

}  // namespace bobbin::loader
