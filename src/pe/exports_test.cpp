#include <gtest/gtest.h>

#include <limits>

#include "pe/builder.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

using test::Blob;
using test::Builder;
using test::ExportSpec;
using test::poke;

std::vector<std::byte> file_with_exports(const std::vector<ExportSpec>& functions, std::uint32_t base = 1) {
  Builder b;
  b.section(".edata", test::kRead, [&](Blob& blob) { b.exports(blob, "test.dll", functions, base); });
  return b.build();
}

TEST(Exports, ByNameAndOrdinal) {
  const auto bytes =
      file_with_exports({{"alpha", 0x10}, {"beta", 0x20}, {"", 0x30}, {"gamma", 0x40}, {"zeta", 0}}, 5);
  const auto file = File::parse(bytes, "test.dll").value();
  const auto exports = file.exports().value();
  EXPECT_EQ(exports.dll_name(), "test.dll");
  EXPECT_EQ(exports.find("alpha")->rva, Rva{0x10});
  EXPECT_EQ(exports.find("beta")->rva, Rva{0x20});
  EXPECT_EQ(exports.find("gamma")->rva, Rva{0x40});
  EXPECT_FALSE(exports.find("zeta"));  // RVA 0 is a gap
  EXPECT_FALSE(exports.find("delta"));
  EXPECT_FALSE(exports.find("Alpha"));
  EXPECT_FALSE(exports.find(""));
  EXPECT_EQ(exports.find(7u)->rva, Rva{0x30});
  EXPECT_FALSE(exports.find(4u));
  EXPECT_FALSE(exports.find(10u));
  EXPECT_FALSE(exports.find(std::numeric_limits<std::uint32_t>::max()));
  EXPECT_FALSE(exports.find(0u));
}

TEST(Exports, Forwarders) {
  const auto bytes = file_with_exports(
      {{"heap", 0, "NTDLL.RtlAllocateHeap"}, {"ord", 0, "OTHER.#12"}, {"zero", 0, "nodot"}});
  const auto file = File::parse(bytes, "test.dll").value();
  const auto exports = file.exports().value();
  EXPECT_EQ(exports.find("heap")->forwarder, "NTDLL.RtlAllocateHeap");
  EXPECT_EQ(exports.find(2u)->forwarder, "OTHER.#12");
  EXPECT_FALSE(exports.find("zero"));  // a forwarder names a DLL and a function
}

TEST(Exports, UnsortedNamesAreFoundAllTheSame) {
  const auto bytes = file_with_exports({{"zeta", 0x10}, {"alpha", 0x20}, {"mid", 0x30}, {"beta", 0x40}});
  const auto file = File::parse(bytes, "test.dll").value();
  const auto exports = file.exports().value();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(exports.find("zeta")->rva, Rva{0x10});
    EXPECT_EQ(exports.find("alpha")->rva, Rva{0x20});
    EXPECT_EQ(exports.find("mid")->rva, Rva{0x30});
    EXPECT_EQ(exports.find("beta")->rva, Rva{0x40});
    EXPECT_FALSE(exports.find("none"));
  }
}

TEST(Exports, AllListsNamesAliasesAndOrdinals) {
  const auto bytes = file_with_exports({{"b", 0x20}, {"", 0x10}, {"a", 0x20}});
  const auto file = File::parse(bytes, "test.dll").value();
  const auto all = file.exports()->all();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "b");
  EXPECT_EQ(all[1].name, "");
  EXPECT_EQ(all[1].ordinal, 2u);
  EXPECT_EQ(all[2].ordinal, 3u);
}

TEST(Exports, NoneAtAll) {
  Builder b;
  const auto bytes = b.build();
  const auto file = File::parse(bytes, "test.dll").value();
  const auto exports = file.exports().value();
  EXPECT_FALSE(exports.find("a"));
  EXPECT_FALSE(exports.find(1u));
  EXPECT_TRUE(exports.all().empty());
}

TEST(Exports, CountsAndTablesAreChecked) {
  const auto good = file_with_exports({{"alpha", 0x10}});
  constexpr std::size_t kDirectory = 0x200;
  const auto refused = [&](std::size_t field, std::uint32_t value) {
    auto bytes = good;
    poke(bytes, kDirectory + field, value);
    const auto file = File::parse(bytes, "test.dll").value();
    return !file.exports().has_value();
  };
  EXPECT_TRUE(refused(16, 0xFFFFFFFF));  // Base: the only ordinal would wrap
  EXPECT_TRUE(refused(20, 0xFFFFFFFF));  // NumberOfFunctions
  EXPECT_TRUE(refused(20, 0x40000000));  // times 4 is 0
  EXPECT_TRUE(refused(24, 0x80000000));  // NumberOfNames
  EXPECT_TRUE(refused(28, 0x7FFFFFFF));  // AddressOfFunctions
  EXPECT_TRUE(refused(32, 0x11FE));      // AddressOfNames, across the end of the raw data
  EXPECT_TRUE(refused(36, 0x9000));      // AddressOfNameOrdinals
}

TEST(Exports, BadIndicesAndTargetsAreNotFound) {
  const auto bytes = file_with_exports({{"alpha", 0x7FFFFFFF}, {"beta", 0x20}});
  const auto file = File::parse(bytes, "test.dll").value();
  EXPECT_FALSE(file.exports()->find("alpha"));  // outside the image
  EXPECT_TRUE(file.exports()->find("beta"));
  EXPECT_EQ(file.exports()->all().size(), 1u);
}

}  // namespace
}  // namespace bobbin::pe
