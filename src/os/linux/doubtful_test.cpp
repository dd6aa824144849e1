#include <gtest/gtest.h>

#include <cstring>

#include "os/os.hpp"

namespace bobbin::os {
namespace {

// Two good pages, then one that nobody can touch.
struct DoubtfulTest : testing::Test {
  std::byte* pages = reserve(3 * kPageSize).value();
  DoubtfulTest() { (void)commit(pages, 2 * kPageSize, Protection::read_write); }
  ~DoubtfulTest() override { release(pages, 3 * kPageSize); }
};

TEST_F(DoubtfulTest, CopiesUpToTheFirstBadPage) {
  std::memset(pages, 7, 2 * kPageSize);
  std::byte copy[200] = {};
  EXPECT_EQ(copy_from_doubtful(copy, pages + 2 * kPageSize - 100, 200), 100u);
  EXPECT_EQ(copy[99], std::byte{7});
  EXPECT_EQ(copy[100], std::byte{0});
  EXPECT_EQ(copy_from_doubtful(copy, nullptr, 1), 0u);
  EXPECT_EQ(copy_to_doubtful(pages + 2 * kPageSize - 50, copy + 100, 100), 50u);
  EXPECT_EQ(pages[2 * kPageSize - 1], std::byte{0});
}

TEST_F(DoubtfulTest, ReadOnlyPagesCannotBeWritten) {
  ASSERT_TRUE(protect(pages, kPageSize, Protection::read));
  std::byte byte{};
  EXPECT_EQ(copy_to_doubtful(pages, &byte, 1), 0u);
  EXPECT_EQ(copy_from_doubtful(&byte, pages, 1), 1u);
}

}  // namespace
}  // namespace bobbin::os
