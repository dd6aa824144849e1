// Circles and near misses on plain host threads. (What guests see of it: tests/guest/deadlocks.)
#include "sync/deadlock.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sync/critical_section.hpp"
#include "sync/dispatcher.hpp"
#include "sync/srw_lock.hpp"

namespace bobbin::sync {
namespace {

std::mutex g_mutex;
std::vector<Deadlock> g_found;  // guarded by g_mutex
std::atomic<int> g_count{0};

/// A thread that is known as long as this lives.
struct Known {
  Waiter waiter{};
  explicit Known(std::uint32_t id) {
    waiter.thread_id = id;
    know(waiter);
  }
  Known(const Known&) = delete;
  Known& operator=(const Known&) = delete;
  ~Known() { forget(waiter); }
};

struct Section : abi::RTL_CRITICAL_SECTION {
  Section() : RTL_CRITICAL_SECTION{} { initialize(*this, 0); }
};

class DeadlockReport : public ::testing::Test {
 protected:
  void SetUp() override {
    g_found.clear();
    g_count = 0;
    watch_for_deadlocks(
        [](const Deadlock& deadlock) {
          const std::scoped_lock lock(g_mutex);
          g_found.push_back(deadlock);
          ++g_count;
        },
        &gate);
  }
  void TearDown() override { watch_for_deadlocks(nullptr, nullptr); }

  static void await_report() {
    while (g_count == 0) std::this_thread::yield();
  }
  static void await_waiting(Waiter& waiter) {
    while ((waiter.waits.load() & 1) == 0) std::this_thread::yield();
  }

  Section gate, first, second;
  Known one{4}, two{8}, three{12};
};

TEST_F(DeadlockReport, NamesTwoSectionsInACircleOnce) {
  ASSERT_TRUE(try_enter(first, one.waiter));
  ASSERT_TRUE(try_enter(second, two.waiter));
  std::thread other([&] { EXPECT_FALSE(enter(first, two.waiter)); });
  std::thread outside([&] { EXPECT_FALSE(enter(first, three.waiter)); });
  std::thread self([&] { EXPECT_FALSE(enter(second, one.waiter)); });
  await_report();
  for (Known* known : {&one, &two, &three}) interrupt(known->waiter);
  self.join();
  other.join();
  outside.join();
  ASSERT_EQ(g_found.size(), 1u);
  const auto& members = g_found[0].members;
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].thread_id, 4u);
  EXPECT_EQ(members[0].waits_for, (Awaited{Awaited::Kind::section, &second}));
  EXPECT_EQ(members[0].holds, (std::vector{Awaited{Awaited::Kind::section, &first}}));
  EXPECT_EQ(members[1].thread_id, 8u);
  EXPECT_EQ(members[1].waits_for, (Awaited{Awaited::Kind::section, &first}));
}

TEST_F(DeadlockReport, FollowsMutexesAndWriters) {
  auto mutex = Ref<Mutex>::adopt(new Mutex(&one.waiter));
  abi::RTL_SRWLOCK srw{};
  ASSERT_TRUE(acquire_exclusive(srw, two.waiter));
  std::thread self([&] { EXPECT_FALSE(acquire_shared(srw, one.waiter)); });
  std::thread other(
      [&] { EXPECT_EQ(wait(*mutex, std::nullopt, two.waiter).kind, WaitOutcome::Kind::interrupted); });
  await_report();
  interrupt(one.waiter);
  interrupt(two.waiter);
  self.join();
  other.join();
  ASSERT_EQ(g_found.size(), 1u);
  EXPECT_EQ(g_found[0].members[0].waits_for, (Awaited{Awaited::Kind::shared, &srw}));
  EXPECT_EQ(g_found[0].members[1].waits_for.kind, Awaited::Kind::mutex);
  Mutex::abandon_all(one.waiter);
}

TEST_F(DeadlockReport, BelievesInEventsOnlyIfNobodyIsLeftAndNobodyCanCome) {
  auto event = Ref<Event>::adopt(new Event(false, false));
  ASSERT_TRUE(try_enter(gate, one.waiter));
  std::thread self([&] { (void)wait(*event, std::nullopt, one.waiter); });
  std::thread other([&] { EXPECT_FALSE(enter(gate, two.waiter)); });
  await_waiting(one.waiter);
  await_waiting(two.waiter);
  look_for_deadlock(one.waiter);  // the third is awake
  EXPECT_EQ(g_count, 0);
  std::thread third([&] { EXPECT_FALSE(enter(gate, three.waiter)); });
  await_report();
  for (Known* known : {&one, &two, &three}) interrupt(known->waiter);
  self.join();
  other.join();
  third.join();
  EXPECT_EQ(g_found.size(), 1u);
}

// The gate's owner waits for what no thread of the guest does, again and again, and is looked at all the
// time.
TEST_F(DeadlockReport, SaysNothingOfAnEventThatTheHostSets) {
  constexpr int kRounds = 2000;
  const auto event = Ref<Event>::adopt(new Event(false, false));
  ASSERT_TRUE(try_enter(gate, one.waiter));
  std::thread outside([&] { EXPECT_FALSE(enter(gate, two.waiter)); });
  await_waiting(two.waiter);
  std::atomic<int> asked{0}, done{0};
  std::thread host([&] {
    while (done < kRounds) {
      while (asked == done) std::this_thread::yield();
      event->set_as_expected();
      ++done;
    }
  });
  std::thread self([&] {
    for (int round = 0; round < kRounds; ++round) {
      event->expect();
      ++asked;
      EXPECT_EQ(wait(*event, std::nullopt, one.waiter).kind, WaitOutcome::Kind::satisfied);
    }
  });
  forget(three.waiter);  // who is awake could set it
  while (done < kRounds) look_for_deadlock(two.waiter);
  know(three.waiter);
  self.join();
  host.join();
  interrupt(two.waiter);
  outside.join();
  EXPECT_EQ(g_count, 0);
}

TEST_F(DeadlockReport, SaysNothingOfWaitsThatEndByThemselves) {
  auto mutex = Ref<Mutex>::adopt(new Mutex(&one.waiter));
  auto other_mutex = Ref<Mutex>::adopt(new Mutex(&two.waiter));
  std::thread self([&] { (void)wait(*other_mutex, std::nullopt, one.waiter); });
  std::thread alertable([&] { (void)wait(*mutex, std::nullopt, two.waiter, true); });
  await_waiting(one.waiter);
  await_waiting(two.waiter);
  look_for_deadlock(one.waiter);
  look_for_deadlock(two.waiter);
  interrupt(two.waiter);
  alertable.join();
  two.waiter.interrupted = false;
  constexpr std::uint64_t kAnHour = 3'600'000'000'000;
  std::thread bounded([&] { (void)wait(*mutex, deadline_after(kAnHour), two.waiter); });
  await_waiting(two.waiter);
  look_for_deadlock(one.waiter);
  interrupt(two.waiter);
  bounded.join();
  EXPECT_EQ(g_count, 0);
  interrupt(one.waiter);
  self.join();
  Mutex::abandon_all(one.waiter);
  Mutex::abandon_all(two.waiter);
}

/// A lock that is in other hands each time that its owner is asked for: in those of `owners` one after the
/// other, and from then on in those of the last.
struct PassedOn : LockKind {
  std::vector<std::uint32_t> owners;
  mutable std::size_t asked = 0;

  explicit PassedOn(std::vector<std::uint32_t> one_after_the_other)
      : LockKind{.kind = Awaited::Kind::section,
                 .add_owners =
                     [](const LockKind& self, const void*, std::vector<std::uint32_t>& ids) {
                       const auto& lock = static_cast<const PassedOn&>(self);
                       ids.push_back(lock.owners[std::min(lock.asked++, lock.owners.size() - 1)]);
                     }},
        owners(std::move(one_after_the_other)) {}

  void park(Waiter& waiter) const {
    waiter.parked_for = this;
    waiter.parked_at = this;
    ++waiter.waits;
  }
};

// A thread reads that `two` has a lock; then `two` gives it back, and begins to wait. (The thread that has
// been waiting for the lock still sleeps.)
TEST_F(DeadlockReport, SaysNothingOfALockLetGoBeforeItsOwnerBeganToWait) {
  const PassedOn was_twos({two.waiter.thread_id, 0});
  const PassedOn ones({one.waiter.thread_id});
  was_twos.park(one.waiter);
  ones.park(two.waiter);
  look_for_deadlock(one.waiter);
  EXPECT_EQ(g_count, 0);
  EXPECT_EQ(was_twos.asked, 3u);  // read, not confirmed, read anew
}

TEST_F(DeadlockReport, LooksAgainIfSomethingChangedMeanwhile) {
  const PassedOn twos_in_the_end({two.waiter.thread_id, three.waiter.thread_id, two.waiter.thread_id});
  const PassedOn ones({one.waiter.thread_id});
  twos_in_the_end.park(one.waiter);
  ones.park(two.waiter);
  look_for_deadlock(one.waiter);
  EXPECT_EQ(g_count, 1);
}

// Locks that are always taken in one order, by threads that are looked at all the time.
TEST_F(DeadlockReport, IsNeverFalse) {
  abi::RTL_SRWLOCK srw{};
  auto mutex = Ref<Mutex>::adopt(new Mutex(nullptr));
  std::array<Known, 4> known{Known(100), Known(104), Known(108), Known(112)};
  std::atomic<int> running{0};
  std::vector<std::thread> threads;
  for (Known& each : known) {
    ++running;
    threads.emplace_back([&] {
      Waiter& self = each.waiter;
      for (int round = 0; round < 2000; ++round) {
        EXPECT_TRUE(enter(first, self));
        if ((round & 1) != 0) {
          EXPECT_TRUE(acquire_exclusive(srw, self));
        }
        (void)wait(*mutex, std::nullopt, self);
        EXPECT_TRUE(enter(second, self));
        leave(second);
        EXPECT_TRUE(mutex->release(self));
        if ((round & 1) != 0) release_exclusive(srw, self);
        leave(first);
        EXPECT_TRUE(enter(second, self));
        if (round % 16 == 0) std::this_thread::yield();
        leave(second);
      }
      --running;
    });
  }
  while (running != 0) {
    for (Known& each : known) look_for_deadlock(each.waiter);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(g_count, 0);
}

}  // namespace
}  // namespace bobbin::sync
