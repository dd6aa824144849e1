// The headers and the section table: what File::parse() checks before anybody gets a File.
//
// The rule for each field is what Windows demands of it (it refuses such a file with ERROR_BAD_EXE_FORMAT),
// plus what the rest of Bobbin relies on: sections ascend, do not overlap, stand on page borders, and end
// inside SizeOfImage; their raw data lies in the file.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "pe/format.hpp"
#include "pe/identify.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

constexpr std::uint32_t kMaxImageSize = 0x80000000;  // code reaches data by 32-bit signed displacements
constexpr std::uint32_t kSectorSize = 512;           // Windows rounds PointerToRawData down to this
constexpr std::uint32_t kImageBaseGranularity = 0x10000;

/// The text of a fixed-size field that is padded with NULs.
std::string_view padded_text(const std::byte* at, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(at), size);
  return text.substr(0, text.find('\0'));
}

}  // namespace

/// Fills a File step by step; each step relies on those before it.
class HeaderParser {
 public:
  HeaderParser(File& file, Layout layout) : file_(file), bytes_(file.bytes_), layout_(layout) {}

  Result<void> run() {
    if (auto ok = find_headers(); !ok) return ok;
    if (auto ok = check_machine(); !ok) return ok;
    if (auto ok = check_sizes(); !ok) return ok;
    fill_header();
    if (auto ok = read_directories(); !ok) return ok;
    if (auto ok = read_sections(); !ok) return ok;
    return check_hybrid();
  }

 private:
  std::unexpected<Error> bad(std::uint64_t offset, std::string what) const {
    return malformed_at(file_.name_, offset, std::move(what));
  }
  std::unexpected<Error> wrong_machine(std::string what) const {
    return fail({.kind = ErrorKind::wrong_machine,
                 .status = abi::STATUS_INVALID_IMAGE_FORMAT,
                 .what = std::move(what),
                 .file = file_.name_,
                 .advice = "bobbin runs x86-64 (PE32+) programs; get that build of it"});
  }
  [[nodiscard]] std::uint64_t optional_at(std::size_t field) const { return optional_offset_ + field; }

  /// DOS header -> PE signature -> file header -> the start of the optional header.
  Result<void> find_headers() {
    const auto dos = bytes_.read<DosHeader>(0);
    const auto signature = dos ? bytes_.read<U32>(dos->pe_offset) : std::nullopt;
    if (!dos || dos->magic != kDosMagic || !signature || *signature != kPeSignature) {
      Identity identity = identify(bytes_);
      return fail({.kind = ErrorKind::not_pe,
                   .status = abi::STATUS_INVALID_IMAGE_FORMAT,
                   .what = std::move(identity.what),
                   .file = file_.name_,
                   .offset = dos && dos->magic == kDosMagic ? offsetof(DosHeader, pe_offset) : 0,
                   .advice = std::move(identity.advice)});
    }
    pe_offset_ = dos->pe_offset;
    if (pe_offset_ % 4 != 0) return bad(offsetof(DosHeader, pe_offset), "e_lfanew is not a multiple of 4");
    const auto header = bytes_.read<FileHeader>(pe_offset_ + 4);
    if (!header) return bad(pe_offset_ + 4, "the file header is cut short");
    file_header_ = *header;
    optional_offset_ = pe_offset_ + 4 + sizeof(FileHeader);
    return {};
  }

  Result<void> check_machine() {
    const auto magic = bytes_.read<U16>(optional_offset_);
    if (!magic) return bad(optional_offset_, "the optional header is cut short");
    const std::string machine = machine_name(file_header_.machine);
    if (*magic == kMagicPe32) return wrong_machine(fmt::format("is a {} PE32 file", machine));
    if (*magic != kMagicPe32Plus) {
      return bad(optional_offset_, fmt::format("optional header magic {:#x} is neither PE32 nor PE32+",
                                               static_cast<std::uint16_t>(*magic)));
    }
    if (file_header_.machine != kMachineX64)
      return wrong_machine(fmt::format("is a PE32+ file for {}", machine));
    return {};
  }

  Result<void> check_sizes() {
    if (file_header_.optional_header_size < sizeof(OptionalHeader)) {
      return bad(pe_offset_ + 4 + offsetof(FileHeader, optional_header_size),
                 "SizeOfOptionalHeader is too small");
    }
    const auto header = bytes_.read<OptionalHeader>(optional_offset_);
    if (!header) return bad(optional_offset_, "the optional header is cut short");
    const auto& h = optional_ = *header;
    const auto field = [&](std::size_t offset, std::string what) {
      return bad(optional_at(offset), std::move(what));
    };

    if (!std::has_single_bit<std::uint32_t>(h.section_alignment)) {
      return field(offsetof(OptionalHeader, section_alignment), "SectionAlignment is not a power of two");
    }
    if (h.section_alignment < kPageSize) {
      auto error =
          field(offsetof(OptionalHeader, section_alignment),
                "SectionAlignment is below the page size, as in drivers; such files are not supported");
      error.error().kind = ErrorKind::unsupported;
      error.error().advice = "link it with /ALIGN:4096";
      return error;
    }
    if (!std::has_single_bit<std::uint32_t>(h.file_alignment) || h.file_alignment < kSectorSize ||
        h.file_alignment > h.section_alignment) {
      return field(offsetof(OptionalHeader, file_alignment),
                   "FileAlignment is not a power of two between 512 and SectionAlignment");
    }
    if (h.image_base % kImageBaseGranularity != 0) {
      return field(offsetof(OptionalHeader, image_base), "ImageBase is not a multiple of 64 KiB");
    }
    if (h.image_size == 0 || h.image_size > kMaxImageSize) {
      return field(offsetof(OptionalHeader, image_size), "SizeOfImage is 0 or above 2 GiB");
    }
    if (h.headers_size == 0 || h.headers_size > h.image_size || h.headers_size > bytes_.size()) {
      return field(offsetof(OptionalHeader, headers_size),
                   "SizeOfHeaders is 0, or above SizeOfImage or the file's size");
    }
    if (h.entry_point >= h.image_size) {
      return field(offsetof(OptionalHeader, entry_point), "AddressOfEntryPoint lies outside the image");
    }
    return {};
  }

  void fill_header() {
    const auto& h = optional_;
    file_.header_ = Header{.characteristics = file_header_.characteristics,
                           .dll_characteristics = h.dll_characteristics,
                           .subsystem = h.subsystem,
                           .timestamp = file_header_.timestamp,
                           .checksum = h.checksum,
                           .entry_point = {h.entry_point},
                           .image_base = h.image_base,
                           .image_size = align_up<std::uint32_t>(h.image_size, kPageSize),
                           .headers_size = h.headers_size,
                           .section_alignment = h.section_alignment,
                           .file_alignment = h.file_alignment,
                           .stack_reserve = h.stack_reserve,
                           .stack_commit = h.stack_commit,
                           .heap_reserve = h.heap_reserve,
                           .heap_commit = h.heap_commit,
                           .major_subsystem_version = h.subsystem_major,
                           .minor_subsystem_version = h.subsystem_minor};
    file_.image_base_field_.value =
        static_cast<std::uint32_t>(optional_at(offsetof(OptionalHeader, image_base)));
    file_.symbol_table_ = file_header_.symbol_table;
    file_.symbol_count_ = file_header_.symbol_count;
  }

  /// Windows knows 16 directories, and takes a larger NumberOfRvaAndSizes for that.
  Result<void> read_directories() {
    const std::uint32_t count = std::min<std::uint32_t>(optional_.directory_count, kMaxDirectories);
    if (sizeof(OptionalHeader) + count * sizeof(DataDirectory) > file_header_.optional_header_size) {
      return bad(optional_at(offsetof(OptionalHeader, directory_count)),
                 "NumberOfRvaAndSizes does not fit SizeOfOptionalHeader");
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t offset = optional_at(sizeof(OptionalHeader) + i * sizeof(DataDirectory));
      const auto directory = bytes_.read<DataDirectory>(offset);
      if (!directory) return bad(offset, "the data directories are cut short");
      file_.directories_.push_back({.rva = {directory->rva}, .size = directory->size});
    }
    return {};
  }

  Result<void> read_sections() {
    const std::uint64_t table = optional_offset_ + file_header_.optional_header_size;
    const std::uint64_t table_size = std::uint64_t{file_header_.section_count} * sizeof(SectionHeader);
    if (!bytes_.slice(table, table_size)) return bad(table, "the section table is cut short");
    if (table + table_size > optional_.headers_size)
      return bad(table, "the section table lies beyond SizeOfHeaders");
    std::uint64_t end = align_up<std::uint64_t>(optional_.headers_size, kPageSize);
    for (std::uint64_t at = table; at < table + table_size; at += sizeof(SectionHeader)) {
      auto section = read_section(at);
      if (!section) return propagate(section);
      if (section->rva.value < end) {
        return bad(at, fmt::format("section {} overlaps what stands before it, or the sections do not ascend",
                                   section->name));
      }
      end = align_up<std::uint64_t>(std::uint64_t{section->rva.value} + section->virtual_size, kPageSize);
      if (end > file_.header_.image_size) {
        return bad(at, fmt::format("section {} ends beyond SizeOfImage", section->name));
      }
      file_.sections_.push_back(*section);
    }
    return {};
  }

  Result<Section> read_section(std::uint64_t at) {
    const auto raw = *bytes_.read<SectionHeader>(at);
    Section section{.name = section_name(at),
                    .rva = {raw.rva},
                    .virtual_size = raw.virtual_size != 0 ? raw.virtual_size : raw.raw_size,
                    .offset = {},
                    .raw_size = 0,
                    .characteristics = raw.characteristics};
    if (raw.rva % optional_.section_alignment != 0) {
      return bad(
          at + offsetof(SectionHeader, rva),
          fmt::format("VirtualAddress of section {} is not a multiple of SectionAlignment", section.name));
    }
    if (section.virtual_size > kMaxImageSize) {
      return bad(at, fmt::format("section {} is larger than an image may be", section.name));
    }
    if (raw.raw_offset == 0 || raw.raw_size == 0) return section;  // zero-filled
    section.offset.value = align_down<std::uint32_t>(raw.raw_offset, kSectorSize);
    section.raw_size =
        std::min<std::uint32_t>(raw.raw_size, align_up<std::uint32_t>(section.virtual_size, kPageSize));
    if (layout_ == Layout::file && !bytes_.slice(section.offset.value, section.raw_size)) {
      return bad(
          at + offsetof(SectionHeader, raw_offset),
          fmt::format("the raw data of section {} ([{:#x}, +{:#x})) lies beyond the file's {:#x} bytes",
                      section.name, section.offset.value, section.raw_size, bytes_.size()));
    }
    return section;
  }

  /// Names of more than 8 bytes stand in the COFF string table: "/123" is an offset in it.
  std::string_view section_name(std::uint64_t at) const {
    const auto* field = bytes_.bytes().data() + at;
    const std::string_view text = padded_text(field, sizeof(SectionHeader::name));
    if (text.size() < 2 || text[0] != '/' || layout_ != Layout::file || file_header_.symbol_table == 0)
      return text;
    std::uint32_t offset = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), offset);
    if (error != std::errc{} || end != text.data() + text.size()) return text;
    const std::uint64_t strings = file_header_.symbol_table + std::uint64_t{file_header_.symbol_count} * 18;
    return bytes_.c_string(strings + offset).value_or(text);
  }

  /// An ARM64EC image says x86-64 in its header; that its code is not, its load configuration tells
  /// (CHPEMetadataPointer, for "compiled hybrid PE").
  Result<void> check_hybrid() {
    constexpr std::uint32_t kHybridMetadata = 0xC8;
    const DirectoryRange config = file_.directory(Directory::load_config);
    if (!config.rva) return {};
    const auto size = file_.read<U32>(config.rva);
    if (!size || *size < kHybridMetadata + 8 || config.rva.value > kMaxImageSize) return {};
    const auto metadata = file_.read<U64>(config.rva + kHybridMetadata);
    if (metadata && *metadata != 0)
      return wrong_machine("is an ARM64EC file (ARM64 code under an x86-64 header)");
    return {};
  }

  File& file_;
  ByteView bytes_;
  Layout layout_;
  std::uint64_t pe_offset_ = 0;
  std::uint64_t optional_offset_ = 0;
  FileHeader file_header_{};
  OptionalHeader optional_{};
};

Result<File> File::parse(std::span<const std::byte> bytes, std::string name, Layout layout) {
  File file;
  file.bytes_ = ByteView(bytes);
  file.name_ = std::move(name);
  file.layout_ = layout;
  if (auto parsed = HeaderParser(file, layout).run(); !parsed) return propagate(parsed);
  return file;
}

}  // namespace bobbin::pe
