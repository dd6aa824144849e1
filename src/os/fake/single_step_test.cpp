// The watcher sees every store, and so finds two that are made in the wrong order.
#include "os/fake/single_step.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace bobbin::os::fake {
namespace {

struct Message {
  std::atomic<int> text{0};
  std::atomic<bool> ready{false};
};

const char* look_at(const Message& message) {
  const bool ready = message.ready.load();
  return ready && message.text.load() != 42 ? "ready without a text" : nullptr;
}

TEST(SingleStepTest, FindsWhatIsPublishedTooEarly) {
  Message message;
  const auto careless = [&] {
    message.ready.store(true);
    message.text.store(42);
  };
  const Watched found = watch(careless, [&] { return look_at(message); });
  EXPECT_TRUE(found.failure.starts_with("ready without a text, before ")) << found.failure;
  EXPECT_GT(found.failed_after, 0u);
  EXPECT_GT(found.instructions, found.failed_after) << "it runs to its end";
  EXPECT_EQ(message.text, 42);
}

TEST(SingleStepTest, FindsNothingInTheRightOrder) {
  Message message;
  bool seen_between = false;
  const auto careful = [&] {
    message.text.store(42);
    message.ready.store(true);
  };
  const Watched watched = watch(careful, [&] {
    seen_between |= message.text.load() == 42 && !message.ready.load();
    return look_at(message);
  });
  EXPECT_EQ(watched.failure, "");
  EXPECT_TRUE(seen_between);
}

TEST(SingleStepTest, LooksNoLongerWhenItIsOver) {
  std::size_t looks = 0;
  const Watched watched = watch([] {},
                                [&]() -> const char* {
                                  ++looks;
                                  return nullptr;
                                });
  const std::size_t during = looks;
  EXPECT_EQ(during, watched.instructions);
  for (int i = 0; i < 100; ++i) {
    asm volatile("");
  }
  EXPECT_EQ(looks, during);
}

}  // namespace
}  // namespace bobbin::os::fake
