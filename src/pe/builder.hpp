// Tests only: makes small PE files, right ones by default, so that a test may then break one thing.
//
//   Builder b;
//   b.section(".idata", kRead | kWrite, [&](Blob& blob) { b.imports(blob, {{"KERNEL32.dll", {"Sleep"}}}); });
//   std::vector<std::byte> file = b.build();
//
// Layout: headers in the first page (PE header at 0x80), each section on the next page border of the image
// and the next multiple of 512 in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pe/file.hpp"
#include "pe/format.hpp"

namespace bobbin::pe::test {

inline constexpr std::uint32_t kRead = 0x40000000, kWrite = 0x80000000, kExecute = 0x20000000;
inline constexpr std::uint32_t kPeOffset = 0x80;
inline constexpr std::uint32_t kFileHeaderOffset = kPeOffset + 4;
inline constexpr std::uint32_t kOptionalOffset = kFileHeaderOffset + sizeof(FileHeader);
inline constexpr std::uint32_t kDirectoriesOffset = kOptionalOffset + sizeof(OptionalHeader);
inline constexpr std::uint32_t kSectionsOffset = kDirectoriesOffset + kMaxDirectories * sizeof(DataDirectory);

/// Overwrites a number in a file that was built.
template <class T>
void poke(std::vector<std::byte>& file, std::size_t offset, T value) {
  std::memcpy(&file.at(offset + sizeof value - 1) - (sizeof value - 1), &value, sizeof value);
}

/// The content of one section while it is written; knows its own RVA.
class Blob {
 public:
  explicit Blob(std::uint32_t rva) : start_(rva) {}
  [[nodiscard]] std::uint32_t rva() const { return start_ + static_cast<std::uint32_t>(bytes_.size()); }

  template <class T>
  std::uint32_t put(T value) {
    const std::uint32_t at = rva();
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), raw, raw + sizeof value);
    return at;
  }
  std::uint32_t text(std::string_view value) {
    const std::uint32_t at = rva();
    for (const char c : value) put(c);
    put('\0');
    return at;
  }
  void align(std::size_t to) {
    while (bytes_.size() % to != 0) put('\0');
  }
  std::uint32_t zeros(std::size_t count) {
    const std::uint32_t at = rva();
    bytes_.resize(bytes_.size() + count);
    return at;
  }
  template <class T>
  void patch(std::uint32_t at, T value) {
    poke(bytes_, at - start_, value);
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::uint32_t start_;
  std::vector<std::byte> bytes_;
};

struct DllSpec {
  std::string name;
  std::vector<std::string> symbols;  ///< "#12" imports by ordinal
};

struct ExportSpec {
  std::string name;  ///< empty: by ordinal only
  std::uint32_t rva = 0;
  std::string forwarder = {};
};

struct TlsSpec {
  std::string content;  ///< of the template
  std::uint32_t alignment_code = 0;
  std::vector<std::uint32_t> callbacks = {};
  std::uint32_t zero_fill = 0;
};

struct RelocationSpec {
  std::uint32_t rva;
  std::uint8_t type = kRelocateDir64;
};

class Builder {
 public:
  std::uint16_t machine = kMachineX64;
  std::uint16_t characteristics = 0x2022;  ///< executable, large addresses, DLL
  std::uint64_t image_base = 0x180000000;
  std::uint32_t entry_point = 0;
  std::uint32_t file_alignment = 512;
  std::uint32_t section_alignment = kPageSize;

  /// Appends a section; `write` fills it. VirtualSize is the content's size unless given.
  std::uint32_t section(std::string_view name, std::uint32_t flags, const std::function<void(Blob&)>& write,
                        std::uint32_t virtual_size = 0) {
    Blob blob(next_rva_);
    write(blob);
    const auto size = virtual_size != 0 ? virtual_size : static_cast<std::uint32_t>(blob.bytes().size());
    sections_.push_back({std::string(name), flags, next_rva_, size, blob.bytes()});
    const std::uint32_t rva = next_rva_;
    next_rva_ = align_up(next_rva_ + size, section_alignment);
    return rva;
  }
  void directory(Directory which, std::uint32_t rva, std::uint32_t size) {
    directories_[static_cast<std::size_t>(which)] = {rva, size};
  }

  /// Writes import tables; hands back the RVAs of the address tables, one per DLL.
  std::vector<std::uint32_t> imports(Blob& blob, const std::vector<DllSpec>& dlls) {
    const std::uint32_t table = blob.zeros((dlls.size() + 1) * 20);
    directory(Directory::imports, table, static_cast<std::uint32_t>((dlls.size() + 1) * 20));
    std::vector<std::uint32_t> slots;
    for (std::size_t i = 0; i < dlls.size(); ++i) {
      const std::uint32_t at = table + static_cast<std::uint32_t>(i * 20);
      const auto thunks = symbol_names(blob, dlls[i].symbols);
      blob.patch(at, thunk_table(blob, thunks));
      slots.push_back(thunk_table(blob, thunks));
      blob.patch(at + 16, slots.back());
      blob.patch(at + 12, blob.text(dlls[i].name));
    }
    return slots;
  }

  /// Writes delay-import tables, with RVAs or, as of old, with absolute addresses (image_base below 4 GiB).
  void delay_imports(Blob& blob, const std::vector<DllSpec>& dlls, bool absolute = false) {
    const std::uint32_t table = blob.zeros((dlls.size() + 1) * 32);
    directory(Directory::delay_imports, table, static_cast<std::uint32_t>((dlls.size() + 1) * 32));
    const auto base = absolute ? static_cast<std::uint32_t>(image_base) : 0;
    for (std::size_t i = 0; i < dlls.size(); ++i) {
      const std::uint32_t at = table + static_cast<std::uint32_t>(i * 32);
      const auto thunks = symbol_names(blob, dlls[i].symbols);
      blob.patch(at, std::uint32_t{absolute ? 0u : 1u});
      blob.patch(at + 4, base + blob.text(dlls[i].name));
      blob.align(8);
      blob.patch(at + 8, base + blob.put(std::uint64_t{0}));
      blob.patch(at + 12, base + thunk_table(blob, thunks));
      blob.patch(at + 16, base + thunk_table(blob, thunks));
    }
  }

  /// Writes an export directory. Names go out in the order given: the caller sorts them (or does not).
  void exports(Blob& blob, std::string_view dll, const std::vector<ExportSpec>& functions,
               std::uint32_t base = 1) {
    const std::uint32_t start = blob.zeros(40);
    const std::uint32_t table = blob.zeros(functions.size() * 4);
    std::vector<std::pair<std::uint32_t, std::uint16_t>> names;
    for (std::size_t i = 0; i < functions.size(); ++i) {
      const auto& f = functions[i];
      blob.patch(table + static_cast<std::uint32_t>(i * 4),
                 f.forwarder.empty() ? f.rva : blob.text(f.forwarder));
      if (!f.name.empty()) names.emplace_back(blob.text(f.name), static_cast<std::uint16_t>(i));
    }
    const std::uint32_t dll_name = blob.text(dll);
    blob.align(4);
    const std::uint32_t name_table = blob.rva();
    for (const auto& [rva, index] : names) blob.put(rva);
    const std::uint32_t ordinal_table = blob.rva();
    for (const auto& [rva, index] : names) blob.put(index);
    const auto count = static_cast<std::uint32_t>(functions.size());
    const auto name_count = static_cast<std::uint32_t>(names.size());
    const std::uint32_t fields[] = {dll_name, base, count, name_count, table, name_table, ordinal_table};
    for (std::size_t i = 0; i < std::size(fields); ++i)
      blob.patch(start + 12 + static_cast<std::uint32_t>(i * 4), fields[i]);
    directory(Directory::exports, start, blob.rva() - start);
  }

  /// Writes a TLS directory, its template, index word and callbacks; hands back the directory's RVA.
  std::uint32_t tls(Blob& blob, const TlsSpec& spec) {
    blob.align(16);
    const std::uint32_t begin = blob.rva();
    for (const char c : spec.content) blob.put(c);
    const std::uint32_t end = blob.rva();
    blob.align(8);
    const std::uint32_t callbacks = blob.rva();
    for (const std::uint32_t rva : spec.callbacks) blob.put(image_base + rva);
    if (!spec.callbacks.empty()) blob.put(std::uint64_t{0});
    const std::uint32_t index = blob.put(std::uint64_t{0});
    const std::uint32_t at = blob.put(image_base + begin);
    blob.put(image_base + end);
    blob.put(image_base + index);
    blob.put(spec.callbacks.empty() ? std::uint64_t{0} : image_base + callbacks);
    blob.put(spec.zero_fill);
    blob.put(std::uint32_t{spec.alignment_code << 20});
    directory(Directory::tls, at, 40);
    return at;
  }

  /// Writes one relocation block per entry (legal, if wasteful).
  void relocations(Blob& blob, const std::vector<RelocationSpec>& entries) {
    const std::uint32_t start = blob.rva();
    for (const auto& entry : entries) {
      blob.put(align_down(entry.rva, kPageSize));
      blob.put(std::uint32_t{12});
      blob.put(static_cast<std::uint16_t>(std::uint32_t{entry.type} << 12 | (entry.rva & 0xFFF)));
      blob.put(std::uint16_t{0});
    }
    directory(Directory::relocations, start, blob.rva() - start);
  }

  [[nodiscard]] std::vector<std::byte> build() const {
    std::vector<std::byte> file(align_up<std::uint32_t>(headers_end(), file_alignment));
    put_headers(file);
    std::size_t header = kSectionsOffset;
    for (const auto& s : sections_) {
      const std::size_t offset = file.size();
      SectionHeader raw{};
      std::memcpy(raw.name, s.name.data(), std::min(s.name.size(), sizeof raw.name));
      const auto raw_size = align_up(static_cast<std::uint32_t>(s.content.size()), file_alignment);
      file.resize(offset + raw_size);
      std::ranges::copy(s.content, file.begin() + static_cast<std::ptrdiff_t>(offset));
      std::memcpy(file.data() + header, &raw, sizeof raw);
      poke(file, header + offsetof(SectionHeader, virtual_size), s.virtual_size);
      poke(file, header + offsetof(SectionHeader, rva), s.rva);
      poke(file, header + offsetof(SectionHeader, raw_size), raw_size);
      poke(file, header + offsetof(SectionHeader, raw_offset),
           raw_size == 0 ? 0 : static_cast<std::uint32_t>(offset));
      poke(file, header + offsetof(SectionHeader, characteristics), s.flags);
      header += sizeof raw;
    }
    return file;
  }

  /// The same image as it would lie in memory at its preferred base.
  [[nodiscard]] std::vector<std::byte> build_mapped() const {
    const auto file = build();
    std::vector<std::byte> image(next_rva_);
    std::copy_n(file.begin(), headers_end(), image.begin());
    for (const auto& s : sections_) {
      std::copy_n(s.content.begin(), std::min<std::size_t>(s.content.size(), image.size() - s.rva),
                  image.begin() + s.rva);
    }
    return image;
  }

 private:
  struct SectionSpec {
    std::string name;
    std::uint32_t flags, rva, virtual_size;
    std::vector<std::byte> content;
  };

  static std::vector<std::uint64_t> symbol_names(Blob& blob, const std::vector<std::string>& symbols) {
    std::vector<std::uint64_t> thunks;
    for (const auto& symbol : symbols) {
      if (symbol.starts_with('#')) {
        thunks.push_back(std::uint64_t{1} << 63 | std::stoul(symbol.substr(1)));
      } else {
        thunks.push_back(blob.put(std::uint16_t{7}));  // the hint
        blob.text(symbol);
      }
    }
    blob.align(8);
    return thunks;
  }
  static std::uint32_t thunk_table(Blob& blob, const std::vector<std::uint64_t>& thunks) {
    const std::uint32_t at = blob.rva();
    for (const auto thunk : thunks) blob.put(thunk);
    blob.put(std::uint64_t{0});
    return at;
  }
  [[nodiscard]] std::uint32_t headers_end() const {
    return align_up(static_cast<std::uint32_t>(kSectionsOffset + sections_.size() * sizeof(SectionHeader)),
                    512u);
  }
  void put_headers(std::vector<std::byte>& file) const {
    poke(file, 0, kDosMagic);
    poke(file, offsetof(DosHeader, pe_offset), kPeOffset);
    poke(file, kPeOffset, kPeSignature);
    poke(file, kFileHeaderOffset, machine);
    poke(file, kFileHeaderOffset + offsetof(FileHeader, section_count),
         static_cast<std::uint16_t>(sections_.size()));
    poke(file, kFileHeaderOffset + offsetof(FileHeader, optional_header_size),
         static_cast<std::uint16_t>(kSectionsOffset - kOptionalOffset));
    poke(file, kFileHeaderOffset + offsetof(FileHeader, characteristics), characteristics);
    const auto optional = [&](std::size_t field, auto value) { poke(file, kOptionalOffset + field, value); };
    optional(offsetof(OptionalHeader, magic), kMagicPe32Plus);
    optional(offsetof(OptionalHeader, entry_point), entry_point);
    optional(offsetof(OptionalHeader, image_base), image_base);
    optional(offsetof(OptionalHeader, section_alignment), section_alignment);
    optional(offsetof(OptionalHeader, file_alignment), file_alignment);
    optional(offsetof(OptionalHeader, subsystem_major), std::uint16_t{6});
    optional(offsetof(OptionalHeader, image_size), next_rva_);
    optional(offsetof(OptionalHeader, headers_size), headers_end());
    optional(offsetof(OptionalHeader, subsystem), std::uint16_t{3});
    optional(offsetof(OptionalHeader, directory_count), kMaxDirectories);
    for (std::size_t i = 0; i < kMaxDirectories; ++i) {
      poke(file, kDirectoriesOffset + i * 8, directories_[i].first);
      poke(file, kDirectoriesOffset + i * 8 + 4, directories_[i].second);
    }
  }

  std::vector<SectionSpec> sections_;
  std::uint32_t next_rva_ = kPageSize;
  std::pair<std::uint32_t, std::uint32_t> directories_[kMaxDirectories] = {};
};

}  // namespace bobbin::pe::test
