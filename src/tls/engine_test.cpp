// Modules and threads: what each thread sees, before and after every operation.
#include "tls/engine.hpp"

#include "base/checked.hpp"
#include "tls/record.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class EngineTest : public EngineFixture, public testing::WithParamInterface<std::tuple<Growth, std::size_t>> {
 protected:
  [[nodiscard]] Growth growth() const override { return std::get<Growth>(GetParam()); }
  [[nodiscard]] static std::size_t size() { return std::get<std::size_t>(GetParam()); }
};

// -- the vector

using VectorTest = BothWays;
BOTH_WAYS(VectorTest);

TEST_P(VectorTest, WithoutModulesTheFieldHoldsItsOwnAddress) {
  abi::TEB& teb = teb_of(*start());
  EXPECT_EQ(static_cast<void*>(teb.ThreadLocalStoragePointer), &teb.ThreadLocalStoragePointer);
  Image image(64);
  load(image);
  EXPECT_NE(static_cast<void*>(teb.ThreadLocalStoragePointer), &teb.ThreadLocalStoragePointer);
  EXPECT_TRUE(shows(threads_[0], image));
}

TEST_P(VectorTest, IsNullBeforeAttachAndAfterDetach) {
  Image image(64);
  load(image);
  auto record = engine_->create_thread();
  ASSERT_TRUE(record);
  EXPECT_EQ(teb_of(**record).ThreadLocalStoragePointer, nullptr);
  ASSERT_TRUE(engine_->attach_thread(**record));
  engine_->detach_thread(**record);
  EXPECT_EQ(teb_of(**record).ThreadLocalStoragePointer, nullptr);
  engine_->destroy_thread(*record);
}

TEST_P(VectorTest, LengthStandsBeforeIt) {
  Image image(64);
  load(image);
  void** const vector = teb_of(*start()).ThreadLocalStoragePointer;
  EXPECT_EQ(reinterpret_cast<std::uint64_t>(vector[-2]), swaps() ? 1 + 8 : kVectorCapacity);
}

TEST_P(VectorTest, NoBlockEverMovesAndInPlaceItDoesNotEither) {
  Image first(64);
  load(first);
  ThreadRecord* const thread = start();
  void** const vector = teb_of(*thread).ThreadLocalStoragePointer;
  std::byte* const early = block(thread, first);
  *early = std::byte{99};
  std::vector<Image> images;
  images.reserve(300);
  for (std::size_t i = 0; i < 300; ++i) load(images.emplace_back(64 + i * 10, static_cast<int>(i)));
  EXPECT_EQ(teb_of(*thread).ThreadLocalStoragePointer == vector, !swaps());
  EXPECT_EQ(static_cast<std::byte*>(vector[first.index]), early) << "who has read the old one reads on";
  EXPECT_EQ(block(thread, first), early);
  EXPECT_EQ(*early, std::byte{99});
  for (const Image& image : images) EXPECT_TRUE(shows(thread, image));
}

TEST_P(VectorTest, AGuestsOwnVectorIsStoredTo) {
  Image first(64), second(64);
  ThreadRecord* const thread = start();
  load(first);
  static std::array<void*, 6> guest;  // two words of header, four entries; the fixture's last look reads them
  guest = {};
  guest[0] = reinterpret_cast<void*>(4);
  guest[2] = block(thread, first);
  teb_of(*thread).ThreadLocalStoragePointer = &guest[2];
  load(second);
  EXPECT_EQ(teb_of(*thread).ThreadLocalStoragePointer, &guest[2]);
  EXPECT_TRUE(shows(thread, second));
  left_on_heap_ = swaps() ? 2 : 0;  // at the end nobody dares to read a vector that may have gone
}

TEST_P(VectorTest, AThreadLeavesAGuestsVectorThatIsTooShort) {
  Image first(64), second(64);
  ThreadRecord* const thread = start();
  load(first);
  std::byte patched[64] = {};
  std::array<void*, 3> guest{reinterpret_cast<void*>(1), nullptr, patched};
  teb_of(*thread).ThreadLocalStoragePointer = &guest[2];
  load(second);
  EXPECT_NE(teb_of(*thread).ThreadLocalStoragePointer, &guest[2]);
  EXPECT_EQ(block(thread, first), patched) << "what the guest had put there goes along";
  EXPECT_TRUE(shows(thread, second));
  teb_of(*thread).ThreadLocalStoragePointer[first.index] = nullptr;  // tidy for check_invariants
  unload(first);
  left_on_heap_ = swaps() ? 1 : 0;  // first's block, which the guest has overwritten
}

// -- indices

using IndexTest = BothWays;
BOTH_WAYS(IndexTest);

TEST_P(IndexTest, LowestFreeFirstAndAllThirtyTwoBitsWritten) {
  Image a(8), b(8), c(8), d(8);
  EXPECT_EQ(load(a), 0u);
  EXPECT_EQ(load(b), 1u);
  EXPECT_EQ(load(c), 2u);
  EXPECT_EQ(b.index, 1u);
  unload(b);
  EXPECT_EQ(load(d), 1u);
}

TEST_P(IndexTest, SeveralReservationsMayBeOpenAtOnce) {
  Image a(8), b(70'000);
  auto first = engine_->prepare_module(a.as_template());
  auto second = engine_->prepare_module(b.as_template());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->index(), 0u);
  EXPECT_EQ(second->index(), 1u);
  ThreadRecord* const between = start();
  engine_->commit_module(std::move(*second));
  engine_->commit_module(std::move(*first));
  a.engine = b.engine = engine_.get();
  EXPECT_TRUE(shows(between, a) && shows(between, b));
}

TEST_P(IndexTest, ADroppedReservationLeavesNoTrace) {
  Image kept(64), dropped(64), next(64);
  load(kept);
  ThreadRecord* const thread = start();
  {
    auto reservation = engine_->prepare_module(dropped.as_template());
    ASSERT_TRUE(reservation);
    start();
  }
  EXPECT_EQ(dropped.index, 0xAABBCCDD);
  for (ThreadRecord* record : threads_) EXPECT_EQ(block(record, 1), nullptr);
  expect_sound();
  EXPECT_EQ(load(next), 1u);
  EXPECT_TRUE(shows(thread, kept));
}

TEST_P(IndexTest, MoreModulesThanAVectorHoldsAreRefused) {
  ThreadRecord* const thread = start();
  std::vector<Image> images(kVectorCapacity + 1, Image(1));
  for (std::size_t i = 0; i < kVectorCapacity; ++i) load(images[i]);
  auto refused = engine_->prepare_module(images.back().as_template());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::out_of_memory);
  EXPECT_TRUE(shows(thread, images[kVectorCapacity - 1]));
  unload(images[77]);
  EXPECT_EQ(load(images.back()), 77u);
}

TEST_P(IndexTest, BadTemplatesAreRefused) {
  for (const std::size_t alignment : {0ul, 3ul, 24ul, 16384ul}) {
    Image image(64, 1, alignment);
    auto refused = engine_->prepare_module(image.as_template());
    ASSERT_FALSE(refused) << alignment;
    EXPECT_EQ(refused.error().kind, ErrorKind::malformed);
  }
}

// -- blocks, for every size

TEST_P(EngineTest, EveryThreadHasTheTemplateAndZeroAfterIt) {
  Image image(size());
  ThreadRecord* const early = start();
  load(image);
  ThreadRecord* const late = start();
  for (ThreadRecord* record : {early, late}) {
    EXPECT_TRUE(shows(record, image));
    for (std::size_t at = size(); at < align_up(size(), std::size_t{16}); ++at) {
      EXPECT_EQ(block(record, image)[at], std::byte{0}) << at;
    }
  }
  EXPECT_NE(block(early, image), block(late, image));
}

TEST_P(EngineTest, AThreadsWritesAreItsOwn) {
  if (size() == 0) return;
  Image image(size());
  load(image);
  ThreadRecord* const writer = start();
  std::memset(block(writer, image), 0xEE, image.bytes.size());
  ThreadRecord* const other = start();
  EXPECT_TRUE(shows(other, image));
  EXPECT_FALSE(shows(writer, image));
}

TEST_P(EngineTest, ThreadsBornLaterSeeWhatTheImageWroteToItsTemplate) {
  if (size() == 0) return;
  Image image(size());
  const Image original = image;
  load(image);
  ThreadRecord* const early = start();
  image.bytes.front() = std::byte{1};
  image.bytes.back() = std::byte{2};
  ThreadRecord* const late = start();
  EXPECT_TRUE(shows(late, image));
  EXPECT_TRUE(std::equal(original.bytes.begin(), original.bytes.end(), block(early, image)));
  image.bytes = original.bytes;
  EXPECT_TRUE(shows(start(), image)) << "and when it is written back";
}

TEST_P(EngineTest, AModuleAtAReusedIndexShowsItsOwnTemplate) {
  Image first(size(), 1), second(size(), 2);
  load(first);
  ThreadRecord* const thread = start();
  if (size() != 0) std::memset(block(thread, first), 0xEE, size());
  std::byte* const late_reader = block(thread, first);
  unload(first);
  expect_sound();
  if (size() != 0) {
    [[maybe_unused]] volatile auto still_readable = *late_reader;
    *late_reader = std::byte{0xDD};  // a late writer must not reach the next owner
  }
  EXPECT_EQ(load(second), first.index);
  EXPECT_TRUE(shows(thread, second));
  EXPECT_TRUE(shows(start(), second));
}

TEST_P(EngineTest, ARecycledRecordIsAsNew) {
  Image image(size());
  load(image);
  for (int i = 0; i < 3; ++i) {
    ThreadRecord* const thread = start();
    abi::TEB& teb = teb_of(*thread);
    EXPECT_TRUE(shows(thread, image));
    EXPECT_EQ(teb.TlsSlots[5], nullptr);
    EXPECT_EQ(teb.LastErrorValue, 0u);
    teb.TlsSlots[5] = thread;
    teb.LastErrorValue = 5;
    teb.StaticUnicodeBuffer[260] = u'x';
    if (size() != 0) std::memset(block(thread, image), 0xEE, size());
    stop(thread);
    expect_sound();
  }
}

TEST_P(EngineTest, AlignmentHoldsInThirtyTwoThreads) {
  std::vector<Image> images;
  for (std::size_t alignment = 1; alignment <= kMaximumAlignment; alignment *= 2) {
    images.emplace_back(size(), 3, alignment);
  }
  for (std::size_t i = 0; i < images.size() / 2; ++i) load(images[i]);
  for (int i = 0; i < 16; ++i) start();
  for (std::size_t i = images.size() / 2; i < images.size(); ++i) load(images[i]);
  for (int i = 0; i < 16; ++i) start();
  for (ThreadRecord* thread : threads_) {
    for (const Image& image : images) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block(thread, image)) % image.alignment, 0u);
      EXPECT_TRUE(shows(thread, image));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, EngineTest,
                         testing::Combine(testing::Values(Growth::in_place, Growth::swap),
                                          testing::ValuesIn(kSizes)),
                         [](const testing::TestParamInfo<std::tuple<Growth, std::size_t>>& one) {
                           return name_of(std::get<Growth>(one.param)) + "_" +
                                  std::to_string(std::get<std::size_t>(one.param));
                         });

// -- many

using ManyTest = BothWays;
BOTH_WAYS(ManyTest);
using InPlaceTest = EngineFixture;

/// As the image room maps most files: the host can tell which pages of the template were written.
TEST_P(ManyTest, AnImageMappedFromAFileIsReadAgainWhereItWasWritten) {
  constexpr std::size_t kSize = 1000 * os::kPageSize;
  auto file = os::MemoryFile::create("image");
  ASSERT_TRUE(file && file->resize(kSize));
  auto image = os::map_private(file->fd(), 0, kSize, os::Protection::read_write);
  ASSERT_TRUE(image);
  std::uint32_t index = 0;
  (*image)[3 * os::kPageSize] = std::byte{3};  // a relocation, say
  auto reservation = engine_->prepare_module({.bytes = {*image, kSize}, .index_address = &index});
  ASSERT_TRUE(reservation);
  engine_->commit_module(std::move(*reservation));
  ThreadRecord* const early = start();
  EXPECT_EQ(0, std::memcmp(block(early, index), *image, kSize));
  for (const std::size_t page : {0ul, 3ul, 511ul, 512ul, 999ul})
    (*image)[page * os::kPageSize + 9] = std::byte{7};
  EXPECT_EQ(0, std::memcmp(block(start(), index), *image, kSize));
  EXPECT_EQ(block(early, index)[9], std::byte{0});
  engine_->release_module(index);
  os::release(*image, kSize);
}

TEST_P(ManyTest, AThousandThreadsSeeALoad) {
  Image small(64, 1), large(70'000, 2);
  for (int i = 0; i < 1000; ++i) start();
  load(small);
  load(large);
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, small) && shows(thread, large));
}

TEST_F(InPlaceTest, ATemplateLargerThanTheArenaIsRefused) {
  make({.arena_size = 1 << 20});
  Image large((1 << 20) + 1);
  auto refused = engine_->prepare_module(large.as_template());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::out_of_memory);
}

TEST_F(InPlaceTest, LoadingAndUnloadingForEverTakesNoMoreRoom) {
  for (int i = 0; i < 10; ++i) start();
  std::vector<std::byte*> places;
  for (int round = 0; round < 200; ++round) {
    Image a(64, round), b(5000, round), c(300, round);
    for (Image* image : {&a, &b, &c}) load(*image);
    for (ThreadRecord* thread : threads_) {
      for (const Image* image : {&a, &b, &c}) EXPECT_TRUE(shows(thread, *image));
      std::memset(block(thread, b), 0xEE, 5000);
    }
    EXPECT_LT(c.index, 3u);
    const std::vector<std::byte*> here{block(threads_[0], a), block(threads_[0], b), block(threads_[0], c)};
    if (round == 0) places = here;
    EXPECT_EQ(here, places) << round;
    for (Image* image : {&b, &a, &c}) unload(*image);
    stop(threads_[1]);
    start();
  }
}

TEST_F(InPlaceTest, AlignmentIsIgnoredBeforeWindows81) {
  make({.honour_alignment = false});
  Image first(16, 1), second(16, 2, 4096);
  load(first);
  load(second);
  ThreadRecord* const thread = start();
  EXPECT_EQ(block(thread, second), block(thread, first) + 16);
}

}  // namespace
}  // namespace bobbin::tls
