// Threads being born and dying, modules coming and going, slots taken and freed, all at once. What it finds
// is mostly for the thread sanitizer to say; the values are checked as well. BOBBIN_SEED=n repeats the
// choices of a run (not its timing, which is the explorer's business: on_fake/schedules_test.cpp).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "tls/fls.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

constexpr int kRounds = 300;
constexpr unsigned kWorkers = 4;

class StressTest : public BothWays {
 protected:
  void SetUp() override {
    make({});
    const char* const asked = std::getenv("BOBBIN_SEED");
    seed_ =
        asked != nullptr ? static_cast<unsigned>(std::strtoul(asked, nullptr, 10)) : std::random_device{}();
    std::printf("BOBBIN_SEED=%u\n", seed_);
    for (Image& image : lasting_) load(image);
    for (int i = 0; i < 3; ++i) start();
  }
  void TearDown() override {
    EngineFixture::TearDown();
    for (Image& image : lasting_) image.unload();
  }

  /// What a guest thread does in its life, seen from the engine.
  void live_and_die(std::mt19937& random) {
    auto record = engine_->create_thread();
    ASSERT_TRUE(record);
    if (random() % 16 == 0) return engine_->destroy_thread(*record);  // it could not be started
    ASSERT_TRUE(engine_->attach_thread(**record));
    for (const Image& image : lasting_) {
      ASSERT_TRUE(shows(*record, image));
      std::memset(block(*record, image), 0xEE, image.bytes.size());
    }
    use_slots(random, teb_of(**record));
    use_fiber_values(random, teb_of(**record));
    if (random() % 8 != 0) engine_->detach_thread(**record);  // else it is terminated
    engine_->destroy_thread(*record);
  }

  void use_slots(std::mt19937& random, abi::TEB& teb) {
    std::vector<std::uint32_t> taken;
    for (std::size_t i = 0; i < 1 + random() % 40; ++i) {  // sometimes beyond those in the TEB
      auto slot = engine_->allocate_slot(teb);
      ASSERT_TRUE(slot);
      ASSERT_TRUE(*slot < 64 || engine_->make_expansion_slots(teb));
      EXPECT_EQ(cell(teb, *slot).exchange(&teb), nullptr);
      taken.push_back(*slot);
    }
    for (const std::uint32_t slot : taken) {
      EXPECT_EQ(cell(teb, slot).load(), &teb);
      ASSERT_TRUE(engine_->free_slot(slot));
    }
  }
  static std::atomic_ref<void*> cell(abi::TEB& teb, std::uint32_t slot) {
    return std::atomic_ref(slot < 64 ? teb.TlsSlots[slot] : teb.TlsExpansionSlots[slot - 64]);
  }

  void use_fiber_values(std::mt19937& random, abi::TEB& teb) {
    if (random() % 4 != 0) return;
    Fls& fls = engine_->fls();
    auto index = fls.allocate(nullptr);
    ASSERT_TRUE(index);
    ASSERT_TRUE(fls.set(teb, *index, &teb));
    ASSERT_TRUE(fls.set(teb, kFlsLimit - 1 - static_cast<std::uint32_t>(random() % 3000), &teb));
    ASSERT_TRUE(fls.free(*index, teb.FlsData, host_));
  }

  /// What one LoadLibrary and FreeLibrary do; threads that are parked must see the module in between.
  void load_and_unload(std::mt19937& random) {
    Image image(kSizes[random() % std::size(kSizes)], static_cast<int>(random() % 256), 1u << random() % 14);
    const std::scoped_lock loader_lock(loader_lock_);
    auto reservation = engine_->prepare_module(image.as_template());
    ASSERT_TRUE(reservation);
    if (random() % 4 == 0) return;  // a later step of the load failed
    engine_->commit_module(std::move(*reservation));
    image.engine = engine_.get();
    for (ThreadRecord* parked : threads_) {
      EXPECT_TRUE(shows(parked, image));
      std::memset(block(parked, image), 0xEE, image.bytes.size());
    }
  }

  std::mutex loader_lock_;
  PlainHost host_;
  std::vector<Image> lasting_{Image(64, 1), Image(5000, 2), Image(900, 3, 512)};
  unsigned seed_ = 0;
};

TEST_P(StressTest, EverythingAtOnce) {
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < kWorkers; ++i) {
    workers.emplace_back([this, i] {
      std::mt19937 random(seed_ + i);
      for (int round = 0; round < kRounds; ++round) {
        if (random() % 4 == 0)
          load_and_unload(random);
        else
          live_and_die(random);
      }
    });
  }
  workers.emplace_back([this] {
    for (int i = 0; i < kRounds / 10; ++i) {
      const std::scoped_lock loader_lock(loader_lock_);
      expect_sound();
    }
  });
  for (std::thread& worker : workers) worker.join();
}

BOTH_WAYS(StressTest);

}  // namespace
}  // namespace bobbin::tls
