// Memory that runs out: each operation with its first, second, ... allocation made to fail, until none is
// left to fail. After each failure everything is as it was, and the same call succeeds when memory is back.
#include <functional>

#include "tls/fls.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class FailureTest : public EngineFixture {
 protected:
  /// Runs `attempt` (true: it succeeded) with failure after failure; `undone` is asked after each of them.
  /// Returns how many allocations could fail.
  int exhaust(const std::function<bool()>& attempt, const std::function<void()>& undone) {
    for (int nth = 1; nth < 10'000; ++nth) {
      os::fail_allocation(static_cast<std::uint64_t>(nth));
      const bool succeeded = attempt();
      os::fail_allocation(0);
      expect_sound();
      if (succeeded) return nth - 1;
      undone();
    }
    ADD_FAILURE() << "it never succeeded";
    return 0;
  }
};

TEST_F(FailureTest, CreatingAnEngine) {
  std::array<abi::ULONG, 2> low{};
  std::array<abi::ULONG, 32> high{};
  const auto attempt = [&] {
    auto made = Engine::create({}, low, high);
    EXPECT_TRUE(made || made.error().kind == ErrorKind::out_of_memory);
    return made.has_value();
  };
  EXPECT_GE(exhaust(attempt, [] {}), 10);
}

TEST_F(FailureTest, CreatingAThread) {
  ThreadRecord* made = nullptr;
  const auto attempt = [&] {
    auto record = engine_->create_thread();
    if (record) made = *record;
    return record.has_value();
  };
  EXPECT_EQ(exhaust(attempt, [] {}), 2);
  threads_.push_back(made);
}

TEST_F(FailureTest, AttachingAThread) {
  Image small(64), large(70'000);
  load(small);
  load(large);
  auto record = engine_->create_thread();
  ASSERT_TRUE(record);
  threads_.push_back(*record);
  const auto attempt = [&] { return engine_->attach_thread(**record).has_value(); };
  const auto undone = [&] { EXPECT_EQ(teb_of(**record).ThreadLocalStoragePointer, nullptr); };
  EXPECT_EQ(exhaust(attempt, undone), 2);
  EXPECT_TRUE(shows(*record, small) && shows(*record, large));
}

/// Each failure meets an engine that has never loaded a large module, so that all the steps of the first one
/// (file, view of our own) come before those of the threads.
TEST_F(FailureTest, LoadingAModule) {
  for (const std::size_t size : kSizes) {
    int failures = 0;
    for (bool succeeded = false; !succeeded; ++failures) {
      make({});
      Image before(64, 1), image(size, 2);
      load(before);
      for (int i = 0; i < 5; ++i) start();
      os::fail_allocation(static_cast<std::uint64_t>(failures) + 1);
      auto reservation = engine_->prepare_module(image.as_template());
      succeeded = reservation.has_value();
      os::fail_allocation(0);
      expect_sound();
      if (!succeeded) {
        EXPECT_EQ(reservation.error().kind, ErrorKind::out_of_memory);
        EXPECT_EQ(image.index, 0xAABBCCDD);
        for (ThreadRecord* thread : threads_) EXPECT_EQ(block(thread, 1), nullptr);
        reservation = engine_->prepare_module(image.as_template());  // memory is back
        ASSERT_TRUE(reservation);
      }
      os::fail_allocation(1);  // a commit asks for nothing
      EXPECT_EQ(engine_->commit_module(std::move(*reservation)), 1u) << "no index is lost";
      os::fail_allocation(0);
      image.engine = engine_.get();
      for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, image) && shows(thread, before));
      expect_sound();
      while (!threads_.empty()) stop(threads_.back());
    }
    EXPECT_EQ(failures - 1, size <= 4096 ? 0 : 5 + 2 * 5) << "file, its view (2), size, bytes; 2 per thread";
  }
}

TEST_F(FailureTest, ExplicitSlots) {
  abi::TEB& teb = teb_of(*start());
  low_ = {~0u, ~0u};
  std::uint32_t index = 0;
  const auto attempt = [&] {
    auto got = engine_->allocate_slot(teb);
    if (got) index = *got;
    return got.has_value();
  };
  const auto undone = [&] { EXPECT_EQ(high_[0], 0u); };
  EXPECT_EQ(exhaust(attempt, undone), 1);
  EXPECT_EQ(index, 64u);
}

TEST_F(FailureTest, FiberLocalValues) {
  abi::TEB& teb = teb_of(*start());
  const auto attempt = [&] { return engine_->fls().set(teb, 100, this).has_value(); };
  EXPECT_EQ(exhaust(attempt, [] {}), 2);
}

}  // namespace
}  // namespace bobbin::tls
