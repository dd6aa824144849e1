#include <gtest/gtest.h>

#include "pe/builder.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

using test::Blob;
using test::Builder;
using test::poke;
using test::RelocationSpec;

/// Data at 0x1000, relocations at 0x2000 (file offset 0x400).
std::vector<std::byte> file_with_relocations(const std::vector<RelocationSpec>& entries) {
  Builder b;
  b.section(".data", test::kRead | test::kWrite, [](Blob& blob) { blob.zeros(64); });
  b.section(".reloc", test::kRead, [&](Blob& blob) { b.relocations(blob, entries); });
  return b.build();
}
constexpr std::size_t kBlock = 0x400;

Result<std::vector<Relocation>> relocations_of(const std::vector<std::byte>& bytes) {
  return File::parse(bytes, "test.dll").value().relocations();
}

TEST(Relocations, EveryTypeOfTheMachine) {
  const auto found = relocations_of(file_with_relocations({{0x1000, kRelocateDir64},
                                                           {0x1010, kRelocateHighLow},
                                                           {0x1020, kRelocateHigh},
                                                           {0x1022, kRelocateLow}}));
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_EQ(found->size(), 4u);  // the padding entries are dropped
  EXPECT_EQ((*found)[0].at, Rva{0x1000});
  EXPECT_EQ((*found)[0].type, kRelocateDir64);
  EXPECT_EQ((*found)[3].at, Rva{0x1022});
  EXPECT_EQ((*found)[3].type, kRelocateLow);
}

TEST(Relocations, UnknownTypesAreAnError) {
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{4, 5, 6, 7, 8, 9, 11, 12, 15}) {
    const auto found = relocations_of(file_with_relocations({{0x1000, type}}));
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().what.find("relocation type " + std::to_string(type)), std::string::npos);
    EXPECT_EQ(found.error().offset, kBlock + 8);
    EXPECT_EQ(found.error().rva, 0x2008u);
  }
}

TEST(Relocations, TargetsMustLieInTheImage) {
  EXPECT_TRUE(relocations_of(file_with_relocations({{0x1FF8}})));
  EXPECT_TRUE(relocations_of(file_with_relocations({{0x1FF9}})));   // across two sections that touch
  EXPECT_TRUE(relocations_of(file_with_relocations({{0x10}})));     // in the headers
  EXPECT_FALSE(relocations_of(file_with_relocations({{0x2FF9}})));  // across the end
  EXPECT_FALSE(relocations_of(file_with_relocations({{0x7FFFFFF0}})));
  EXPECT_FALSE(relocations_of(file_with_relocations({{0xFFFFFFFC}})));
}

TEST(Relocations, BlockSizesAreChecked) {
  auto bytes = file_with_relocations({{0x1000}, {0x1008}});
  poke(bytes, kBlock + 4, 4u);
  EXPECT_FALSE(relocations_of(bytes));
  poke(bytes, kBlock + 4, 26u);
  EXPECT_FALSE(relocations_of(bytes));
  poke(bytes, kBlock + 4, 0xFFFFFFFFu);
  EXPECT_FALSE(relocations_of(bytes));
  poke(bytes, kBlock + 4, 0u);  // the end, for those linkers that pad the directory
  EXPECT_TRUE(relocations_of(bytes)->empty());
}

TEST(Relocations, DirectoryMustLieInTheImage) {
  Builder b;
  b.section(".data", test::kRead, [](Blob& blob) { blob.zeros(64); });
  b.directory(Directory::relocations, 0x1FF0, 64);
  EXPECT_FALSE(relocations_of(b.build()));
}

}  // namespace
}  // namespace bobbin::pe
