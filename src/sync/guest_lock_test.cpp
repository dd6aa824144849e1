// The guest's own locks, used as guests use them: by many threads, on words in plain memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <new>
#include <thread>
#include <vector>

#include "abi/status.hpp"
#include "sync/address_wait.hpp"
#include "sync/condition_variable.hpp"
#include "sync/critical_section.hpp"
#include "sync/dispatcher.hpp"
#include "sync/run_once.hpp"
#include "sync/slist.hpp"
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
  Waiter self;
  self.thread_id = 4;
  EXPECT_TRUE(try_acquire_exclusive(lock, 4));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lock.Ptr), 0x400000001u);  // who, and what Windows has
  EXPECT_FALSE(try_acquire_exclusive(lock, 4));
  EXPECT_FALSE(try_acquire_shared(lock));
  release_exclusive(lock, self);
  EXPECT_EQ(lock.Ptr, nullptr);
  lock.Ptr = reinterpret_cast<void*>(std::uintptr_t{1});  // taken by another, or by the guest's own hand
  release_exclusive(lock, self);
  EXPECT_TRUE(try_acquire_shared(lock));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lock.Ptr), 0x11u);
  EXPECT_TRUE(try_acquire_shared(lock));
  EXPECT_FALSE(try_acquire_exclusive(lock, 4));
  release_shared(lock);
  release_shared(lock);
  EXPECT_EQ(lock.Ptr, nullptr);
  release_shared(lock);
  release_exclusive(lock, self);
  EXPECT_EQ(lock.Ptr, nullptr);
}

TEST(SrwLock, HoldsNewReadersBackForAWriter) {
  abi::RTL_SRWLOCK lock{};
  Waiter writer;
  Waiter reader;
  EXPECT_TRUE(try_acquire_shared(lock));
  std::thread writing([&] {
    EXPECT_TRUE(acquire_exclusive(lock, writer));
    release_exclusive(lock, writer);
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
  EXPECT_TRUE(try_acquire_exclusive(lock, 4));
  std::thread waiting([&] { EXPECT_FALSE(acquire_shared(lock, stopped)); });
  await_parked(stopped, &lock);
  interrupt(stopped);
  waiting.join();
  release_exclusive_slowly(lock);
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
        release_exclusive(lock, self);
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

constexpr std::uint64_t kMillisecond = 1'000'000;

TEST(ConditionVariable, TimesOutHoldingTheLockAgain) {
  Waiter self;
  self.thread_id = 4;
  Section cs;
  abi::RTL_SRWLOCK lock{};
  abi::RTL_CONDITION_VARIABLE variable{};
  EXPECT_TRUE(enter(cs, self));
  EXPECT_EQ(sleep_condition(variable, cs, deadline_after(kMillisecond), self), ParkOutcome::timed_out);
  EXPECT_TRUE(is_entered_by(cs, 4));
  leave(cs);
  EXPECT_TRUE(acquire_shared(lock, self));
  EXPECT_EQ(sleep_condition(variable, lock, true, 0, self), ParkOutcome::timed_out);
  EXPECT_FALSE(try_acquire_exclusive(lock, 4));
  release_shared(lock);
  wake_one(variable);
  EXPECT_EQ(variable.Ptr, nullptr);
}

TEST(ConditionVariable, PassesATokenAround) {
  Section cs;
  abi::RTL_CONDITION_VARIABLE variable{};
  int turn = 0;  // guarded by cs
  on_threads(kThreads, [&](Waiter& self) {
    const int me = static_cast<int>(self.thread_id / 4) - 1;
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(enter(cs, self));
      while (turn % kThreads != me) {
        ASSERT_EQ(sleep_condition(variable, cs, std::nullopt, self), ParkOutcome::woken);
      }
      ++turn;
      leave(cs);
      wake_all(variable);
    }
  });
  EXPECT_EQ(turn, 200 * kThreads);
}

TEST(ConditionVariable, WakesOneForEachItem) {
  abi::RTL_SRWLOCK lock{};
  abi::RTL_CONDITION_VARIABLE variable{};
  int items = 0;  // guarded by lock
  int taken = 0;
  on_threads(kThreads, [&](Waiter& self) {
    const bool producer = self.thread_id == 4;
    for (int i = 0; i < (producer ? 3 * 500 : 500); ++i) {
      ASSERT_TRUE(acquire_exclusive(lock, self));
      if (producer) {
        ++items;
      } else {
        while (items == 0) {
          ASSERT_EQ(sleep_condition(variable, lock, false, std::nullopt, self), ParkOutcome::woken);
        }
        --items;
        ++taken;
      }
      release_exclusive(lock, self);
      if (producer) wake_one(variable);
    }
  });
  EXPECT_EQ(taken, 1500);
}

/// A thread that sleeps at a condition variable, whose first change (as somebody wakes it) is seen: what the
/// variable held then.
struct SeenWaking {
  static inline Waiter* waiter = nullptr;
  static inline abi::RTL_CONDITION_VARIABLE variable{};
  static inline abi::PVOID held = nullptr;

  static void on_fault(int /*signal*/) {
    held = variable.Ptr;
    mprotect(waiter, os::kPageSize, PROT_READ | PROT_WRITE);
  }
};

// The thread that is woken may give the variable's memory back: nothing is written there after the wake.
TEST(ConditionVariable, IsLeftAloneOnceItsLastSleeperIsWoken) {
  using Seen = SeenWaking;
  void* const page = mmap(nullptr, os::kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  Seen::waiter = new (page) Waiter;
  Parked parked(&Seen::variable, *Seen::waiter);
  ParkingLot(&Seen::variable).enqueue(parked);
  Seen::held = Seen::variable.Ptr = page;  // anything but null: somebody sleeps
  struct sigaction before{}, noting{};
  noting.sa_handler = &Seen::on_fault;
  sigaction(SIGSEGV, &noting, &before);
  mprotect(page, os::kPageSize, PROT_READ);
  wake_one(Seen::variable);
  sigaction(SIGSEGV, &before, nullptr);
  EXPECT_EQ(Seen::held, nullptr);
  EXPECT_EQ(Seen::variable.Ptr, nullptr);
  EXPECT_EQ(Seen::waiter->wake.load(), Waiter::kDone);
  Seen::waiter->~Waiter();
  munmap(page, os::kPageSize);
}

TEST(WaitOnAddress, SleepsOnlyWhileTheBytesAreEqual) {
  Waiter self;
  std::uint64_t value = 0x1122334455667788;
  const std::uint64_t other_above = 0x1122334455007788;
  EXPECT_EQ(wait_on_address(&value, &other_above, 8, std::nullopt, self), ParkOutcome::woken);
  EXPECT_EQ(wait_on_address(&value, &other_above, 4, std::nullopt, self), ParkOutcome::woken);
  EXPECT_EQ(wait_on_address(&value, &other_above, 2, deadline_after(kMillisecond), self),
            ParkOutcome::timed_out);
  EXPECT_EQ(wait_on_address(&value, &other_above, 1, 0, self), ParkOutcome::timed_out);
}

TEST(WaitOnAddress, PingPong) {
  std::uint32_t ball = 0;
  on_threads(2, [&](Waiter& self) {
    const std::uint32_t mine = self.thread_id / 4 - 1;
    const std::uint32_t theirs = 1 - mine;
    for (int i = 0; i < 500; ++i) {
      while (std::atomic_ref(ball).load() != mine) {
        ASSERT_EQ(wait_on_address(&ball, &theirs, sizeof ball, std::nullopt, self), ParkOutcome::woken);
      }
      std::atomic_ref(ball).store(theirs);
      wake_address_single(&ball);
    }
  });
}

TEST(WaitOnAddress, EndsWhenStopped) {
  Waiter self;
  std::uint8_t value = 0;
  const std::uint8_t same = 0;
  std::thread waiting(
      [&] { EXPECT_EQ(wait_on_address(&value, &same, 1, std::nullopt, self), ParkOutcome::interrupted); });
  await_parked(self, &value);
  interrupt(self);
  waiting.join();
  wake_address_all(&value);
}

TEST(RunOnce, OneThreadInitialisesTheOthersWait) {
  abi::RTL_RUN_ONCE once{};
  int initialised = 0;  // written by the one
  on_threads(kThreads, [&](Waiter& self) {
    void* context = nullptr;
    const auto begun = run_once_begin(once, false, &context, self);
    ASSERT_TRUE(begun.has_value());
    if (*begun == RunOnce::pending) {
      ++initialised;
      std::this_thread::yield();
      EXPECT_TRUE(run_once_complete(once, false, false, &once).has_value());
    } else {
      EXPECT_EQ(context, &once);
    }
    EXPECT_EQ(initialised, 1);
  });
}

TEST(RunOnce, FailingMakesItAsIfNeverBegun) {
  Waiter self;
  abi::RTL_RUN_ONCE once{};
  EXPECT_EQ(run_once_begin(once, false, nullptr, self).value(), RunOnce::pending);
  EXPECT_EQ(run_once_begin(once, true, nullptr, self).error().status, abi::STATUS_INVALID_PARAMETER);
  EXPECT_EQ(run_once_complete(once, true, false, nullptr).error().status, abi::STATUS_INVALID_PARAMETER);
  EXPECT_TRUE(run_once_complete(once, false, true, nullptr).has_value());
  EXPECT_EQ(once.Ptr, nullptr);
  EXPECT_EQ(run_once_complete(once, false, false, nullptr).error().status, abi::STATUS_UNSUCCESSFUL);
}

TEST(RunOnce, AsynchronouslyTheFirstToCompleteWins) {
  Waiter self;
  abi::RTL_RUN_ONCE once{};
  void* context = nullptr;
  EXPECT_EQ(run_once_begin(once, true, &context, self).value(), RunOnce::pending);
  EXPECT_EQ(run_once_begin(once, true, &context, self).value(), RunOnce::pending);
  EXPECT_EQ(run_once_complete(once, true, false, &self).has_value(), true);
  EXPECT_FALSE(run_once_complete(once, true, false, &once).has_value());
  EXPECT_EQ(run_once_begin(once, true, &context, self).value(), RunOnce::complete);
  EXPECT_EQ(context, &self);
}

TEST(SList, IsLastInFirstOut) {
  abi::SLIST_HEADER header{};
  std::array<abi::SLIST_ENTRY, 4> entries{};
  EXPECT_EQ(slist::pop(header), nullptr);
  EXPECT_EQ(slist::push(header, &entries[0], &entries[0], 1), nullptr);
  EXPECT_EQ(slist::push(header, &entries[1], &entries[1], 1), &entries[0]);
  entries[2].Next = &entries[3];
  EXPECT_EQ(slist::push(header, &entries[2], &entries[3], 2), &entries[1]);
  EXPECT_EQ(slist::depth(header), 4);
  EXPECT_EQ(slist::pop(header), &entries[2]);
  EXPECT_EQ(slist::flush(header), &entries[3]);
  EXPECT_EQ(slist::depth(header), 0);
  EXPECT_EQ(slist::flush(header), nullptr);
}

TEST(SList, LosesNothingUnderStress) {
  abi::SLIST_HEADER header{};
  std::array<abi::SLIST_ENTRY, 16> entries{};
  for (auto& entry : entries) slist::push(header, &entry, &entry, 1);
  on_threads(kThreads, [&](Waiter&) {
    for (int i = 0; i < kRounds; ++i) {
      abi::SLIST_ENTRY* const entry = slist::pop(header);
      ASSERT_NE(entry, nullptr);
      slist::push(header, entry, entry, 1);
    }
  });
  EXPECT_EQ(slist::depth(header), entries.size());
  std::size_t count = 0;
  for (auto* entry = slist::flush(header); entry != nullptr; entry = entry->Next) ++count;
  EXPECT_EQ(count, entries.size());
}

}  // namespace
}  // namespace bobbin::sync
