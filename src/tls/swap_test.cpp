// What only growth by swapping does: vectors outgrown, retired and reclaimed; blocks handed back.
#include "tls/record.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class SwapTest : public EngineFixture {
 protected:
  [[nodiscard]] Growth growth() const override { return Growth::swap; }
  [[nodiscard]] Statistics now() const { return engine_->statistics(); }
  static std::uint64_t length(ThreadRecord* record) {
    return reinterpret_cast<std::uint64_t>(teb_of(*record).ThreadLocalStoragePointer[-2]);
  }
  void load_many(std::size_t count) {
    while (images_.size() < count) load(*images_.emplace_back(std::make_unique<Image>(64, 1)));
  }
  std::vector<std::unique_ptr<Image>> images_;
  void TearDown() override {
    images_.clear();
    EngineFixture::TearDown();
  }
};

TEST_F(SwapTest, NeedsTheGuestsHeap) {
  auto made = Engine::create({.growth = Growth::swap}, low_, high_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::invalid);
}

TEST_F(SwapTest, TheFirstVectorsHoldWhatIsThereAndAStep) {
  for (const std::uint32_t step : {0u, 4u, 8u}) {  // nt52, Vista, since 8
    make({.growth_step = step});
    Image a(8), b(8), c(8);
    ThreadRecord* const thread = start();
    {
      auto first = engine_->prepare_module(a.as_template());
      auto second = engine_->prepare_module(b.as_template());
      ASSERT_TRUE(first && second);
      engine_->commit_module(std::move(*first));
      engine_->commit_module(std::move(*second));
      a.engine = b.engine = engine_.get();
    }
    EXPECT_EQ(length(thread), 2 + step);
    load(c);
    EXPECT_EQ(length(thread), step == 0 ? 3 : 2 + step) << "later ones take what is to spare";
    stop(thread);
  }
}

TEST_F(SwapTest, RetiredAreTheVectorsThatLiveThreadsRanOnAndNoOthers) {
  ThreadRecord* const first = start();
  ThreadRecord* const second = start();
  load_many(1);
  EXPECT_EQ(now().retired_vectors, 0u) << "the sentinel is no vector";
  load_many(9);
  EXPECT_EQ(now().retired_vectors, 0u) << "nine fit";
  EXPECT_EQ(now().growths, 1u);
  void** const old = teb_of(*first).ThreadLocalStoragePointer;
  load_many(10);
  EXPECT_EQ(now().retired_vectors, 2u);
  EXPECT_EQ(now().retired_bytes, 2 * (16 + 9 * 8));
  EXPECT_EQ(length(first), 17u);
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(static_cast<std::byte*>(old[i]), block(first, *images_[i])) << "a late reader reads on";
  }
  ThreadRecord* const third = start();
  load_many(18);
  EXPECT_EQ(now().retired_vectors, 5u);
  EXPECT_EQ(now().vectors, 8u);
  stop(first);
  EXPECT_EQ(now().retired_vectors, 3u);
  stop(third);
  EXPECT_EQ(now().retired_vectors, 2u);
  stop(second);
  EXPECT_EQ(now().retired_vectors, 0u);
  EXPECT_EQ(now().vectors, 0u);
  EXPECT_EQ(now().blocks, 0u);
  EXPECT_EQ(now().ever_retired, 5u);
  EXPECT_EQ(heap_.live(), 0u);
}

TEST_F(SwapTest, AnOldBlockIsFreedWhenItsIndexIsTakenAgain) {
  for (int i = 0; i < 3; ++i) start();
  std::optional<Image> first(std::in_place, 64, 1);
  load(*first);
  first.reset();
  EXPECT_EQ(now().blocks, 3u) << "a late reader may still be there";
  Image second(64, 2);
  load(second);
  EXPECT_EQ(now().blocks, 3u);
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, second));
}

TEST_F(SwapTest, WhatAThreadThatWentDoesNotTakeIsHandedBack) {
  for (int i = 0; i < 3; ++i) start();
  Image image(64);
  auto reservation = engine_->prepare_module(image.as_template());
  ASSERT_TRUE(reservation);
  EXPECT_EQ(now().blocks, 3u);
  stop(threads_[1]);
  ThreadRecord* const younger = start();
  stop(threads_[0]);
  engine_->commit_module(std::move(*reservation));
  image.engine = engine_.get();
  EXPECT_EQ(now().blocks, 2u);
  EXPECT_EQ(now().vectors, 2u);
  EXPECT_EQ(now().unused, 2u + 2u) << "two blocks, two vectors";
  EXPECT_TRUE(shows(younger, image));
}

TEST_F(SwapTest, ADroppedReservationShrinksTheBitmapAgain) {
  start();
  load_many(9);
  const Statistics before = now();
  {
    Image image(64), another(64);
    auto grows = engine_->prepare_module(image.as_template());
    auto with_it = engine_->prepare_module(another.as_template());
    ASSERT_TRUE(grows && with_it);
    EXPECT_EQ(now().vectors, before.vectors + 1);
  }
  EXPECT_EQ(now().vectors, before.vectors);
  EXPECT_EQ(now().blocks, before.blocks);
  EXPECT_EQ(now().vector_length, 9u);
  EXPECT_EQ(now().ever_retired, 0u);
}

TEST_F(SwapTest, OnAllFailuresNothingIsTaken) {
  for (int i = 0; i < 4; ++i) start();
  load_many(9);
  const Statistics before = now();
  const std::size_t live = heap_.live();
  Image image(300, 7);
  std::uint64_t failures = 0;
  for (;; ++failures) {
    os::fail_allocation(failures + 1);
    auto reservation = engine_->prepare_module(image.as_template());
    os::fail_allocation(0);
    expect_sound();
    if (reservation) break;
    EXPECT_EQ(reservation.error().kind, ErrorKind::out_of_memory);
    EXPECT_EQ(heap_.live(), live);
    EXPECT_EQ(now().blocks, before.blocks);
    EXPECT_EQ(now().vectors, before.vectors);
  }
  EXPECT_EQ(failures, 4u + 4u) << "a block and a vector for each thread";
  auto record = engine_->create_thread();
  ASSERT_TRUE(record);
  threads_.push_back(*record);
  for (failures = 0;; ++failures) {
    os::fail_allocation(failures + 1);
    auto attached = engine_->attach_thread(**record);
    os::fail_allocation(0);
    expect_sound();
    if (attached) break;
    EXPECT_EQ(heap_.live(), live);
    EXPECT_EQ(teb_of(**record).ThreadLocalStoragePointer, nullptr);
  }
  EXPECT_EQ(failures, 1u + 9u);
}

TEST_F(SwapTest, BlocksAre16ByteAlignedBeforeWindows81) {
  make({.honour_alignment = false});
  Image image(16, 2, 4096);
  load(image);
  ThreadRecord* const thread = start();
  std::byte* const at = block(thread, image);
  EXPECT_EQ(heap_.size(at - 16), 32u) << "no room for more was asked for";
}

}  // namespace
}  // namespace bobbin::tls
