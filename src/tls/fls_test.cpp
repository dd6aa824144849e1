#include "tls/fls.hpp"

#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class FlsTest : public EngineFixture {
 protected:
  static void* get(const abi::TEB& teb, std::uint32_t index) {
    const auto place = fls_place(index);
    void** const chunk = static_cast<FlsBlock*>(teb.FlsData)->chunks[place.chunk];
    return chunk == nullptr ? nullptr : chunk[place.cell];
  }
};

TEST_F(FlsTest, PlacesFillEightChunks) {
  std::uint32_t index = 0;
  for (std::uint32_t chunk = 0; chunk < kFlsChunks; ++chunk) {
    for (std::uint32_t cell = 1; cell <= 16u << chunk; ++cell, ++index) {
      EXPECT_EQ(fls_place(index).chunk, chunk);
      EXPECT_EQ(fls_place(index).cell, cell);
    }
  }
  EXPECT_EQ(index, kFlsLimit);
}

TEST_F(FlsTest, LowestFreeNeverZero4079OfThem) {
  Fls& fls = engine_->fls();
  for (std::uint32_t expected = 1; expected < kFlsLimit; ++expected)
    EXPECT_EQ(fls.allocate(nullptr), expected);
  EXPECT_FALSE(fls.allocate(nullptr));
  EXPECT_TRUE(fls.free(500));
  EXPECT_FALSE(fls.free(500));
  EXPECT_TRUE(fls.free(20));
  EXPECT_EQ(fls.allocate(this), 20u);
  EXPECT_EQ(fls.allocate(nullptr), 500u);
  EXPECT_FALSE(fls.free(0));
  EXPECT_FALSE(fls.free(kFlsLimit));
}

TEST_F(FlsTest, ValuesAreEachThreadsOwnAndFreeingZeroesThemAll) {
  Fls& fls = engine_->fls();
  for (int i = 0; i < 3; ++i) start();
  const std::uint32_t index = *fls.allocate(nullptr);
  for (ThreadRecord* thread : threads_) {
    abi::TEB& teb = teb_of(*thread);
    EXPECT_EQ(teb.FlsData, nullptr) << "made when first needed";
    for (const std::uint32_t i : {index, 15u, 16u, 47u, 48u, kFlsLimit - 1})
      ASSERT_TRUE(fls.set(teb, i, &teb));
  }
  for (ThreadRecord* thread : threads_) EXPECT_EQ(get(teb_of(*thread), index), &teb_of(*thread));
  EXPECT_TRUE(fls.free(index));
  for (ThreadRecord* thread : threads_) {
    EXPECT_EQ(get(teb_of(*thread), index), nullptr);
    EXPECT_EQ(get(teb_of(*thread), 48), &teb_of(*thread));
  }
}

TEST_F(FlsTest, AThreadsBlockGoesWithIt) {
  Fls& fls = engine_->fls();
  ThreadRecord* const gone = start();
  ThreadRecord* const stays = start();
  const std::uint32_t index = *fls.allocate(nullptr);
  for (ThreadRecord* thread : threads_) ASSERT_TRUE(fls.set(teb_of(*thread), index, this));
  engine_->detach_thread(*gone);
  EXPECT_EQ(teb_of(*gone).FlsData, nullptr);
  EXPECT_TRUE(fls.free(index));
  EXPECT_EQ(get(teb_of(*stays), index), nullptr);
}

}  // namespace
}  // namespace bobbin::tls
