#include "sync/dispatcher.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "abi/status.hpp"

namespace bobbin::sync {
namespace {

using Outcome = WaitOutcome::Kind;
constexpr os::Deadline kPoll = 0;
constexpr os::Deadline kForever = std::nullopt;
constexpr std::uint64_t kMillisecond = 1'000'000;

Ref<Event> auto_event(bool set = false) { return Ref<Event>::adopt(new Event(false, set)); }
Ref<Event> manual_event(bool set = false) { return Ref<Event>::adopt(new Event(true, set)); }

/// Returns once `waiter` is in a wait on objects: reads the graph as a deadlock detector will.
void await_sleep(Waiter& waiter) {
  for (;;) {
    {
      const DispatcherLock lock;
      if (waiter.waiting != nullptr) return;
    }
    std::this_thread::yield();
  }
}

TEST(Wait, TakesAnAutoResetEventOnce) {
  Waiter self;
  const auto event = auto_event(true);
  EXPECT_EQ(wait(*event, kPoll, self).kind, Outcome::satisfied);
  EXPECT_EQ(wait(*event, kPoll, self).kind, Outcome::timed_out);
  EXPECT_FALSE(event->set());
  EXPECT_TRUE(event->set());
  EXPECT_TRUE(event->reset());
  EXPECT_EQ(wait(*event, kPoll, self).kind, Outcome::timed_out);
}

TEST(Wait, LeavesAManualResetEventSet) {
  Waiter self;
  const auto event = manual_event(true);
  EXPECT_EQ(wait(*event, kForever, self).kind, Outcome::satisfied);
  EXPECT_EQ(wait(*event, kForever, self).kind, Outcome::satisfied);
}

TEST(Wait, EndsAtItsDeadline) {
  Waiter self;
  const auto event = auto_event();
  const std::uint64_t start = os::monotonic_now();
  EXPECT_EQ(wait(*event, deadline_after(5 * kMillisecond), self).kind, Outcome::timed_out);
  EXPECT_GE(os::monotonic_now() - start, 5 * kMillisecond);
  EXPECT_EQ(wait({}, false, deadline_after(kMillisecond), self).kind, Outcome::timed_out);
}

TEST(Wait, ForAnyTellsWhich) {
  Waiter self;
  const auto a = auto_event();
  const auto b = auto_event(true);
  const auto c = auto_event(true);
  const std::array<Waitable*, 3> objects = {a.get(), b.get(), c.get()};
  const WaitOutcome outcome = wait(objects, false, kForever, self);
  EXPECT_EQ(outcome.kind, Outcome::satisfied);
  EXPECT_EQ(outcome.index, 1u);
  EXPECT_EQ(wait(*b, kPoll, self).kind, Outcome::timed_out) << "b was consumed";
  EXPECT_EQ(wait(*c, kPoll, self).kind, Outcome::satisfied) << "c was left alone";
}

TEST(Wait, ForAllTakesAllOrNothing) {
  Waiter self;
  const auto a = auto_event(true);
  const auto b = auto_event();
  const std::array<Waitable*, 2> objects = {a.get(), b.get()};
  EXPECT_EQ(wait(objects, true, kPoll, self).kind, Outcome::timed_out);
  EXPECT_EQ(wait(objects, true, deadline_after(kMillisecond), self).kind, Outcome::timed_out);
  std::thread setter([&] { b->set(); });
  EXPECT_EQ(wait(objects, true, kForever, self).kind, Outcome::satisfied);
  setter.join();
  EXPECT_EQ(wait(*a, kPoll, self).kind, Outcome::timed_out);
  EXPECT_EQ(wait(*b, kPoll, self).kind, Outcome::timed_out);
}

TEST(Wait, ForAllLetsOthersPassWhileItCannotBeComplete) {
  const auto a = auto_event();
  const auto b = auto_event();
  Waiter both;
  Waiter one;
  const std::array<Waitable*, 2> objects = {a.get(), b.get()};
  std::thread first([&] { EXPECT_EQ(wait(objects, true, kForever, both).kind, Outcome::satisfied); });
  await_sleep(both);
  std::thread second([&] { EXPECT_EQ(wait(*a, kForever, one).kind, Outcome::satisfied); });
  await_sleep(one);
  a->set();  // goes to the second in the queue: the first cannot use it alone
  second.join();
  b->set();
  a->set();
  first.join();
}

TEST(Wait, ServesInTheOrderOfArrival) {
  constexpr int kThreads = 8;
  const auto event = auto_event();
  std::array<Waiter, kThreads> waiters;
  std::vector<std::thread> threads;
  std::atomic<int> arrived{0};
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_EQ(wait(*event, kForever, waiters[static_cast<std::size_t>(i)]).kind, Outcome::satisfied);
      EXPECT_EQ(arrived.fetch_add(1), i);
    });
    await_sleep(waiters[static_cast<std::size_t>(i)]);
  }
  for (int i = 0; i < kThreads; ++i) {
    event->set();
    while (arrived.load() != i + 1) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Wait, TheSameObjectTwiceIsFineForAny) {
  const auto event = auto_event();
  Waiter self;
  const std::array<Waitable*, 2> objects = {event.get(), event.get()};
  std::thread waiting([&] { EXPECT_EQ(wait(objects, false, kForever, self).index, 0u); });
  await_sleep(self);
  event->set();
  waiting.join();
  EXPECT_FALSE(event->reset());
}

TEST(Wait, PulseReachesOnlyThoseWhoWait) {
  const auto event = manual_event();
  std::array<Waiter, 2> waiters;
  std::vector<std::thread> threads;
  for (Waiter& waiter : waiters) {
    threads.emplace_back([&] { EXPECT_EQ(wait(*event, kForever, waiter).kind, Outcome::satisfied); });
    await_sleep(waiter);
  }
  event->pulse();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wait(*event, kPoll, waiters[0]).kind, Outcome::timed_out);
}

TEST(Interrupt, EndsASleepingWaitAndTheNextOne) {
  const auto event = auto_event();
  Waiter self;
  std::thread waiting([&] { EXPECT_EQ(wait(*event, kForever, self).kind, Outcome::interrupted); });
  await_sleep(self);
  interrupt(self);
  waiting.join();
  EXPECT_EQ(wait(*event, kForever, self).kind, Outcome::interrupted);
  event->set();
  EXPECT_EQ(wait(*event, kForever, self).kind, Outcome::satisfied) << "no sleep, no interruption";
  self.interrupted = false;
  EXPECT_EQ(wait(*event, deadline_after(kMillisecond), self).kind, Outcome::timed_out);
}

TEST(Semaphore, CountsAndRefusesToPassItsMaximum) {
  Waiter self;
  const auto semaphore = Ref<Semaphore>::adopt(new Semaphore(1, 3));
  EXPECT_EQ(wait(*semaphore, kPoll, self).kind, Outcome::satisfied);
  EXPECT_EQ(wait(*semaphore, kPoll, self).kind, Outcome::timed_out);
  EXPECT_EQ(semaphore->release(2).value(), 0);
  EXPECT_EQ(semaphore->release(2).error().status, abi::STATUS_SEMAPHORE_LIMIT_EXCEEDED);
  EXPECT_EQ(semaphore->release(1).value(), 2);
  EXPECT_FALSE(semaphore->release(0).has_value());
}

TEST(Mutex, IsRecursiveAndOwned) {
  Waiter owner;
  Waiter other;
  const auto mutex = Ref<Mutex>::adopt(new Mutex(&owner));
  EXPECT_EQ(wait(*mutex, kPoll, owner).kind, Outcome::satisfied);
  EXPECT_EQ(wait(*mutex, kPoll, other).kind, Outcome::timed_out);
  EXPECT_EQ(mutex->release(other).error().status, abi::STATUS_MUTANT_NOT_OWNED);
  EXPECT_TRUE(mutex->release(owner).has_value());
  EXPECT_EQ(wait(*mutex, kPoll, other).kind, Outcome::timed_out) << "still held once";
  EXPECT_TRUE(mutex->release(owner).has_value());
  EXPECT_EQ(wait(*mutex, kPoll, other).kind, Outcome::satisfied);
  EXPECT_FALSE(mutex->release(owner).has_value());
  EXPECT_TRUE(mutex->release(other).has_value());
}

TEST(Mutex, IsAbandonedByAThreadThatEnds) {
  Waiter self;
  auto dead = std::make_unique<Waiter>();
  const auto a = Ref<Mutex>::adopt(new Mutex(dead.get()));
  const auto b = Ref<Mutex>::adopt(new Mutex(dead.get()));
  std::thread waiting([&] {
    EXPECT_EQ(wait(*a, kForever, self).kind, Outcome::abandoned);
    EXPECT_TRUE(a->release(self).has_value());
    EXPECT_EQ(wait(*a, kForever, self).kind, Outcome::satisfied) << "only the first is told";
  });
  await_sleep(self);
  Mutex::abandon_all(*dead);
  dead.reset();
  waiting.join();
  const std::array<Waitable*, 2> both = {b.get(), a.get()};
  EXPECT_EQ(wait(both, true, kPoll, self).kind, Outcome::abandoned);
  Mutex::abandon_all(self);
}

TEST(Mutex, MayBeDestroyedWhileOwned) {
  Waiter self;
  (void)Ref<Mutex>::adopt(new Mutex(&self));
  EXPECT_EQ(self.owned_mutexes, nullptr);
}

TEST(Timer, ComesDueForWhomeverWaits) {
  Waiter self;
  const auto timer = Ref<Timer>::adopt(new Timer(false));
  EXPECT_EQ(wait(*timer, kPoll, self).kind, Outcome::timed_out);
  timer->set(*deadline_after(2 * kMillisecond), 0);
  EXPECT_EQ(wait(*timer, kForever, self).kind, Outcome::satisfied);
  EXPECT_EQ(wait(*timer, kPoll, self).kind, Outcome::timed_out) << "auto-reset, once";
  timer->set(*deadline_after(0), kMillisecond);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wait(*timer, kForever, self).kind, Outcome::satisfied);
  timer->cancel();
  (void)wait(*timer, kPoll, self);
  EXPECT_EQ(wait(*timer, deadline_after(3 * kMillisecond), self).kind, Outcome::timed_out);
}

TEST(Timer, SetUnderASleepingThreadIsNoticed) {
  Waiter self;
  const auto timer = Ref<Timer>::adopt(new Timer(true));
  std::thread waiting([&] { EXPECT_EQ(wait(*timer, kForever, self).kind, Outcome::satisfied); });
  await_sleep(self);
  timer->set(*deadline_after(3600 * 1000 * kMillisecond), 0);
  timer->set(*deadline_after(kMillisecond), 0);
  waiting.join();
  EXPECT_EQ(wait(*timer, kPoll, self).kind, Outcome::satisfied) << "manual-reset";
}

TEST(Timer, ComesDueWithinAWaitForAll) {
  Waiter self;
  const auto timer = Ref<Timer>::adopt(new Timer(false));
  const auto event = auto_event();
  const std::array<Waitable*, 2> both = {timer.get(), event.get()};
  timer->set(*deadline_after(kMillisecond), 0);
  EXPECT_EQ(wait(both, true, deadline_after(3 * kMillisecond), self).kind, Outcome::timed_out);
  event->set();
  EXPECT_EQ(wait(both, true, kForever, self).kind, Outcome::satisfied);
}

TEST(Stress, AMutexExcludesAndNothingIsLost) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 3000;
  const auto mutex = Ref<Mutex>::adopt(new Mutex(nullptr));
  const auto semaphore = Ref<Semaphore>::adopt(new Semaphore(kThreads / 2, kThreads));
  int counter = 0;  // guarded by mutex
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      Waiter self;
      const std::array<Waitable*, 2> both = {semaphore.get(), mutex.get()};
      for (int round = 0; round < kRounds; ++round) {
        while (wait(both, true, deadline_after(kMillisecond), self).kind != Outcome::satisfied) {
        }
        ++counter;
        EXPECT_TRUE(semaphore->release(1).has_value());
        EXPECT_TRUE(mutex->release(self).has_value());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, kThreads * kRounds);
}

TEST(Stress, EachAutoResetSignalGoesToExactlyOne) {
  constexpr int kSignals = 4000;
  const auto event = auto_event();
  const auto taken = auto_event();
  std::atomic<int> count{0};
  std::atomic<bool> over{false};
  std::array<Waiter, 3> waiters;
  std::vector<std::thread> threads;
  for (Waiter& waiter : waiters) {
    threads.emplace_back([&] {
      while (!over.load()) {
        if (wait(*event, deadline_after(kMillisecond / 20), waiter).kind != Outcome::satisfied) continue;
        count.fetch_add(1);
        taken->set();
      }
    });
  }
  Waiter self;
  for (int i = 0; i < kSignals; ++i) {
    event->set();
    EXPECT_EQ(wait(*taken, kForever, self).kind, Outcome::satisfied);
  }
  over = true;
  for (Waiter& waiter : waiters) interrupt(waiter);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count.load(), kSignals);
}

}  // namespace
}  // namespace bobbin::sync
