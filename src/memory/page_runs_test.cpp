#include "memory/page_runs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace bobbin::memory {
namespace {

TEST(PageRuns, OneStateIsOneRun) {
  const PageRuns runs(std::size_t{1} << 40, 7);
  const PageRun run = runs.at(123456);
  EXPECT_EQ(run.start, 0u);
  EXPECT_EQ(run.end, std::size_t{1} << 40);
  EXPECT_EQ(run.value, 7u);
}

// Against the plain array that it stands for, with random changes.
TEST(PageRuns, AgreesWithAnArray) {
  constexpr std::size_t kSize = 64;
  std::mt19937 random(1);
  PageRuns runs(kSize, 0);
  std::vector<std::uint32_t> plain(kSize, 0);
  for (int change = 0; change < 5000; ++change) {
    const std::size_t start = random() % kSize;
    const std::size_t end = start + 1 + random() % (kSize - start);
    const auto value = static_cast<std::uint32_t>(random() % 3);
    runs.prepare();
    runs.set(start, end, value);
    std::fill(plain.begin() + static_cast<long>(start), plain.begin() + static_cast<long>(end), value);
    for (std::size_t i = 0; i < kSize; ++i) {
      const PageRun run = runs.at(i);
      ASSERT_EQ(run.value, plain[i]);
      ASSERT_LE(run.start, i);
      ASSERT_GT(run.end, i);
      // As long as it can be: the pages around it differ.
      ASSERT_TRUE(run.start == 0 || plain[run.start - 1] != run.value);
      ASSERT_TRUE(run.end == kSize || plain[run.end] != run.value);
    }
    ASSERT_TRUE(runs.all(start, end, value));
    ASSERT_EQ(runs.any(0, kSize, 2), std::count(plain.begin(), plain.end(), 2u) != 0);
    ASSERT_EQ(runs.within(start, end).size(), 1u);
  }
}

TEST(PageRuns, WithinCutsAtTheEdges) {
  PageRuns runs(10, 0);
  runs.prepare();
  runs.set(4, 6, 1);
  const auto parts = runs.within(2, 5);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].start, 2u);
  EXPECT_EQ(parts[0].end, 4u);
  EXPECT_EQ(parts[1].end, 5u);
  EXPECT_EQ(parts[1].value, 1u);
}

}  // namespace
}  // namespace bobbin::memory
