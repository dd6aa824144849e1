#include "process/thread_pool.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace bobbin::process {
namespace {

using sync::Event;
using sync::Ref;
constexpr std::uint64_t kMillisecond = 1'000'000;

thread_local sync::Waiter t_waiter;

/// Workers as plain host threads, joined at the end; `refuse` makes starting one fail.
struct Workers {
  std::mutex mutex;
  std::vector<std::thread> threads;
  std::vector<sync::Waiter*> waiters;
  std::atomic<bool> refuse{false};

  PoolThreads interface() {
    return {
        .create_worker = [this](void (*routine)(void*), void* argument) { return create(routine, argument); },
        .current_waiter = []() -> sync::Waiter& { return t_waiter; }};
  }
  Result<void> create(void (*routine)(void*), void* argument) {
    if (refuse) return fail({.kind = ErrorKind::out_of_memory, .what = "no threads today"});
    const std::scoped_lock lock(mutex);
    threads.emplace_back([=] { routine(argument); });
    return {};
  }
  ~Workers() {
    for (std::thread& thread : threads) thread.join();
  }
};

Ref<Task> task(Task::Body body) { return Ref<Task>::adopt(new Task(std::move(body))); }

struct Fixture : testing::Test {
  Workers workers;
  ThreadPool pool{workers.interface()};
  sync::Waiter self;
};

using Pool = Fixture;

TEST_F(Pool, CarriesOutWhatItIsAskedTo) {
  std::atomic<int> count{0};
  const auto add = task([&](Call& call) {
    EXPECT_EQ(call.why(), Call::Why::asked);
    return ++count, true;
  });
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pool.submit(*add).has_value());
  pool.wait_until_idle(*add, self);
  EXPECT_EQ(count.load(), 1000);
  EXPECT_TRUE(pool.is_idle(*add));
}

TEST_F(Pool, GrowsWhenItsWorkersBlock) {
  constexpr int kBlocked = 20;
  const auto gate = Ref<Event>::adopt(new Event(true, false));
  std::atomic<int> inside{0};
  const auto block = task([&](Call&) {
    if (++inside == kBlocked) gate->set();  // the last lets all go: fewer workers would deadlock
    EXPECT_EQ(sync::wait(*gate, std::nullopt, t_waiter).kind, sync::WaitOutcome::Kind::satisfied);
    return true;
  });
  for (int i = 0; i < kBlocked; ++i) ASSERT_TRUE(pool.submit(*block).has_value());
  pool.wait_until_idle(*block, self);
  EXPECT_EQ(inside.load(), kBlocked);
}

TEST_F(Pool, CancelsWhatHasNotBegun) {
  pool.set_maximum(1);
  const auto gate = Ref<Event>::adopt(new Event(true, false));
  const auto begun = Ref<Event>::adopt(new Event(true, false));
  std::atomic<int> count{0};
  const auto block = task([&](Call&) {
    begun->set();
    (void)sync::wait(*gate, std::nullopt, t_waiter);
    return ++count, true;
  });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pool.submit(*block).has_value());
  (void)sync::wait(*begun, std::nullopt, self);
  EXPECT_EQ(pool.cancel_pending(*block), 4u);
  EXPECT_FALSE(pool.is_idle(*block));
  gate->set();
  pool.wait_until_idle(*block, self);
  EXPECT_EQ(count.load(), 1);
}

TEST_F(Pool, TimersComeDueAgainAndAgain) {
  const auto thrice = Ref<Event>::adopt(new Event(true, false));
  std::atomic<int> count{0};
  const auto tick = task([&](Call& call) {
    EXPECT_EQ(call.why(), Call::Why::timed_out);
    if (++count == 3) thrice->set();
    return true;
  });
  ASSERT_TRUE(pool.watch(*tick, {.deadline = sync::deadline_after(0), .period = kMillisecond}).has_value());
  EXPECT_TRUE(pool.is_watching(*tick));
  EXPECT_EQ(sync::wait(*thrice, std::nullopt, self).kind, sync::WaitOutcome::Kind::satisfied);
  EXPECT_TRUE(pool.unwatch(*tick));
  EXPECT_FALSE(pool.unwatch(*tick));
  pool.wait_until_idle(*tick, self);
}

TEST_F(Pool, WatchesMoreObjectsThanOneWaitTakes) {
  constexpr std::size_t kObjects = 150;
  std::atomic<std::size_t> signalled{0};
  std::vector<Ref<Event>> events;
  std::vector<Ref<Task>> tasks;
  for (std::size_t i = 0; i < kObjects; ++i) {
    events.push_back(Ref<Event>::adopt(new Event(false, false)));
    tasks.push_back(task([&](Call& call) { return signalled += call.why() == Call::Why::signalled, true; }));
    ASSERT_TRUE(pool.watch(*tasks[i], {.object = events[i]}).has_value());
  }
  for (const auto& event : events) event->set();
  for (const auto& one : tasks) {
    while (pool.is_watching(*one)) std::this_thread::yield();
    pool.wait_until_idle(*one, self);
  }
  EXPECT_EQ(signalled.load(), kObjects);
}

TEST_F(Pool, AWatchMayTimeOutAndMayGoOn) {
  const auto event = Ref<Event>::adopt(new Event(true, true));  // stays signalled
  const auto enough = Ref<Event>::adopt(new Event(true, false));
  std::atomic<int> count{0};
  const auto again = task([&](Call&) { return ++count == 5 ? enough->set() : false, true; });
  ASSERT_TRUE(pool.watch(*again, {.object = event, .again = true}).has_value());
  (void)sync::wait(*enough, std::nullopt, self);
  pool.unwatch(*again);
  const auto never = Ref<Event>::adopt(new Event(true, false));
  const auto late = task([&](Call& call) {
    EXPECT_EQ(call.why(), Call::Why::timed_out);
    return true;
  });
  ASSERT_TRUE(
      pool.watch(*late, {.object = never, .deadline = sync::deadline_after(kMillisecond)}).has_value());
  while (pool.is_watching(*late)) std::this_thread::yield();
  pool.wait_until_idle(*late, self);
  pool.wait_until_idle(*again, self);
}

TEST_F(Pool, RetiringTellsWhenTheLastCallbackIsOver) {
  const auto gone = Ref<Event>::adopt(new Event(true, false));
  const auto gate = Ref<Event>::adopt(new Event(true, false));
  auto block = task([&](Call&) { return (void)sync::wait(*gate, std::nullopt, t_waiter), true; });
  ASSERT_TRUE(pool.submit(*block).has_value());
  pool.retire(*block, gone);
  EXPECT_EQ(sync::wait(*gone, 0, self).kind, sync::WaitOutcome::Kind::timed_out);
  gate->set();
  EXPECT_EQ(sync::wait(*gone, std::nullopt, self).kind, sync::WaitOutcome::Kind::satisfied);
}

// A timer that sets itself anew in its callback, while another thread ends it.
TEST_F(Pool, WhatIsRetiredWatchesNoMore) {
  const auto again = task([](Call&) { return true; });
  pool.retire(*again);
  ASSERT_TRUE(pool.watch(*again, {.deadline = 0}).has_value());
  EXPECT_FALSE(pool.is_watching(*again));
}

TEST_F(Pool, DisassociatingEndsTheWaitNotTheCallback) {
  const auto gate = Ref<Event>::adopt(new Event(true, false));
  const auto free = task([gate](Call& call) {  // its own reference: the worker may outlive this body
    EXPECT_TRUE(call.may_run_long());
    call.disassociate();
    return (void)sync::wait(*gate, std::nullopt, t_waiter), true;
  });
  ASSERT_TRUE(pool.submit(*free).has_value());
  pool.wait_until_idle(*free, self);
  gate->set();
}

TEST_F(Pool, SaysWhenThereIsNoThreadToBeHad) {
  workers.refuse = true;
  const auto nothing = task([](Call&) { return true; });
  EXPECT_FALSE(pool.submit(*nothing).has_value());
  EXPECT_TRUE(pool.is_idle(*nothing));
  workers.refuse = false;
  EXPECT_TRUE(pool.set_minimum(2).has_value());
  EXPECT_EQ(pool.workers(), 2u);
}

TEST_F(Pool, AWorkerWhoseGuestHasLeftEnds) {
  const auto leave = task([](Call&) { return false; });
  ASSERT_TRUE(pool.submit(*leave).has_value());
  pool.wait_until_idle(*leave, self);
  while (pool.workers() != 0) std::this_thread::yield();
}

}  // namespace
}  // namespace bobbin::process
