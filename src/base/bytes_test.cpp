#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/checked.hpp"
#include "base/error.hpp"

namespace bobbin {
namespace {

constexpr std::array<std::byte, 8> kBytes = {std::byte{1},   std::byte{2},   std::byte{3}, std::byte{4},
                                             std::byte{'a'}, std::byte{'b'}, std::byte{0}, std::byte{'c'}};
const ByteView kView{kBytes};

TEST(ByteView, ReadsLittleEndianAtAnyAddress) {
  EXPECT_EQ(kView.read<U32>(0).value(), 0x04030201u);
  EXPECT_EQ(kView.read<U16>(1).value(), 0x0302u);
}

TEST(ByteView, ReadsNothingPastTheEnd) {
  EXPECT_FALSE(kView.read<U32>(5));
  EXPECT_FALSE(kView.read<U64>(1));
  EXPECT_TRUE(kView.read<U64>(0));
  EXPECT_FALSE(kView.read<U16>(std::numeric_limits<std::uint64_t>::max()));
}

TEST(ByteView, SlicesWithinItself) {
  EXPECT_EQ(kView.slice(4, 4)->size(), 4u);
  EXPECT_EQ(kView.slice(8, 0)->size(), 0u);
  EXPECT_FALSE(kView.slice(4, 5));
  EXPECT_FALSE(kView.slice(9, 0));
  EXPECT_FALSE(kView.slice(1, std::numeric_limits<std::uint64_t>::max()));
}

TEST(ByteView, StringsNeedAnEnd) {
  EXPECT_EQ(kView.c_string(4).value(), "ab");
  EXPECT_FALSE(kView.c_string(7));
  EXPECT_FALSE(kView.c_string(4, 2));
  EXPECT_FALSE(kView.c_string(100));
}

TEST(Checked, NothingWraps) {
  EXPECT_EQ(checked_add<std::uint32_t>(1, 2), 3u);
  EXPECT_FALSE(checked_add<std::uint32_t>(0xFFFFFFFFu, 1));
  EXPECT_FALSE(checked_mul<std::uint32_t>(0x10000u, 0x10000u));
  EXPECT_TRUE(in_range<std::uint32_t>(4, 4, 8));
  EXPECT_FALSE(in_range<std::uint32_t>(0xFFFFFFFFu, 2, 8));
}

TEST(Checked, RoundsToPowersOfTwo) {
  EXPECT_EQ(align_up(5u, 4u), 8u);
  EXPECT_EQ(align_up(8u, 4u), 8u);
  EXPECT_EQ(align_down(7u, 4u), 4u);
}

TEST(Error, MessageNamesFileOffsetAndAdvice) {
  const Error error{
      .what = "field is 0", .file = "a.dll", .offset = 0x3C, .rva = 0x1000, .advice = "get another"};
  EXPECT_EQ(error.message(), "a.dll: field is 0 (file offset 0x3c, RVA 0x1000); get another");
  EXPECT_EQ(Error{.what = "no"}.message(), "no");
  EXPECT_EQ(Error{.what = "no"}.in("b.dll").message(), "b.dll: no");
}

}  // namespace
}  // namespace bobbin
