// Threads being born and dying, modules coming and going, slots taken and freed, all at once. What it finds
// is mostly for the thread sanitizer to say; the values are checked as well.
#include <mutex>
#include <random>
#include <thread>

#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

constexpr int kRounds = 300;

class StressTest : public EngineFixture {
 protected:
  /// What a guest thread does in its life, seen from the engine.
  void live_and_die(std::mt19937& random, const std::vector<Image>& lasting) {
    auto record = engine_->create_thread();
    ASSERT_TRUE(record);
    abi::TEB& teb = teb_of(**record);
    ASSERT_TRUE(engine_->attach_thread(**record));
    for (const Image& image : lasting) {
      ASSERT_TRUE(shows(*record, image));
      std::memset(block(*record, image), 0xEE, image.bytes.size());
    }
    auto slot = engine_->allocate_slot(teb);
    ASSERT_TRUE(slot);
    if (*slot < 64) std::atomic_ref(teb.TlsSlots[*slot]).store(&teb, std::memory_order_relaxed);
    if (random() % 4 == 0) {
      ASSERT_TRUE(engine_->make_expansion_slots(teb));
    }
    ASSERT_TRUE(engine_->free_slot(*slot));
    if (*slot < 64) {
      EXPECT_EQ(std::atomic_ref(teb.TlsSlots[*slot]).load(std::memory_order_relaxed), nullptr);
    }
    if (random() % 8 != 0) engine_->detach_thread(**record);  // else it is terminated
    engine_->destroy_thread(*record);
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
    for (ThreadRecord* parked : threads_) EXPECT_TRUE(shows(parked, image));
  }

  std::mutex loader_lock_;
};

TEST_F(StressTest, EverythingAtOnce) {
  std::vector<Image> lasting{Image(64, 1), Image(5000, 2), Image(900, 3, 512)};
  for (Image& image : lasting) load(image);
  for (int i = 0; i < 3; ++i) start();
  std::vector<std::thread> workers;
  for (unsigned seed = 0; seed < 4; ++seed) {
    workers.emplace_back([this, seed, &lasting] {
      std::mt19937 random(seed);
      for (int i = 0; i < kRounds; ++i) {
        if (random() % 4 == 0)
          load_and_unload(random);
        else
          live_and_die(random, lasting);
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

}  // namespace
}  // namespace bobbin::tls
