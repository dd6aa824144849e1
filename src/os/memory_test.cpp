#include <gtest/gtest.h>

#include <array>

#include "os/os.hpp"

namespace bobbin::os {
namespace {

TEST(NeverWrittenTest, APrivateViewIsUntilItsFirstWrite) {
  auto file = MemoryFile::create("test");
  ASSERT_TRUE(file && file->resize(8 * kPageSize));
  auto view = map_private(file->fd(), 0, 8 * kPageSize, Protection::read_write);
  ASSERT_TRUE(view);
  if (!never_written(*view, 8 * kPageSize)) GTEST_SKIP() << "this host does not tell";
  for (std::size_t page = 0; page < 8; ++page)
    static_cast<void>(*const_cast<volatile std::byte*>(*view + page * kPageSize));
  EXPECT_TRUE(never_written(*view, 8 * kPageSize)) << "reading is not writing";
  (*view)[5 * kPageSize + 7] = std::byte{1};
  EXPECT_FALSE(never_written(*view, 8 * kPageSize));
  EXPECT_FALSE(never_written(*view + 5 * kPageSize + 9, 1)) << "the page counts";
  EXPECT_TRUE(never_written(*view, 5 * kPageSize));
  EXPECT_TRUE(never_written(*view + 6 * kPageSize, 2 * kPageSize));
  release(*view, 8 * kPageSize);
}

TEST(NeverWrittenTest, OrdinaryMemoryHasBeen) {
  std::array<char, 100> bytes{};
  bytes[1] = 1;
  EXPECT_FALSE(never_written(bytes.data(), bytes.size()));
}

}  // namespace
}  // namespace bobbin::os
