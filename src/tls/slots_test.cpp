#include <set>

#include "tls/record.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

using SlotsTest = EngineFixture;

TEST_F(SlotsTest, LowestFreeNeverZeroAllOfThem) {
  abi::TEB& teb = teb_of(*start());
  for (std::uint32_t expected = 1; expected < 1088; ++expected) {
    auto index = engine_->allocate_slot(teb);
    ASSERT_TRUE(index);
    EXPECT_EQ(*index, expected);
  }
  auto none = engine_->allocate_slot(teb);
  ASSERT_FALSE(none);
  EXPECT_TRUE(engine_->free_slot(700));
  EXPECT_TRUE(engine_->free_slot(7));
  EXPECT_EQ(engine_->allocate_slot(teb), 7u);
  EXPECT_EQ(engine_->allocate_slot(teb), 700u);
}

TEST_F(SlotsTest, TheBitmapsAreThePebsOwn) {
  abi::TEB& teb = teb_of(*start());
  EXPECT_EQ(low_[0], 1u);
  EXPECT_EQ(engine_->allocate_slot(teb), 1u);
  EXPECT_EQ(low_[0], 3u);
  low_[0] = ~0u;  // a guest took them all, by hand
  low_[1] = ~0u;
  EXPECT_EQ(engine_->allocate_slot(teb), 64u);
  EXPECT_EQ(high_[0], 1u);
}

TEST_F(SlotsTest, FreeingWhatIsNotAllocatedIsRefused) {
  for (const std::uint32_t index : {0u, 5u, 64u, 1087u, 1088u, 4000u, 0xFFFFFFFFu}) {
    EXPECT_FALSE(engine_->free_slot(index)) << index;
  }
}

TEST_F(SlotsTest, FreeingZeroesTheCellInEveryThread) {
  for (int i = 0; i < 1000; ++i) start();
  auto unattached = engine_->create_thread();  // suspended: not attached, but its TEB can be written
  ASSERT_TRUE(unattached);
  threads_.push_back(*unattached);
  for (ThreadRecord* thread : threads_) {
    abi::TEB& teb = teb_of(*thread);
    ASSERT_TRUE(engine_->make_expansion_slots(teb));
    for (std::size_t i = 0; i < 64; ++i) teb.TlsSlots[i] = &teb;
    for (std::size_t i = 0; i < 1024; ++i) teb.TlsExpansionSlots[i] = &teb;
  }
  abi::TEB& caller = teb_of(*threads_[0]);
  low_ = {~0u, ~0u};
  high_.fill(~0u);
  for (const std::uint32_t index : {1u, 63u, 64u, 1087u}) {
    ASSERT_TRUE(engine_->free_slot(index));
    EXPECT_EQ(engine_->allocate_slot(caller), index);
    for (ThreadRecord* thread : threads_) {
      abi::TEB& teb = teb_of(*thread);
      EXPECT_EQ(index < 64 ? teb.TlsSlots[index] : teb.TlsExpansionSlots[index - 64], nullptr);
    }
  }
  EXPECT_EQ(caller.TlsSlots[2], &caller) << "others are left alone";
  EXPECT_EQ(caller.TlsExpansionSlots[5], &caller);
}

TEST_F(SlotsTest, AllocatingClearsTheCallersCell) {
  abi::TEB& teb = teb_of(*start());
  teb.TlsSlots[1] = &teb;  // a store to an index that nobody owns is allowed
  EXPECT_EQ(engine_->allocate_slot(teb), 1u);
  EXPECT_EQ(teb.TlsSlots[1], nullptr);
}

TEST_F(SlotsTest, ExpansionCellsComeOnFirstUseAndGoWithTheThread) {
  ThreadRecord* const thread = start();
  abi::TEB& teb = teb_of(*thread);
  EXPECT_EQ(teb.TlsExpansionSlots, nullptr);
  ASSERT_TRUE(engine_->make_expansion_slots(teb));
  void** const cells = teb.TlsExpansionSlots;
  ASSERT_TRUE(engine_->make_expansion_slots(teb));
  EXPECT_EQ(teb.TlsExpansionSlots, cells);
  for (std::size_t i = 0; i < 1024; ++i) EXPECT_EQ(cells[i], nullptr);
  engine_->detach_thread(*thread);
  EXPECT_EQ(teb.TlsExpansionSlots, nullptr);
}

}  // namespace
}  // namespace bobbin::tls
