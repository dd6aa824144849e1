#include <gtest/gtest.h>

#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "os/os.hpp"

namespace bobbin::os {
namespace {

TEST(MutexTest, OneAtATime) {
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        const std::scoped_lock guard(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 80'000);
}

TEST(MutexTest, TryLockFailsWhileHeld) {
  Mutex mutex;
  mutex.lock();
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(RwLockTest, ReadersShare) {
  RwLock lock;
  const std::shared_lock first(lock);
  std::thread([&] { const std::shared_lock second(lock); }).join();
}

/// Writers keep two numbers equal; readers look. A writer must get in although readers never stop coming.
TEST(RwLockTest, WritersExcludeAndAreNotStarved) {
  RwLock lock;
  int a = 0;
  int b = 0;
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        const std::shared_lock guard(lock);
        if (a != b) ++torn;
      }
    });
  }
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const std::scoped_lock guard(lock);
        ++a;
        ++b;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(a, 4000);
}

}  // namespace
}  // namespace bobbin::os
