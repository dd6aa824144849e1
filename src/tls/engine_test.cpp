#include "tls/engine.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "tls/record.hpp"

namespace bobbin::tls {
namespace {

struct Image {
  explicit Image(std::size_t size, int fill, std::size_t align = 16)
      : bytes(size, static_cast<std::byte>(fill)), alignment(align) {}
  Template as_template() { return {.bytes = bytes, .alignment = alignment, .index_address = &index}; }
  std::vector<std::byte> bytes;
  std::size_t alignment;
  std::uint32_t index = 0xAABBCCDD;
};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Engine::create({}, low_, high_);
    ASSERT_TRUE(made) << made.error().message();
    engine_ = std::move(*made);
  }
  void TearDown() override { EXPECT_EQ(check_invariants(*engine_), std::nullopt); }

  ThreadRecord* start() {
    auto record = engine_->create_thread();
    EXPECT_TRUE(record);
    EXPECT_TRUE(engine_->attach_thread(**record));
    return *record;
  }
  std::uint32_t load(Image& image) {
    auto reservation = engine_->prepare_module(image.as_template());
    EXPECT_TRUE(reservation) << reservation.error().message();
    return engine_->commit_module(std::move(*reservation));
  }
  static std::byte* block(ThreadRecord* record, std::uint32_t index) {
    return static_cast<std::byte*>(teb_of(*record).ThreadLocalStoragePointer[index]);
  }
  void expect_sound() { EXPECT_EQ(check_invariants(*engine_), std::nullopt); }

  std::array<abi::ULONG, 2> low_{};
  std::array<abi::ULONG, 32> high_{};
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, SmallAndLargeModulesBeforeAndAfterThreads) {
  for (const std::size_t size : {0ul, 1ul, 64ul, 1024ul, 4000ul, 70000ul}) {
    Image image(size, 7);
    ThreadRecord* early = start();
    const auto index = load(image);
    EXPECT_EQ(image.index, index);
    ThreadRecord* late = start();
    for (ThreadRecord* record : {early, late}) {
      EXPECT_EQ(0, std::memcmp(block(record, index), image.bytes.data(), size));
      EXPECT_EQ(std::byte{0}, block(record, index)[size]);
    }
    expect_sound();
    engine_->detach_thread(*early);
    engine_->destroy_thread(early);
    engine_->destroy_thread(late);
    engine_->release_module(index);
    expect_sound();
  }
}

}  // namespace
}  // namespace bobbin::tls
