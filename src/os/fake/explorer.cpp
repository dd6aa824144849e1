#include "os/fake/explorer.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>

#include "os/fake/fake.hpp"
#include "os/os.hpp"

namespace bobbin::os::fake {
namespace {

constexpr int kNobody = -1;
constexpr std::size_t kMostThreads = 8;

/// Which of the scenario's threads this is.
thread_local int t_self = kNobody;

/// A point of a schedule: who could have gone on, and which of them was tried last.
struct Choice {
  std::array<std::int8_t, kMostThreads> able{};  ///< whoever ran before comes first, if able
  std::int8_t count = 0;
  std::int8_t tried = 0;
  [[nodiscard]] int chosen() const { return able[static_cast<std::size_t>(tried)]; }
};

/// A schedule as it is written: who ran, and for how many steps.
class Trail {
 public:
  void add(int thread) {
    if (!runs_.empty() && runs_.back().thread == thread)
      ++runs_.back().steps;
    else
      runs_.push_back({thread, 1});
  }
  void clear() { runs_.clear(); }

  [[nodiscard]] std::string text() const {
    std::string text;
    for (const Run& run : runs_) {
      if (!text.empty()) text += ' ';
      text += static_cast<char>('A' + run.thread) + std::to_string(run.steps);
    }
    return text;
  }

  /// The threads in their order, step by step; nothing if the text is no schedule.
  [[nodiscard]] static std::optional<std::vector<int>> parse(const std::string& text) {
    std::vector<int> steps;
    for (const char *at = text.data(), *end = at + text.size(); at != end;) {
      if (*at == ' ') {
        ++at;
        continue;
      }
      const int thread = *at++ - 'A';
      int count = 0;
      const auto [next, error] = std::from_chars(at, end, count);
      if (thread < 0 || thread >= static_cast<int>(kMostThreads) || error != std::errc{}) return std::nullopt;
      at = next;
      steps.insert(steps.end(), static_cast<std::size_t>(std::max(count, 0)), thread);
    }
    return steps;
  }

 private:
  struct Run {
    int thread;
    int steps;
  };
  std::vector<Run> runs_;
};

/// Keeps the calling thread, and those it starts, on one processor: handing the turn on is then three times
/// as quick.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(std::max(sched_getcpu(), 0)), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

/// A thread's turn, to be given and waited for. Sleeps at once: a std::binary_semaphore yields first, which
/// on one processor hands the rest of a time slice to whatever else runs there.
class Turn {
 public:
  void release() {
    given_ = 1;
    futex_wake(given_, 1);
  }
  void acquire() {
    while (given_.exchange(0) == 0) futex_wait(given_, 0);
  }

 private:
  std::atomic<std::uint32_t> given_{0};
};

/// Only the thread whose turn it is touches the fields, so none is guarded by a lock.
class Explorer final : public Scheduler {
 public:
  explicit Explorer(std::size_t threads) : count_(static_cast<int>(threads)) {
    if (threads > kMostThreads) std::abort();
    for (int i = 0; i < count_; ++i) workers_.emplace_back([this, i] { work(i); });
  }
  Explorer(const Explorer&) = delete;
  Explorer& operator=(const Explorer&) = delete;
  ~Explorer() override {
    stopping_ = true;
    for (auto& turn : turns_) turn.release();
    for (std::thread& worker : workers_) worker.join();
  }

  /// One run. False: threads are stuck for ever, with what they use.
  bool run(Scenario& scenario, int bound) {
    scenario_ = &scenario;
    bound_ = bound;
    position_ = 0;
    preemptions_ = 0;
    steps_ = 0;
    failed_ = false;
    trail_.clear();
    blocked_.fill(nullptr);
    finished_.fill(false);
    running_ = kNobody;
    held_before_ = locks_held();
    install(this);
    pass_on(choose());
    done_.acquire();
    install(nullptr);
    if (!deadlocked_ && locks_held() != held_before_) fail("a lock is still held");
    return !deadlocked_;
  }

  /// Changes the last choice that leaves something to try; false: there is none.
  bool next() {
    while (!path_.empty()) {
      if (++path_.back().tried < path_.back().count) return true;
      path_.pop_back();
    }
    return false;
  }
  void restart() { path_.clear(); }
  void replay(std::vector<int> steps) { replay_ = std::move(steps); }
  /// The workers stay asleep for ever; nobody may delete this explorer.
  void abandon() {
    for (std::thread& worker : workers_) worker.detach();
  }

  void fail(const std::string& what) {
    if (std::exchange(failed_, true)) return;
    failure_ = what;
    schedule_ = trail_.text();
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] const std::string& schedule() const { return schedule_; }
  [[nodiscard]] std::size_t steps() const { return steps_; }
  [[nodiscard]] std::string so_far() const { return trail_.text(); }

  // Scheduler
  void reach() override {
    if (t_self == kNobody || checking_) return;
    check();
    const int next = choose();
    if (next == t_self) return;
    pass_on(next);
    await(t_self);
  }
  void wait_for(const void* lock) override {
    if (t_self == kNobody || checking_) {
      std::fputs("os/fake: a check waits for a lock that nobody can give back\n", stderr);
      std::abort();
    }
    const int self = t_self;
    blocked_[index(self)] = lock;
    const int next = choose();
    if (next == kNobody) stuck();
    pass_on(next);
    await(self);
  }
  void freed(const void* lock) override {
    if (checking_) return;
    for (auto& waiting : blocked_) {
      if (waiting == lock) waiting = nullptr;
    }
  }

 private:
  static std::size_t index(int thread) { return static_cast<std::size_t>(thread); }

  void work(int self) {
    t_self = self;
    for (;;) {
      await(self);
      if (stopping_) return;
      scenario_->threads[index(self)]();
      finished_[index(self)] = true;
      check();
      if (std::all_of(finished_.begin(), finished_.begin() + count_, [](bool ended) { return ended; })) {
        running_ = kNobody;
        done_.release();
        continue;
      }
      const int next = choose();
      if (next == kNobody) stuck();
      pass_on(next);
    }
  }

  void pass_on(int next) { turns_[index(next)].release(); }
  void await(int self) { turns_[index(self)].acquire(); }

  /// All that are not finished wait for a lock.
  [[noreturn]] void stuck() {
    std::string what = "deadlock:";
    for (int i = 0; i < count_; ++i) {
      if (!finished_[index(i)]) what += std::string(" ") + static_cast<char>('A' + i) + " waits,";
    }
    fail(what + " nobody runs");
    deadlocked_ = true;
    done_.release();
    for (;;) await(t_self);
  }

  [[nodiscard]] bool able(int thread) const {
    return thread != kNobody && !finished_[index(thread)] && blocked_[index(thread)] == nullptr;
  }

  /// Asks the scenario whether all is well. What earlier runs have already seen is not asked again.
  void check() {
    const bool seen_before = position_ < path_.size();
    if (seen_before || failed_ || !scenario_->broken || locks_held() != held_before_) return;
    checking_ = true;
    const auto broken = scenario_->broken();
    checking_ = false;
    if (broken) fail(*broken);
  }

  /// Who runs the next step; nobody if nobody can.
  int choose() {
    Choice fresh;
    if (able(running_)) fresh.able[index(fresh.count++)] = static_cast<std::int8_t>(running_);
    const bool free = fresh.count == 0;  // to choose without it being a pre-emption
    for (int i = 0; i < count_ && (free || preemptions_ < bound_); ++i) {
      if (i != running_ && able(i)) fresh.able[index(fresh.count++)] = static_cast<std::int8_t>(i);
    }
    if (fresh.count == 0) return kNobody;
    int next = fresh.chosen();
    if (!replay_.empty()) {
      next = position_ < replay_.size() ? replay_[position_] : next;
      if (!able(next)) {
        fail("the schedule does not fit: a thread that is to run cannot");
        next = fresh.chosen();
      }
    } else if (position_ < path_.size()) {
      const Choice& planned = path_[position_];
      if (planned.count != fresh.count || planned.able != fresh.able)
        fail("the scenario does something else each time");
      else
        next = planned.chosen();
    } else if (!failed_) {
      path_.push_back(fresh);
    }
    ++position_;
    ++steps_;
    if (!free && next != running_) ++preemptions_;
    trail_.add(next);
    return running_ = next;
  }

  const int count_;
  std::vector<std::thread> workers_;
  std::array<Turn, kMostThreads> turns_;
  Turn done_;
  bool stopping_ = false;

  std::vector<Choice> path_;  ///< of this run; the next one follows it up to where it differs
  std::vector<int> replay_;   ///< not empty: followed instead, threads by step

  // Of this run.
  Scenario* scenario_ = nullptr;
  int bound_ = 0;
  std::size_t position_ = 0;  ///< choices made
  std::size_t steps_ = 0;
  int preemptions_ = 0;
  int running_ = kNobody;
  std::array<const void*, kMostThreads> blocked_{};  ///< the lock that a thread waits for
  std::array<bool, kMostThreads> finished_{};
  Trail trail_;
  int held_before_ = 0;  ///< locks of threads that an earlier explorer left in a deadlock
  bool checking_ = false;
  bool deadlocked_ = false;
  bool failed_ = false;
  std::string failure_;
  std::string schedule_;
};

Explorer* g_explorer = nullptr;

/// A schedule that crashes says so before it dies of it. Nothing is safe in such a handler, and nothing is
/// lost.
void on_crash(int signal) {
  std::fprintf(stderr, "os/fake: signal %d in the schedule '%s'\n", signal, g_explorer->so_far().c_str());
}

class CrashReports {
 public:
  CrashReports() {
    struct sigaction report{};
    report.sa_handler = on_crash;
    report.sa_flags = static_cast<int>(SA_RESETHAND);  // the second time it is what it was meant to be
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &report, &before_[i]);
  }
  CrashReports(const CrashReports&) = delete;
  CrashReports& operator=(const CrashReports&) = delete;
  ~CrashReports() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGABRT};
  struct sigaction before_[std::size(kSignals)]{};
};

}  // namespace

void require(bool condition, const std::string& what) {
  if (condition) return;
  if (g_explorer == nullptr) std::abort();  // in the making of a scenario, before any run
  g_explorer->fail(what);
}

void pause() { g_explorer->reach(); }

Exploration explore(const std::function<Scenario()>& make, const Bounds& bounds) {
  const OneProcessor processor;
  auto explorer = std::make_unique<Explorer>(make().threads.size());
  g_explorer = explorer.get();
  const CrashReports reports;
  Exploration result;
  const auto run = [&](int bound) {
    const Books before = books();
    auto scenario = std::make_unique<Scenario>(make());
    ++result.schedules;
    if (!explorer->run(*scenario, bound)) {
      (void)scenario.release();  // the threads that are stuck in it
    } else {
      scenario.reset();
      if (!explorer->failed() && books() != before) explorer->fail("not all was given back to the host");
    }
    result.steps += explorer->steps();
    if (!explorer->failed()) return true;
    result.failure = explorer->failure();
    result.schedule = explorer->schedule();
    return false;
  };
  if (!bounds.replay.empty()) {
    if (auto steps = Trail::parse(bounds.replay)) {
      explorer->replay(std::move(*steps));
      run(bounds.preemptions);
    } else {
      result.failure = "not a schedule: " + bounds.replay;
    }
  } else {
    std::size_t fewer = 0;  // schedules with fewer pre-emptions, which are among those with more
    for (int bound = 0; bound <= bounds.preemptions && result.failure.empty(); ++bound) {
      result.schedules = result.steps = 0;
      explorer->restart();
      while (run(bound) && explorer->next()) {
      }
      if (std::exchange(fewer, result.schedules) == result.schedules) break;  // there is no more to pre-empt
    }
  }
  g_explorer = nullptr;
  if (result.failure.starts_with("deadlock")) {
    explorer->abandon();
    (void)explorer.release();
  }
  return result;
}

}  // namespace bobbin::os::fake
