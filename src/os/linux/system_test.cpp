#include "os/system.hpp"

#include <gtest/gtest.h>

#include <bit>

namespace bobbin::os {
namespace {

TEST(System, CoresCoverTheProcessorsOnce) {
  std::uint64_t seen = 0;
  for (const std::uint64_t mask : cores()) {
    EXPECT_NE(mask, 0u);
    EXPECT_EQ(seen & mask, 0u);
    seen |= mask;
  }
  EXPECT_EQ(static_cast<unsigned>(std::popcount(seen)), std::min(processor_count(), 64u));
}

TEST(System, MemoryAddsUp) {
  const MemoryStatus memory = memory_status();
  EXPECT_GT(memory.physical, 0u);
  EXPECT_LE(memory.physical_free, memory.physical);
  EXPECT_LE(memory.swap_free, memory.swap);
  EXPECT_GT(memory.address_space_used, 0u);
}

TEST(System, HasAName) {
  EXPECT_FALSE(host_name().empty());
  EXPECT_EQ(host_name().find('.'), std::string::npos);
}

}  // namespace
}  // namespace bobbin::os
