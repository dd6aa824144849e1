#include <gtest/gtest.h>

#include "pe/builder.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

using test::Blob;
using test::Builder;
using test::poke;

constexpr std::uint32_t kFlags = test::kRead | test::kWrite;
/// Where RVA 0x1000, the start of the first section, lies in a file with few sections.
constexpr std::size_t kFirstRaw = 0x200;

std::vector<std::byte> file_with_imports(const std::vector<test::DllSpec>& dlls) {
  Builder b;
  b.section(".idata", kFlags, [&](Blob& blob) { b.imports(blob, dlls); });
  return b.build();
}

Result<std::vector<ImportedDll>> imports_of(const std::vector<std::byte>& bytes) {
  return File::parse(bytes, "test.dll").value().imports();
}

TEST(Imports, NamesAndOrdinals) {
  const auto bytes = file_with_imports({{"KERNEL32.dll", {"Sleep", "#17"}}, {"msvcrt.dll", {"printf"}}});
  const auto dlls = imports_of(bytes);
  ASSERT_TRUE(dlls) << dlls.error().message();
  ASSERT_EQ(dlls->size(), 2u);
  EXPECT_EQ((*dlls)[0].name, "KERNEL32.dll");
  EXPECT_EQ((*dlls)[0].descriptor, Rva{0x1000});
  ASSERT_EQ((*dlls)[0].symbols.size(), 2u);
  EXPECT_EQ((*dlls)[0].symbols[0].name, "Sleep");
  EXPECT_EQ((*dlls)[0].symbols[0].ordinal, 7);  // the hint
  EXPECT_TRUE((*dlls)[0].symbols[1].by_ordinal());
  EXPECT_EQ((*dlls)[0].symbols[1].ordinal, 17);
  EXPECT_EQ((*dlls)[0].symbols[1].slot - (*dlls)[0].symbols[0].slot, 8u);
  EXPECT_EQ((*dlls)[1].symbols[0].name, "printf");
}

TEST(Imports, NoDirectoryIsNoImports) {
  Builder b;
  const auto bytes = b.build();
  EXPECT_TRUE(imports_of(bytes)->empty());
  EXPECT_TRUE(File::parse(bytes, "test.dll")->delay_imports()->empty());
}

TEST(Imports, WithoutANameTableTheAddressTableHasTheNames) {
  auto bytes = file_with_imports({{"a.dll", {"f"}}});
  poke(bytes, kFirstRaw, 0u);
  EXPECT_EQ(imports_of(bytes)->at(0).symbols.at(0).name, "f");
  poke(bytes, kFirstRaw, 0x7FFFFFFFu);  // rubbish counts as none, as on Windows
  EXPECT_EQ(imports_of(bytes)->at(0).symbols.at(0).name, "f");
}

TEST(Imports, BoundImportsAreReadFromTheNameTable) {
  Builder b;
  std::uint32_t slots = 0;
  b.section(".idata", kFlags, [&](Blob& blob) {
    slots = b.imports(blob, {{"a.dll", {"f"}}})[0];
    blob.patch(slots, std::uint64_t{0x7FFE12345678});  // an address of another machine's a.dll
    blob.patch(0x1000 + 4, 0xFFFFFFFFu);
  });
  auto bytes = b.build();
  EXPECT_EQ(imports_of(bytes)->at(0).symbols.at(0).name, "f");
  EXPECT_EQ(imports_of(bytes)->at(0).symbols.at(0).slot, Rva{slots});
  poke(bytes, kFirstRaw, 0u);
  const auto lost = imports_of(bytes);
  ASSERT_FALSE(lost);
  EXPECT_NE(lost.error().what.find("bound"), std::string::npos);
}

TEST(Imports, EveryPointerIsChecked) {
  const auto good = file_with_imports({{"a.dll", {"f"}}});
  const auto error_with = [&](std::size_t offset, auto value) {
    auto bytes = good;
    poke(bytes, kFirstRaw + offset, value);
    auto result = imports_of(bytes);
    EXPECT_FALSE(result);
    return result ? std::string() : result.error().message();
  };
  EXPECT_NE(error_with(12, 0x7FFFFFFFu).find("names no DLL"), std::string::npos);
  EXPECT_NE(error_with(16, 0x7FFFFFFFu).find("address table"), std::string::npos);
  EXPECT_NE(error_with(16, 0x1FFCu).find("address table"), std::string::npos);  // across the end
  const std::size_t thunk = 48;  // two descriptors, then hint and "f", aligned
  EXPECT_NE(error_with(thunk, std::uint64_t{0x7FFFFFFF00}).find("neither an ordinal nor"), std::string::npos);
  EXPECT_NE(error_with(thunk, std::uint64_t{0x1FFF}).find("name of an import"), std::string::npos);
  EXPECT_NE(error_with(42, '\0').find("empty"), std::string::npos);
}

TEST(Imports, TablesThatDoNotEndAreAnError) {
  Builder b;
  b.section(".idata", kFlags, [&](Blob& blob) {
    b.directory(Directory::imports, blob.rva(), 20);
    while (blob.bytes().size() < kPageSize) blob.put(std::uint32_t{0x1000});
  });
  EXPECT_FALSE(imports_of(b.build()));
}

TEST(Imports, SharedTablesRunOutOfBudget) {
  // 200 descriptors share one table of 300 names of 100 bytes: harmless at this size, a day's work at 1 GiB.
  Builder b;
  b.section(".idata", kFlags, [&](Blob& blob) {
    const std::uint32_t table = blob.zeros(201 * 20);
    const std::uint32_t dll = blob.text("a.dll");
    blob.align(8);
    const std::uint32_t name = blob.put(std::uint16_t{0});
    blob.text(std::string(100, 'x'));
    blob.align(8);
    const std::uint32_t thunks = blob.rva();
    for (int i = 0; i < 300; ++i) blob.put(std::uint64_t{name});
    blob.put(std::uint64_t{0});
    for (std::uint32_t i = 0; i < 200; ++i) {
      blob.patch(table + i * 20, thunks);
      blob.patch(table + i * 20 + 12, dll);
      blob.patch(table + i * 20 + 16, thunks);
    }
    b.directory(Directory::imports, table, 201 * 20);
  });
  const auto bytes = b.build();
  const auto result = imports_of(bytes);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what.find("cannot be honest"), std::string::npos);
}

TEST(Imports, TerminatorMayStandInTheZeroFilledTail) {
  Builder b;
  b.file_alignment = 512;
  std::uint32_t table = 0;
  b.section(
      ".idata", kFlags,
      [&](Blob& blob) {
        const std::uint32_t dll = blob.text("a.dll");
        blob.align(8);
        const std::uint32_t name = blob.put(std::uint16_t{0});
        blob.text("f");
        blob.align(8);
        blob.zeros(512 - 8 - 20 - blob.bytes().size());
        const std::uint32_t thunk = blob.put(std::uint64_t{name});  // its 0 is the descriptor's first field
        table = blob.rva();
        blob.put(std::uint32_t{0});
        blob.put(std::uint32_t{0});
        blob.put(std::uint32_t{0});
        blob.put(dll);
        blob.put(thunk);
      },
      0x1000);
  b.directory(Directory::imports, table, 20);
  const auto bytes = b.build();
  ASSERT_EQ(bytes.size(), 0x400u);  // the raw data ends right after the only descriptor
  const auto dlls = imports_of(bytes);
  ASSERT_TRUE(dlls) << dlls.error().message();
  EXPECT_EQ(dlls->size(), 1u);
}

TEST(DelayImports, RelativeAndAbsolute) {
  for (const bool absolute : {false, true}) {
    Builder b;
    b.image_base = 0x10000000;
    b.section(".didat", kFlags,
              [&](Blob& blob) { b.delay_imports(blob, {{"late.dll", {"f", "#3"}}}, absolute); });
    const auto bytes = b.build();
    const auto dlls = File::parse(bytes, "test.dll")->delay_imports();
    ASSERT_TRUE(dlls) << dlls.error().message();
    ASSERT_EQ(dlls->size(), 1u);
    EXPECT_EQ((*dlls)[0].name, "late.dll");
    EXPECT_EQ((*dlls)[0].symbols.at(0).name, "f");
    EXPECT_EQ((*dlls)[0].symbols.at(1).ordinal, 3);
    EXPECT_TRUE((*dlls)[0].module_handle);
  }
}

TEST(DelayImports, AbsoluteAddressesBelowTheBaseAreAnError) {
  Builder b;
  b.image_base = 0x10000000;
  b.section(".didat", kFlags, [&](Blob& blob) { b.delay_imports(blob, {{"late.dll", {"f"}}}); });
  auto bytes = b.build();
  poke(bytes, kFirstRaw, 0u);  // attributes: RVAs now pass for addresses
  const auto dlls = File::parse(bytes, "test.dll")->delay_imports();
  ASSERT_FALSE(dlls);
  EXPECT_NE(dlls.error().what.find("absolute address"), std::string::npos);
}

}  // namespace
}  // namespace bobbin::pe
