// A PE32+ file, parsed: hostile bytes in, checked views out. No system call, no allocation that the file's
// size does not bound, no trust in any field.
//
// The same parser reads a file as it lies on disk and an image as it lies in memory; they differ only in how
// an RVA becomes a position in the bytes (Layout).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/error.hpp"

namespace bobbin::pe {

enum class Layout : std::uint8_t {
  file,    ///< bytes of the file: an RVA is translated through the section table
  mapped,  ///< an image in memory: an RVA is an offset; ImageBase says where it stands
};

/// One row of the section table, checked: raw data lies in the file, virtual range in SizeOfImage.
struct Section {
  std::string_view name = {};  ///< up to 8 bytes, or the long name from the COFF string table
  Rva rva = {};
  std::uint32_t virtual_size = 0;  ///< VirtualSize, or SizeOfRawData where that is 0
  FileOffset offset = {};
  std::uint32_t raw_size =
      0;  ///< bytes to take from the file; never more than virtual_size rounded to a page
  std::uint32_t characteristics = 0;

  [[nodiscard]] bool readable() const { return (characteristics & 0x40000000u) != 0; }
  [[nodiscard]] bool writable() const { return (characteristics & 0x80000000u) != 0; }
  [[nodiscard]] bool executable() const { return (characteristics & 0x20000000u) != 0; }
  /// Whether any flag opens its pages; what stands in a section without one, nobody can reach.
  [[nodiscard]] bool accessible() const { return readable() || writable() || executable(); }
};

/// One imported function and the slot of the import address table that it goes to.
struct ImportedSymbol {
  std::string_view name;      ///< empty when imported by ordinal
  std::uint16_t ordinal = 0;  ///< the ordinal, or the hint of a name
  Rva slot;                   ///< 8-byte cell to fill
  [[nodiscard]] bool by_ordinal() const { return name.empty(); }
};

/// All that a file imports from one DLL.
struct ImportedDll {
  std::string_view name;
  std::vector<ImportedSymbol> symbols;
  Rva descriptor;     ///< of the import or delay-import descriptor
  Rva module_handle;  ///< delay imports: where the loaded module's base is kept
};

/// Where an export leads: into this image, or on to another DLL.
struct ExportTarget {
  Rva rva;                     ///< valid when forwarder is empty
  std::string_view forwarder;  ///< "OTHERDLL.Function" or "OTHERDLL.#12"
};

struct Export {
  std::string_view name;  ///< empty for exports by ordinal only
  std::uint32_t ordinal = 0;
  ExportTarget target;
};

/// The export directory. Lookups are O(log n) by name and O(1) by ordinal, in place (nothing is copied).
class Exports {
 public:
  [[nodiscard]] std::string_view dll_name() const { return dll_name_; }
  [[nodiscard]] std::optional<ExportTarget> find(std::string_view name) const;
  [[nodiscard]] std::optional<ExportTarget> find(std::uint32_t ordinal) const;
  /// Everything, named ones with their names. For inspection; costs O(n).
  [[nodiscard]] std::vector<Export> all() const;

 private:
  friend class File;
  const class File* file_ = nullptr;
  std::string_view dll_name_;
  std::uint32_t directory_begin_ = 0, directory_end_ = 0;  ///< an RVA in here is a forwarder
  std::uint32_t ordinal_base_ = 0;
  std::uint32_t functions_ = 0, function_count_ = 0;
  std::uint32_t names_ = 0, name_ordinals_ = 0, name_count_ = 0;

  /// Whether the names are in ascending order, found out by the first search that needs to know.
  struct Order {
    mutable std::atomic<std::uint8_t> known{
        0};  ///< 0 not yet, 1 sorted, 2 unsorted; no lock: all writers agree
    Order() = default;
    Order(const Order& other) : known(other.known.load(std::memory_order_relaxed)) {}
    Order& operator=(const Order& other) {
      known.store(other.known.load(std::memory_order_relaxed), std::memory_order_relaxed);
      return *this;
    }
  } order_;

  [[nodiscard]] std::optional<std::string_view> name_at(std::uint32_t position) const;
  [[nodiscard]] std::optional<std::uint32_t> index_at(std::uint32_t position) const;
  [[nodiscard]] std::optional<ExportTarget> target_at(std::uint32_t index) const;
  [[nodiscard]] bool sorted() const;
};

/// The TLS directory (specification 3.1), its four addresses turned into RVAs and checked against the image.
struct TlsDirectory {
  Rva directory;                    ///< where the directory itself stands
  Rva template_begin;               ///< valid if template_size != 0
  std::uint32_t template_size = 0;  ///< End - Start; SizeOfZeroFill is not part of it
  std::uint32_t zero_fill = 0;      ///< as the file says; ignored by Windows
  Rva index;                        ///< the 32-bit word that the loader stores the index in
  bool index_read_only = false;     ///< in a section that the file says is not writable: nobody can load it
  Rva callbacks;                    ///< array of VAs ended by 0; 0 if there is none
  std::uint32_t alignment = 0;      ///< from Characteristics bits 20-23; 0 if they are 0
  std::uint32_t characteristics = 0;
};

/// The relocation types that PE32+ for x86-64 may hold, and how many bytes each patches.
enum RelocationType : std::uint8_t {
  kRelocateHigh = 1,     ///< 2 bytes: bits 16-31 of the delta are added
  kRelocateLow = 2,      ///< 2 bytes: bits 0-15 of the delta are added
  kRelocateHighLow = 3,  ///< 4 bytes: bits 0-31 of the delta are added
  kRelocateDir64 = 10,   ///< 8 bytes: the delta is added
};
[[nodiscard]] constexpr std::uint32_t relocation_width(std::uint8_t type) {
  return type == kRelocateDir64 ? 8 : type == kRelocateHighLow ? 4 : 2;
}

struct Relocation {
  Rva at;
  std::uint8_t type = 0;  ///< one of RelocationType
};

/// A row of the COFF symbol table, which mingw leaves in its images unless they are stripped.
struct Symbol {
  std::string_view name;
  Rva rva;
};

/// Well-known data directories.
enum class Directory : std::uint8_t {
  exports = 0,
  imports = 1,
  resources = 2,
  exceptions = 3,
  security = 4,
  relocations = 5,
  debug = 6,
  tls = 9,
  load_config = 10,
  bound_imports = 11,
  import_addresses = 12,
  delay_imports = 13,
};

struct DirectoryRange {
  Rva rva;
  std::uint32_t size = 0;
};

/// The header fields that a loader uses.
struct Header {
  std::uint16_t characteristics = 0;      ///< IMAGE_FILE_*
  std::uint16_t dll_characteristics = 0;  ///< IMAGE_DLLCHARACTERISTICS_*
  std::uint16_t subsystem = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t checksum = 0;
  Rva entry_point;
  std::uint64_t image_base = 0;
  std::uint32_t image_size = 0;
  std::uint32_t headers_size = 0;
  std::uint32_t section_alignment = 0;
  std::uint32_t file_alignment = 0;
  std::uint64_t stack_reserve = 0, stack_commit = 0;
  std::uint64_t heap_reserve = 0, heap_commit = 0;
  std::uint16_t major_subsystem_version = 0, minor_subsystem_version = 0;
  [[nodiscard]] bool is_dll() const { return (characteristics & 0x2000u) != 0; }
  [[nodiscard]] bool relocations_stripped() const { return (characteristics & 0x0001u) != 0; }
};

/// A section occupies whole pages in memory, whatever its VirtualSize.
inline constexpr std::uint32_t kPageSize = 4096;

/// A parsed file. Views point into the bytes given to parse(), which must outlive it. Immutable, thread-safe.
class File {
 public:
  /// Checks the headers and the section table; the directories are checked when asked for. `name` is what
  /// errors call the file. PE32 and other machines are refused by name (ErrorKind::wrong_machine).
  [[nodiscard]] static Result<File> parse(std::span<const std::byte> bytes, std::string name,
                                          Layout layout = Layout::file);

  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] std::span<const Section> sections() const { return sections_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] DirectoryRange directory(Directory which) const;

  [[nodiscard]] Result<std::vector<ImportedDll>> imports() const;
  [[nodiscard]] Result<std::vector<ImportedDll>> delay_imports() const;
  /// An empty table if the file exports nothing. It refers to this File, which must not move meanwhile.
  [[nodiscard]] Result<Exports> exports() const;
  [[nodiscard]] Result<std::optional<TlsDirectory>> tls() const;
  /// The callback array of `tls`, as RVAs, in order; an error if it leaves the image or does not end.
  [[nodiscard]] Result<std::vector<Rva>> tls_callbacks(const TlsDirectory& tls) const;
  /// All base relocations in file order. Types: ABSOLUTE are dropped, DIR64, HIGHLOW, HIGH and LOW are handed
  /// out, others are an error. Each target lies inside the image.
  [[nodiscard]] Result<std::vector<Relocation>> relocations() const;

  /// Where the function table for unwinding stands: whole entries of 12 bytes, inside the image; size 0 if
  /// none.
  [[nodiscard]] Result<DirectoryRange> exceptions() const;
  /// The COFF symbols that lie in a section. Symbols are for people only, so a broken table is an empty one.
  /// Layout::file only: symbols are not part of an image in memory.
  [[nodiscard]] std::vector<Symbol> symbols() const;

  /// Where in the headers ImageBase stands (8 bytes); a loader that moves an image writes the new base there.
  [[nodiscard]] Rva image_base_field() const { return image_base_field_; }

  /// The bytes at [rva, rva + size), if they have bytes (a section's zero-filled tail has none in a file).
  [[nodiscard]] std::optional<ByteView> at(Rva rva, std::uint32_t size) const;
  /// A T at rva as the program would see it: bytes that the file does not hold, but the image does, are zero.
  template <class T>
  [[nodiscard]] std::optional<T> read(Rva rva) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (!copy_to(rva, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
    return value;
  }
  /// Whether all of [rva, rva + size) will stand in memory where a program can reach it: in the headers or in
  /// accessible sections, with no gap.
  [[nodiscard]] bool covers(Rva rva, std::uint32_t size) const;
  /// A NUL-ended string at rva, of at most 4096 bytes.
  [[nodiscard]] std::optional<std::string_view> string_at(Rva rva) const;
  [[nodiscard]] std::optional<FileOffset> offset_of(Rva rva) const;
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  /// The RVA of an absolute address that the file holds, if that lies inside the image.
  [[nodiscard]] std::optional<Rva> rva_of(Va address) const;

 private:
  friend class HeaderParser;

  /// What stands at one RVA: `present` bytes from `offset` in bytes_, then zeros until `visible` bytes.
  struct Extent {
    std::uint64_t offset = 0;
    std::uint32_t present = 0;
    std::uint32_t visible = 0;
  };
  [[nodiscard]] std::optional<Extent> extent_at(Rva rva) const;
  [[nodiscard]] bool copy_to(Rva rva, std::span<std::byte> out) const;

  ByteView bytes_;
  std::string name_;
  Layout layout_ = Layout::file;
  Header header_;
  std::vector<Section> sections_;
  std::vector<DirectoryRange> directories_;
  Rva image_base_field_;
  std::uint32_t symbol_table_ = 0;  ///< file offset; not checked before symbols() is called
  std::uint32_t symbol_count_ = 0;
};

}  // namespace bobbin::pe
