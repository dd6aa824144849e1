// The guest's own locks, used as guests use them: by many threads, on words in plain memory.
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "sync/critical_section.hpp"
#include "sync/dispatcher.hpp"
#include "sync/srw_lock.hpp"

namespace bobbin::sync {
namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 20000;

void await_parked(Waiter& waiter, const void* at) {
  while (waiter.parked_at.load() != at) std::this_thread::yield();
}

/// Runs `body(waiter)` on some threads at once.
template <class Body>
void on_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&body, i] {
      Waiter self;
      self.thread_id = static_cast<std::uint32_t>(4 * (i + 1));
      body(self);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

struct Section : abi::RTL_CRITICAL_SECTION {
  Section() : RTL_CRITICAL_SECTION{} { initialize(*this, 0); }
};

TEST(CriticalSection, ShowsTheFieldsOfWindows) {
  Waiter self;
  self.thread_id = 8;
  Section cs;
  EXPECT_EQ(cs.LockCount, -1);
  EXPECT_TRUE(enter(cs, self));
  EXPECT_TRUE(enter(cs, self));
  EXPECT_EQ(cs.LockCount, -2);
  EXPECT_EQ(cs.RecursionCount, 2);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(cs.OwningThread), 8u);
  EXPECT_TRUE(is_entered_by(cs, 8));
  EXPECT_FALSE(is_entered_by(cs, 12));
  leave(cs);
  EXPECT_EQ(cs.LockCount, -2);
  leave(cs);
  EXPECT_EQ(cs.LockCount, -1);
  EXPECT_EQ(cs.OwningThread, nullptr);
  EXPECT_FALSE(is_entered(cs));
  leave(cs);  // not entered: a mistake that changes nothing
  EXPECT_EQ(cs.LockCount, -1);
  destroy(cs);
}

TEST(CriticalSection, CountsItsSleepersInLockCount) {
  Waiter owner;
  owner.thread_id = 4;
  Waiter other;
  other.thread_id = 8;
  Section cs;
  EXPECT_TRUE(enter(cs, owner));
  EXPECT_FALSE(try_enter(cs, other));
  std::thread waiting([&] {
    EXPECT_TRUE(enter(cs, other));
    leave(cs);
  });
  await_parked(other, &cs);
  EXPECT_EQ(std::atomic_ref(cs.LockCount).load(), -6);
  leave(cs);
  waiting.join();
  EXPECT_EQ(cs.LockCount, -1);
}

TEST(CriticalSection, SurvivesAStoppedSleeper) {
  Waiter owner;
  owner.thread_id = 4;
  Waiter stopped;
  stopped.thread_id = 8;
  Section cs;
  EXPECT_TRUE(enter(cs, owner));
  std::thread waiting([&] { EXPECT_FALSE(enter(cs, stopped)); });
  await_parked(stopped, &cs);
  interrupt(stopped);
  waiting.join();
  EXPECT_EQ(cs.LockCount, -2);
  leave(cs);
  EXPECT_EQ(cs.LockCount, -1);
}

TEST(CriticalSection, ExcludesUnderStress) {
  Section cs;
  int counter = 0;
  on_threads(kThreads, [&](Waiter& self) {
    for (int i = 0; i < kRounds; ++i) {
      ASSERT_TRUE(enter(cs, self));
      ASSERT_TRUE(try_enter(cs, self));
      ++counter;
      if (i % 64 == 0) std::this_thread::yield();
      leave(cs);
      leave(cs);
    }
  });
  EXPECT_EQ(counter, kThreads * kRounds);
  EXPECT_EQ(cs.LockCount, -1);
}

TEST(CriticalSection, StoppedThreadsLoseNoWake) {
  // Half of the threads are stopped again and again while they wait; the others must still get through.
  Section cs;
  std::atomic<bool> over{false};
  std::array<Waiter, 2> victims;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < victims.size(); ++i) {
    victims[i].thread_id = static_cast<std::uint32_t>(400 + 4 * i);
    threads.emplace_back([&, i] {
      while (!over.load()) {
        if (enter(cs, victims[i])) leave(cs);
        victims[i].interrupted = false;
      }
    });
  }
  std::thread stopper([&] {
    while (!over.load()) {
      for (Waiter& victim : victims) interrupt(victim);
      std::this_thread::yield();
    }
  });
  on_threads(2, [&](Waiter& self) {
    for (int i = 0; i < kRounds / 4; ++i) {
      ASSERT_TRUE(enter(cs, self));
      if (i % 16 == 0) std::this_thread::yield();
      leave(cs);
    }
  });
  over = true;
  stopper.join();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cs.LockCount, -1);
}

TEST(SrwLock, HasTheWordsOfWindows) {
  abi::RTL_SRWLOCK lock{};
  EXPECT_TRUE(try_acquire_exclusive(lock));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lock.Ptr), 1u);
  EXPECT_FALSE(try_acquire_exclusive(lock));
  EXPECT_FALSE(try_acquire_shared(lock));
  release_exclusive(lock);
  EXPECT_TRUE(try_acquire_shared(lock));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lock.Ptr), 0x11u);
  EXPECT_TRUE(try_acquire_shared(lock));
  EXPECT_FALSE(try_acquire_exclusive(lock));
  release_shared(lock);
  release_shared(lock);
  EXPECT_EQ(lock.Ptr, nullptr);
  release_shared(lock);
  release_exclusive(lock);
  EXPECT_EQ(lock.Ptr, nullptr);
}

TEST(SrwLock, HoldsNewReadersBackForAWriter) {
  abi::RTL_SRWLOCK lock{};
  Waiter writer;
  Waiter reader;
  EXPECT_TRUE(try_acquire_shared(lock));
  std::thread writing([&] {
    EXPECT_TRUE(acquire_exclusive(lock, writer));
    release_exclusive(lock);
  });
  await_parked(writer, &lock);
  EXPECT_FALSE(try_acquire_shared(lock));
  std::thread reading([&] {
    EXPECT_TRUE(acquire_shared(lock, reader));
    release_shared(lock);
  });
  await_parked(reader, &lock);
  release_shared(lock);
  writing.join();
  reading.join();
  EXPECT_EQ(lock.Ptr, nullptr);
}

TEST(SrwLock, SurvivesAStoppedSleeper) {
  abi::RTL_SRWLOCK lock{};
  Waiter stopped;
  EXPECT_TRUE(try_acquire_exclusive(lock));
  std::thread waiting([&] { EXPECT_FALSE(acquire_shared(lock, stopped)); });
  await_parked(stopped, &lock);
  interrupt(stopped);
  waiting.join();
  release_exclusive(lock);
  EXPECT_EQ(lock.Ptr, nullptr);
}

TEST(SrwLock, ExcludesUnderStress) {
  abi::RTL_SRWLOCK lock{};
  int counter = 0;
  on_threads(kThreads, [&](Waiter& self) {
    for (int i = 0; i < kRounds; ++i) {
      if (i % 4 == 0) {
        ASSERT_TRUE(acquire_exclusive(lock, self));
        ++counter;
        release_exclusive(lock);
      } else {
        ASSERT_TRUE(acquire_shared(lock, self));
        const int seen = counter;
        if (i % 64 == 1) std::this_thread::yield();
        EXPECT_EQ(counter, seen);
        release_shared(lock);
      }
    }
  });
  EXPECT_EQ(counter, kThreads * kRounds / 4);
  EXPECT_EQ(lock.Ptr, nullptr);
}

}  // namespace
}  // namespace bobbin::sync
