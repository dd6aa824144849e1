// The explorer itself: it sees every order there is, finds what is wrong in few of them, and finds it again.
#include "os/fake/explorer.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "os/os.hpp"

namespace bobbin::os::fake {
namespace {

/// Counts orders by another way than the explorer's: threads with so many steps left, one of which runs.
std::size_t orders(std::vector<int> left, int running, int preemptions) {
  std::size_t total = 0;
  bool over = true;
  for (int next = 0; next < static_cast<int>(left.size()); ++next) {
    if (left[static_cast<std::size_t>(next)] == 0) continue;
    over = false;
    const bool taken = running >= 0 && next != running && left[static_cast<std::size_t>(running)] != 0;
    if (taken && preemptions == 0) continue;
    std::vector<int> after = left;
    --after[static_cast<std::size_t>(next)];
    total += orders(after, next, preemptions - (taken ? 1 : 0));
  }
  return over ? 1 : total;
}

/// A scenario of threads that just take so many steps each.
Scenario walkers(const std::vector<int>& steps) {
  Scenario scenario;
  for (const int count : steps) {
    scenario.threads.emplace_back([count] {
      for (int i = 1; i < count; ++i) pause();
    });
  }
  return scenario;
}

TEST(ExplorerTest, SeesEveryOrderOnce) {
  for (const std::vector<int>& steps : {std::vector{1, 1}, {3, 3}, {2, 3, 4}, {2, 2, 2, 2}}) {
    for (const int bound : {0, 1, 2, 100}) {
      const Exploration seen = explore([&] { return walkers(steps); }, {.preemptions = bound});
      EXPECT_EQ(seen.schedules, orders(steps, -1, bound)) << bound;
      EXPECT_EQ(seen.failure, "");
    }
  }
  EXPECT_EQ(orders({3, 3}, -1, 100), 20u) << "6! / (3! 3!)";
}

/// Three threads want the last two seats. A careless one looks, and takes what it saw, under two locks.
Scenario buyers(bool careless) {
  struct World {
    Mutex lock;
    int seats = 2;
  };
  auto world = std::make_shared<World>();
  const auto buy = [world, careless] {
    world->lock.lock();
    const bool free = world->seats > 0;
    if (careless) {
      world->lock.unlock();
      world->lock.lock();
    }
    if (free) --world->seats;
    world->lock.unlock();
  };
  return {.threads = {buy, buy, buy}, .broken = [world]() -> std::optional<std::string> {
            return world->seats < 0 ? std::optional<std::string>("a seat is sold twice") : std::nullopt;
          }};
}

TEST(ExplorerTest, FindsACheckThatIsNotItsActAndFindsItAgain) {
  const auto careless = [] { return buyers(true); };
  EXPECT_EQ(explore(careless, {.preemptions = 0}).failure, "") << "one after the other they do no harm";
  const Exploration found = explore(careless, {.preemptions = 2});
  EXPECT_EQ(found.failure, "a seat is sold twice");
  EXPECT_LE(found.schedule.size(), 20u) << found.schedule;
  const Exploration again = explore(careless, {.replay = found.schedule});
  EXPECT_EQ(again.failure, found.failure);
  EXPECT_EQ(again.schedule, found.schedule);
  EXPECT_EQ(again.schedules, 1u);
  const Exploration other = explore(careless, {.replay = "A9"});
  EXPECT_EQ(other.failure, "the schedule does not fit: a thread that is to run cannot");
  EXPECT_EQ(explore(careless, {.replay = "B2 hello"}).failure, "not a schedule: B2 hello");
}

TEST(ExplorerTest, FindsNothingInACheckThatIs) {
  const Exploration seen = explore([] { return buyers(false); }, {.preemptions = 2});
  EXPECT_EQ(seen.failure, "");
  EXPECT_GT(seen.schedules, 50u);
}

TEST(ExplorerTest, FindsADeadlock) {
  struct World {
    Mutex first, second;
  };
  const auto opposed = [] {
    auto world = std::make_shared<World>();
    const auto both = [world](Mutex& outer, Mutex& inner) {
      outer.lock();
      inner.lock();
      inner.unlock();
      outer.unlock();
    };
    return Scenario{
        .threads = {[=] { both(world->first, world->second); }, [=] { both(world->second, world->first); }}};
  };
  EXPECT_EQ(explore(opposed, {.preemptions = 0}).failure, "");
  const Exploration found = explore(opposed, {.preemptions = 1});
  EXPECT_EQ(found.failure, "deadlock: A waits, B waits, nobody runs");
  EXPECT_EQ(explore(opposed, {.replay = found.schedule}).failure, found.failure);
}

TEST(ExplorerTest, FindsAReaderThatComesBackWhileAWriterWaits) {
  const auto again = [] {
    auto lock = std::make_shared<RwLock>();
    return Scenario{.threads = {[=] {
                                  lock->lock_shared();
                                  lock->lock_shared();
                                  lock->unlock_shared();
                                  lock->unlock_shared();
                                },
                                [=] {
                                  lock->lock();
                                  lock->unlock();
                                }}};
  };
  EXPECT_EQ(explore(again, {.preemptions = 0}).failure, "");
  EXPECT_EQ(explore(again, {.preemptions = 1}).failure, "deadlock: A waits, B waits, nobody runs");
}

TEST(ExplorerTest, FindsWhatIsNotGivenBack) {
  void* kept = nullptr;
  const auto forgetful = [&] { return Scenario{.threads = {[&] { kept = allocate(16); }}}; };
  EXPECT_EQ(explore(forgetful, {}).failure, "not all was given back to the host");
  deallocate(kept);
}

TEST(ExplorerDeathTest, ACrashNamesItsSchedule) {
  const auto crash = [](const std::string& replay) {
    const auto fatal = [] {
      auto world = std::make_shared<int>(0);
      return Scenario{.threads = {[=] {
                                    *world = 1;
                                    pause();
                                    *world = 0;
                                  },
                                  [=] {
                                    if (*world == 1) std::abort();
                                  }}};
    };
    (void)explore(fatal, {.preemptions = 1, .replay = replay});
  };
  EXPECT_DEATH(crash(""), "signal 6 in the schedule 'A1 B1'");
  EXPECT_DEATH(crash("A1 B1"), "signal 6 in the schedule 'A1 B1'");
}

TEST(ExplorerTest, FindsAScenarioThatDoesSomethingElseEachTime) {
  auto runs = std::make_shared<int>(0);
  const auto moody = [runs] { return walkers(++*runs % 2 == 0 ? std::vector{2, 2} : std::vector{3, 1}); };
  EXPECT_EQ(explore(moody, {}).failure, "the scenario does something else each time");
}

}  // namespace
}  // namespace bobbin::os::fake
