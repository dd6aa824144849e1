#include <gtest/gtest.h>

#include <fstream>

#include "pe/builder.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

using test::Blob;
using test::Builder;
using test::poke;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* raw = reinterpret_cast<const std::byte*>(text.data());
  return {raw, raw + text.size()};
}

Error error_of(const std::vector<std::byte>& bytes) {
  auto file = File::parse(bytes, "test.dll");
  EXPECT_FALSE(file.has_value());
  return file ? Error{} : file.error();
}

/// A file with one section of code and one that is mostly zeros.
Builder two_sections() {
  Builder b;
  b.section(".text", test::kRead | test::kExecute, [](Blob& blob) { blob.text("code"); });
  b.section(".bss", test::kRead | test::kWrite, [](Blob& blob) { blob.text("data"); }, 0x3000);
  return b;
}

template <class T>
Error error_with(std::size_t offset, T value) {
  auto bytes = two_sections().build();
  poke(bytes, offset, value);
  return error_of(bytes);
}

#define OPTIONAL(field) (test::kOptionalOffset + offsetof(OptionalHeader, field))
#define SECTION(index, field) \
  (test::kSectionsOffset + (index) * sizeof(SectionHeader) + offsetof(SectionHeader, field))

TEST(Headers, AreReadAsWritten) {
  Builder b = two_sections();
  b.entry_point = 0x1000;
  const auto bytes = b.build();
  const auto file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_TRUE(file->header().is_dll());
  EXPECT_FALSE(file->header().relocations_stripped());
  EXPECT_EQ(file->header().entry_point, Rva{0x1000});
  EXPECT_EQ(file->header().image_base, 0x180000000u);
  EXPECT_EQ(file->header().image_size, 0x5000u);
  ASSERT_EQ(file->sections().size(), 2u);
  EXPECT_EQ(file->sections()[0].name, ".text");
  EXPECT_TRUE(file->sections()[0].executable());
  EXPECT_FALSE(file->sections()[0].writable());
  EXPECT_EQ(file->sections()[1].rva, Rva{0x2000});
  EXPECT_EQ(file->sections()[1].virtual_size, 0x3000u);
  EXPECT_EQ(file->sections()[1].raw_size, 0x200u);
}

TEST(Headers, BytesBeyondRawDataAreZeroButNotInTheFile) {
  const auto bytes = two_sections().build();
  const auto file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->string_at({0x2000}), "data");
  EXPECT_EQ(file->read<U32>({0x4FFC}), 0u);  // last word of .bss
  EXPECT_FALSE(file->read<U32>({0x4FFD}));   // one byte too far
  EXPECT_FALSE(file->at({0x2200}, 1));       // no byte in the file
  EXPECT_TRUE(file->at({0x21FF}, 1));        // the last one
  EXPECT_FALSE(file->offset_of({0x2200}));
  EXPECT_TRUE(file->covers({0x1000}, 0x4000));
  EXPECT_FALSE(file->covers({0x1000}, 0x4001));
  EXPECT_TRUE(file->covers({0}, 0x5000));
  EXPECT_FALSE(file->covers({0xFFFFFFFF}, 0xFFFFFFFF));
}

TEST(Headers, MappedLayoutReadsByRva) {
  const auto image = two_sections().build_mapped();
  const auto file = File::parse(image, "test.dll", Layout::mapped);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->string_at({0x2000}), "data");
  EXPECT_TRUE(file->at({0x4FFF}, 1));
  EXPECT_FALSE(file->offset_of({0x2000}));
}

TEST(Headers, WhatNoFlagMakesAccessibleIsNotThere) {
  Builder b;
  b.section("closed", 0, [](Blob& blob) { blob.text("data"); });
  const auto bytes = b.build(), image = b.build_mapped();
  EXPECT_FALSE(File::parse(bytes, "test.dll")->string_at({0x1000}));
  EXPECT_FALSE(File::parse(bytes, "test.dll")->covers({0x1000}, 1));
  EXPECT_FALSE(File::parse(image, "test.dll", Layout::mapped)->string_at({0x1000}));
}

TEST(Headers, AnyTruncationIsAnErrorNotACrash) {
  const auto bytes = two_sections().build();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(File::parse(part, "cut.dll")) << size;
  }
}

TEST(Headers, OtherFilesAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty"},
      {std::string("\x7F") + "ELF....", "ELF"},
      {"#!/bin/sh\n", "script"},
      {"!<arch>\nxx", "import library"},
      {"PK\x03\x04", "ZIP"},
      {"hello", "does not start with \"MZ\""},
      {"MZ", "DOS program"},
      {"MZ" + std::string(58, '\0') + std::string("\x40\0\0\0", 4) + "NE", "(NE)"},
      {"MZ" + std::string(58, '\0') + std::string("\0\0\0\x7F", 4), "cut short"},
  };
  for (const auto& [content, expected] : cases) {
    const Error error = error_of(bytes_of(content));
    EXPECT_EQ(error.kind, ErrorKind::not_pe);
    EXPECT_NE(error.message().find(expected), std::string::npos) << error.message();
    EXPECT_FALSE(error.advice.empty());
  }
}

TEST(Headers, OtherMachinesAreNamed) {
  Builder arm = two_sections();
  arm.machine = 0xAA64;
  EXPECT_EQ(error_of(arm.build()).kind, ErrorKind::wrong_machine);
  EXPECT_EQ(error_of(arm.build()).what, "is a PE32+ file for 64-bit ARM (ARM64)");

  Builder x86 = two_sections();
  x86.machine = 0x014C;
  auto bytes = x86.build();
  poke(bytes, OPTIONAL(magic), kMagicPe32);
  EXPECT_EQ(error_of(bytes).kind, ErrorKind::wrong_machine);
  EXPECT_EQ(error_of(bytes).what, "is a 32-bit x86 PE32 file");

  Builder strange = two_sections();
  strange.machine = 0x1234;
  EXPECT_EQ(error_of(strange.build()).what, "is a PE32+ file for unknown (0x1234)");
}

TEST(Headers, Arm64EcIsSeenThroughItsLoadConfiguration) {
  Builder b;
  b.section(".rdata", test::kRead, [&](Blob& blob) {
    b.directory(Directory::load_config, blob.rva(), 0x140);
    const auto start = blob.zeros(0x140);
    blob.patch(start, std::uint32_t{0x140});
    blob.patch(start + 0xC8, std::uint64_t{0x180002000});
  });
  EXPECT_EQ(error_of(b.build()).what, "is an ARM64EC file (ARM64 code under an x86-64 header)");
}

TEST(Headers, EachBadFieldIsNamedWithItsOffset) {
  struct Case {
    Error error;
    const char* field;
    std::size_t offset;
  };
  const Case cases[] = {
      {error_with(OPTIONAL(magic), std::uint16_t{0x107}), "magic", OPTIONAL(magic)},
      {error_with(OPTIONAL(section_alignment), 0u), "SectionAlignment", OPTIONAL(section_alignment)},
      {error_with(OPTIONAL(section_alignment), 0x1800u), "SectionAlignment", OPTIONAL(section_alignment)},
      {error_with(OPTIONAL(file_alignment), 100u), "FileAlignment", OPTIONAL(file_alignment)},
      {error_with(OPTIONAL(file_alignment), 0x2000u), "FileAlignment", OPTIONAL(file_alignment)},
      {error_with(OPTIONAL(image_base), std::uint64_t{0x180001000}), "ImageBase", OPTIONAL(image_base)},
      {error_with(OPTIONAL(image_size), 0u), "SizeOfImage", OPTIONAL(image_size)},
      {error_with(OPTIONAL(image_size), 0xFFFFFFFFu), "SizeOfImage", OPTIONAL(image_size)},
      {error_with(OPTIONAL(image_size), 0x4000u), ".bss ends beyond SizeOfImage", SECTION(1, name)},
      {error_with(OPTIONAL(headers_size), 0u), "SizeOfHeaders", OPTIONAL(headers_size)},
      {error_with(OPTIONAL(headers_size), 0x4000u), "SizeOfHeaders", OPTIONAL(headers_size)},
      {error_with(OPTIONAL(headers_size), 0x100u), "beyond SizeOfHeaders", test::kSectionsOffset},
      {error_with(OPTIONAL(entry_point), 0x5000u), "AddressOfEntryPoint", OPTIONAL(entry_point)},
      {error_with(SECTION(1, rva), 0x2010u), "VirtualAddress of section .bss", SECTION(1, rva)},
      {error_with(SECTION(1, rva), 0x1000u), "overlaps", SECTION(1, name)},
      {error_with(SECTION(0, rva), 0u), "overlaps", SECTION(0, name)},
      {error_with(SECTION(1, virtual_size), 0xFFFFFFFFu), "larger than an image", SECTION(1, name)},
      {error_with(SECTION(1, raw_offset), 0xFFFFFE00u), "beyond the file", SECTION(1, raw_offset)},
      {error_with(SECTION(1, raw_size), 0x100000u), "beyond the file", SECTION(1, raw_offset)},
  };
  for (const auto& [error, field, offset] : cases) {
    EXPECT_NE(error.what.find(field), std::string::npos) << error.message() << " should name " << field;
    EXPECT_EQ(error.offset, offset) << error.message();
    EXPECT_EQ(error.kind, ErrorKind::malformed);
    EXPECT_EQ(error.file, "test.dll");
  }
}

TEST(Headers, FileHeaderFieldsAreChecked) {
  const auto size = test::kFileHeaderOffset + offsetof(FileHeader, optional_header_size);
  EXPECT_NE(error_with(size, std::uint16_t{100}).what.find("SizeOfOptionalHeader"), std::string::npos);
  EXPECT_NE(error_with(size, std::uint16_t{112}).what.find("NumberOfRvaAndSizes"), std::string::npos);
  const auto count = test::kFileHeaderOffset + offsetof(FileHeader, section_count);
  EXPECT_NE(error_with(count, std::uint16_t{0xFFFF}).what.find("section table"), std::string::npos);
  EXPECT_NE(error_with(offsetof(DosHeader, pe_offset), 0xFFFFFFFFu).what.find("e_lfanew"), std::string::npos);
}

TEST(Headers, SectionsBelowThePageSizeAreUnsupported) {
  auto bytes = two_sections().build();
  poke(bytes, OPTIONAL(section_alignment), 0x200u);
  EXPECT_EQ(error_of(bytes).kind, ErrorKind::unsupported);
}

TEST(Headers, RawDataIsRoundedDownToASectorAndCutToThePages) {
  auto bytes = two_sections().build();
  poke(bytes, SECTION(0, raw_offset), 0x2F0u);  // Windows takes 0x200
  const auto file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->sections()[0].offset, FileOffset{0x200});

  auto large = two_sections().build();
  large.resize(0x10000);
  poke(large, SECTION(0, raw_size), 0x8000u);
  const auto cut = File::parse(large, "test.dll");
  ASSERT_TRUE(cut) << cut.error().message();
  EXPECT_EQ(cut->sections()[0].raw_size, 0x1000u);
}

TEST(Headers, VirtualSizeZeroMeansRawSizeAndEmptySectionsAreAllowed) {
  auto bytes = two_sections().build();
  poke(bytes, SECTION(0, virtual_size), 0u);
  auto file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->sections()[0].virtual_size, 0x200u);
  poke(bytes, SECTION(0, raw_size), 0u);
  file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->sections()[0].virtual_size, 0u);
  EXPECT_FALSE(file->read<U32>({0x1000}));  // nothing stands there
}

TEST(Headers, LongSectionNamesComeFromTheStringTable) {
  auto bytes = two_sections().build();
  const auto strings = static_cast<std::uint32_t>(bytes.size());
  for (const char c : std::string_view("\x20\0\0\0.debug_information\0", 24))
    bytes.push_back(static_cast<std::byte>(c));
  poke(bytes, test::kFileHeaderOffset + offsetof(FileHeader, symbol_table), strings);
  poke(bytes, SECTION(1, name), std::uint64_t{0x342F});  // "/4"
  const auto file = File::parse(bytes, "test.dll");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->sections()[1].name, ".debug_information");
  poke(bytes, SECTION(1, name), std::uint64_t{0x393939392F});  // "/9999": outside, so the field itself
  EXPECT_EQ(File::parse(bytes, "test.dll")->sections()[1].name, "/9999");
}

TEST(Headers, MoreThanSixteenDirectoriesCountAsSixteen) {
  auto bytes = two_sections().build();
  poke(bytes, OPTIONAL(directory_count), 0xFFFFFFFFu);
  EXPECT_TRUE(File::parse(bytes, "test.dll"));
  poke(bytes, OPTIONAL(directory_count), 0u);
  const auto none = File::parse(bytes, "test.dll");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->directory(Directory::delay_imports).rva);
}

TEST(Headers, ExceptionDirectoryMustLieInTheImage) {
  Builder b = two_sections();
  b.directory(Directory::exceptions, 0x1000, 25);
  auto bytes = b.build();
  EXPECT_EQ(File::parse(bytes, "test.dll")->exceptions()->size, 24u);
  b.directory(Directory::exceptions, 0x4FF0, 24);
  bytes = b.build();
  EXPECT_FALSE(File::parse(bytes, "test.dll")->exceptions());
}

}  // namespace
}  // namespace bobbin::pe
