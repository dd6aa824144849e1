// What the real host cannot answer: whether every last thing was given back.
#include "os/fake/fake.hpp"
#include "tls/fls.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class BooksTest : public EngineFixture {
 protected:
  static std::size_t mappings() { return os::fake::books().mappings; }
};

TEST_F(BooksTest, AnEngineGivesEverythingBack) {
  engine_.reset();
  const auto before = os::fake::books();
  make({});
  Image small(64), large(70'000);
  load(small);
  load(large);
  ThreadRecord* const thread = start();
  ASSERT_TRUE(engine_->make_expansion_slots(teb_of(*thread)));
  ASSERT_TRUE(engine_->fls().set(teb_of(*thread), 100, this));
  EXPECT_NE(os::fake::books(), before);
  stop(thread);
  small.unload();
  large.unload();
  engine_.reset();
  EXPECT_EQ(os::fake::books(), before);
  make({});
}

TEST_F(BooksTest, AFailedLoadLeavesTheBooksAsTheyWere) {
  Image first(70'000, 1);
  load(first);  // the file and our own view of it are there
  first.unload();
  for (int i = 0; i < 5; ++i) start();
  Image image(70'000, 2);
  const auto before = os::fake::books();
  for (std::uint64_t nth = 1; nth <= 11; ++nth) {  // the bytes, then a view (two steps) per thread
    os::fail_allocation(nth);
    auto refused = engine_->prepare_module(image.as_template());
    os::fail_allocation(0);
    ASSERT_FALSE(refused) << nth;
    EXPECT_EQ(os::fake::books(), before) << nth;
  }
  auto dropped = engine_->prepare_module(image.as_template());
  EXPECT_TRUE(dropped);
}

TEST_F(BooksTest, AThreadHasAtMostOneMappingOfItsOwn) {
  std::vector<Image> images(50, Image(5000));
  for (Image& image : images) load(image);
  start();
  const std::size_t with_one = mappings();
  for (int i = 0; i < 10; ++i) start();
  EXPECT_EQ(mappings(), with_one + 10);
  while (!threads_.empty()) stop(threads_.back());
  for (int i = 0; i < 11; ++i) start();
  EXPECT_EQ(mappings(), with_one + 10) << "a recycled record brings its view along";
}

TEST_F(BooksTest, ThreadsComeAndGoWithoutGrowth) {
  Image image(70'000);
  load(image);
  start();
  const auto before = os::fake::books();
  for (int i = 0; i < 1000; ++i) {
    ThreadRecord* const thread = start();
    ASSERT_TRUE(engine_->make_expansion_slots(teb_of(*thread)));
    stop(thread);
    if (i == 0) continue;
    EXPECT_EQ(os::fake::books().allocations, before.allocations);
    EXPECT_LE(os::fake::books().mappings, before.mappings + 1);
  }
}

}  // namespace
}  // namespace bobbin::tls
