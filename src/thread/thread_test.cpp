// Threads without a PE file: guest routines are functions of this file with the Windows convention.
#include "thread/thread.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "abi/status.hpp"
#include "thread/guest_call.hpp"

namespace bobbin::thread {
namespace {

std::atomic<std::uint64_t> g_counter;
std::atomic<bool> g_go_on;

BOBBIN_MS_ABI std::uint32_t answer(void* parameter) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(parameter));
}
BOBBIN_MS_ABI std::uint32_t spin(void*) {
  for (;;) g_counter.fetch_add(1, std::memory_order_relaxed);
}
BOBBIN_MS_ABI std::uint32_t spin_until_told(void*) {
  while (!g_go_on.load()) g_counter.fetch_add(1, std::memory_order_relaxed);
  return 11;
}
/// As a native: takes its time, whatever others ask of the thread.
BOBBIN_MS_ABI std::uint32_t spin_in_native(void*) {
  const NativeScope scope(0x1234, 0x5678);
  while (!g_go_on.load()) g_counter.fetch_add(1, std::memory_order_relaxed);
  return 12;
}

struct Log final : LifeObserver {
  void fls_callback_is_gone(std::uint32_t, const void*) noexcept override {}
  explicit Log(Threads& on) : threads(on) {}
  Result<void> born(Thread& thread) override {
    ++births;
    return refuse
               ? fail({.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = "refused"})
               : threads.attach_storage(thread);
  }
  void dying(Thread& thread) noexcept override {
    ++deaths;
    ended_in_dying = thread.exit_code() != kStillActive;
  }
  void last_thread_exits(std::uint32_t code) noexcept override { last_code = code; }
  void no_thread_is_left(std::uint32_t) noexcept override { ++emptied; }
  Threads& threads;
  std::atomic<int> births{0}, deaths{0}, emptied{0};
  std::atomic<bool> ended_in_dying{false}, refuse{false};
  std::atomic<std::uint32_t> last_code{kStillActive};
};

class ThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
    g_counter = 0;
    g_go_on = false;
    auto made = tls::Engine::create({}, peb.TlsBitmapBits, peb.TlsExpansionBitmapBits);
    ASSERT_TRUE(made);
    engine = std::move(*made);
    threads = std::make_unique<Threads>(*engine, space, heaps, peb);
    log = std::make_unique<Log>(*threads);
    threads->set_observer(log.get());
  }
  void TearDown() override {
    g_go_on = true;
    threads->stop_all_others(0);
    threads->await_others();
    threads->detach_current();
    threads.reset();
  }

  Ref<Thread> run(BOBBIN_MS_ABI std::uint32_t (*routine)(void*), std::uintptr_t parameter = 0,
                  bool suspended = false) {
    auto thread = threads->create({.routine = reinterpret_cast<void*>(routine),
                                   .parameter = reinterpret_cast<void*>(parameter),
                                   .suspended = suspended});
    EXPECT_TRUE(thread);
    EXPECT_TRUE(threads->start(**thread));
    return *thread;
  }
  std::uint32_t join(Thread& thread) {
    sync::Waiter self;
    EXPECT_EQ(sync::wait(thread, std::nullopt, self).kind, sync::WaitOutcome::Kind::satisfied);
    return thread.exit_code();
  }
  static void await_counting() {
    for (const std::uint64_t before = g_counter; g_counter == before;) std::this_thread::yield();
  }
  static bool stands_still() {
    const std::uint64_t before = g_counter;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return g_counter == before;
  }

  abi::PEB peb{};
  memory::AddressSpace space;
  memory::Heaps heaps;
  std::unique_ptr<tls::Engine> engine;
  std::unique_ptr<Threads> threads;
  std::unique_ptr<Log> log;
};

TEST_F(ThreadsTest, TheHandleIsSignalledAfterTheDetach) {
  auto other = run(spin_until_told);
  auto thread = run(answer, 42);
  EXPECT_EQ(join(*thread), 42u);
  EXPECT_EQ(log->deaths, 1);
  EXPECT_FALSE(log->ended_in_dying);
  EXPECT_EQ(thread->teb_or_null(), nullptr);
  EXPECT_EQ(other->exit_code(), kStillActive);
  EXPECT_EQ(log->last_code, kStillActive);
}

TEST_F(ThreadsTest, TheLastOneSaysSo) {
  auto thread = run(answer, 7);
  join(*thread);
  EXPECT_EQ(log->last_code, 7u);
}

TEST_F(ThreadsTest, TerminatedThreadsAreNotNotifiedButCounted) {
  auto thread = run(spin);
  await_counting();
  threads->terminate(*thread, 99);
  EXPECT_EQ(join(*thread), 99u);
  EXPECT_EQ(log->deaths, 0);
  while (log->emptied == 0) std::this_thread::yield();
}

TEST_F(ThreadsTest, ABirthThatFailsEndsTheThread) {
  log->refuse = true;
  auto thread = run(answer, 1);
  EXPECT_EQ(join(*thread), abi::STATUS_NO_MEMORY);
  EXPECT_EQ(log->deaths, 0);
}

TEST_F(ThreadsTest, AnAttachThatFailsLeavesTheHostThreadAsItWas) {
  log->refuse = true;
  EXPECT_FALSE(threads->attach_current());
  EXPECT_EQ(current_or_null(), nullptr);
  EXPECT_EQ(threads->count(), 0u);
  log->refuse = false;
  EXPECT_TRUE(threads->attach_current());
}

TEST_F(ThreadsTest, SuspendsInGuestCodeAndResumes) {
  auto thread = run(spin_until_told);
  await_counting();
  EXPECT_EQ(*threads->suspend(*thread), 0u);
  EXPECT_EQ(*threads->suspend(*thread), 1u);
  abi::CONTEXT context{};
  context.ContextFlags = abi::CONTEXT_CONTROL | abi::CONTEXT_INTEGER;
  ASSERT_TRUE(threads->get_context(*thread, context));
  EXPECT_TRUE(stands_still());
  EXPECT_GE(context.Rsp, reinterpret_cast<std::uint64_t>(thread->teb().StackLimit));
  EXPECT_LT(context.Rsp, reinterpret_cast<std::uint64_t>(thread->teb().StackBase));
  EXPECT_EQ(*threads->resume(*thread), 2u);
  EXPECT_TRUE(stands_still());
  EXPECT_EQ(*threads->resume(*thread), 1u);
  await_counting();
  EXPECT_EQ(*threads->resume(*thread), 0u);
  EXPECT_FALSE(threads->get_context(*thread, context)) << "not suspended";
  g_go_on = true;
  EXPECT_EQ(join(*thread), 11u);
}

TEST_F(ThreadsTest, ASuspendedThreadGoesOnWhereSetContextSays) {
  auto thread = run(spin);
  await_counting();
  ASSERT_TRUE(threads->suspend(*thread));
  abi::CONTEXT context{};
  context.ContextFlags = abi::CONTEXT_CONTROL | abi::CONTEXT_INTEGER;
  ASSERT_TRUE(threads->get_context(*thread, context));
  context.Rip = reinterpret_cast<std::uint64_t>(&spin_until_told);
  context.Rsp = (context.Rsp & ~15ull) - 8 - 32;  // as if just called; it never returns
  ASSERT_TRUE(threads->set_context(*thread, context));
  EXPECT_EQ(*threads->resume(*thread), 1u);
  await_counting();
  ASSERT_TRUE(threads->suspend(*thread));
  ASSERT_TRUE(threads->get_context(*thread, context));
  EXPECT_GE(context.Rip, reinterpret_cast<std::uint64_t>(&spin_until_told));
  EXPECT_LT(context.Rip, reinterpret_cast<std::uint64_t>(&spin_until_told) + 64);
  threads->terminate(*thread, 5);
  EXPECT_EQ(join(*thread), 5u);
}

TEST_F(ThreadsTest, ANativeIsFinishedBeforeItsThreadIsSuspended) {
  auto thread = run(spin_in_native);
  await_counting();
  ASSERT_TRUE(threads->suspend(*thread));
  await_counting();
  abi::CONTEXT context{};
  context.ContextFlags = abi::CONTEXT_CONTROL;
  ASSERT_TRUE(threads->get_context(*thread, context));
  EXPECT_EQ(context.Rip, 0x1234u);
  EXPECT_EQ(context.Rsp, 0x5678u);
  g_go_on = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(thread->exit_code(), kStillActive) << "it stands at the native's end";
  const std::uint64_t before = os::monotonic_now();
  ASSERT_TRUE(threads->get_context(*thread, context));
  EXPECT_EQ(context.Rip, 0x1234u) << "the guest's place, not ours";
  EXPECT_LT(os::monotonic_now() - before, 900'000'000u) << "nothing to wait for";
  ASSERT_TRUE(threads->resume(*thread));
  EXPECT_EQ(join(*thread), 12u);
}

TEST_F(ThreadsTest, ASuspendedThreadCanBeTerminated) {
  for (int i = 0; i < 200; ++i) {
    auto thread = run(spin);
    await_counting();
    ASSERT_TRUE(threads->suspend(*thread));
    if (i % 2 == 0) (void)stands_still();
    threads->terminate(*thread, 3);
    EXPECT_EQ(join(*thread), 3u);
    EXPECT_FALSE(threads->suspend(*thread)) << "it has ended";
  }
}

TEST_F(ThreadsTest, AThreadCreatedSuspendedHasNoVectorUntilItGoesOn) {
  auto thread = run(answer, 8, true);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(thread->teb().ThreadLocalStoragePointer, nullptr);
  EXPECT_EQ(log->births, 0);
  ASSERT_TRUE(threads->resume(*thread));
  EXPECT_EQ(join(*thread), 8u);
  EXPECT_EQ(log->births, 1);
}

TEST_F(ThreadsTest, StopAllOthersFreezesAndSignals) {
  std::vector<Ref<Thread>> all;
  for (int i = 0; i < 8; ++i) all.push_back(run(spin));
  all.push_back(run(answer, 1, true));
  await_counting();
  threads->stop_all_others(77);
  EXPECT_TRUE(stands_still());
  for (const auto& thread : all) EXPECT_EQ(join(*thread), 77u);
  EXPECT_EQ(log->deaths, 0);
  EXPECT_FALSE(threads->create({.routine = reinterpret_cast<void*>(&answer)}));
  EXPECT_FALSE(threads->attach_current());
  threads->await_others();
  EXPECT_EQ(threads->count(), 0u);
  EXPECT_EQ(log->emptied, 0) << "that is the exit's own doing";
}

TEST_F(ThreadsTest, AwaitOthersWaitsForNatives) {
  auto thread = run(spin_in_native);
  await_counting();
  threads->stop_all_others(1);
  std::thread later([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    g_go_on = true;
  });
  threads->await_others();
  EXPECT_TRUE(g_go_on);
  EXPECT_EQ(thread->teb_or_null(), nullptr);
  later.join();
}

TEST_F(ThreadsTest, StacksAreUsedAgain) {
  for (int i = 0; i < 4; ++i) join(*run(answer, 1));
  const std::size_t before = space.allocations();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(join(*run(answer, 2)), 2u);
  EXPECT_LE(space.allocations(), before + 2);
}

TEST_F(ThreadsTest, AThreadThatIsNotStartedLeavesNothing) {
  auto thread = threads->create({.routine = reinterpret_cast<void*>(&answer)});
  ASSERT_TRUE(thread);
  EXPECT_EQ(threads->count(), 1u);
  threads->abandon(**thread);
  EXPECT_EQ(threads->count(), 0u);
  EXPECT_EQ((*thread)->reference_count(), 1u);
}

TEST_F(ThreadsTest, NothingIsLeftWhenMemoryRunsOut) {
  join(*run(answer, 1));
  for (std::uint64_t n = 1;; ++n) {
    const std::size_t count = threads->count();
    os::fail_allocation(n);
    auto thread = threads->create({.routine = reinterpret_cast<void*>(&answer), .stack_size = 3 << 20});
    const bool made = thread.has_value() && threads->start(**thread).has_value();
    os::fail_allocation(0);
    if (made) {
      join(**thread);
      EXPECT_GT(n, 1u);
      break;
    }
    EXPECT_EQ(threads->count(), count);
  }
}

TEST_F(ThreadsTest, HostThreadsMayOutliveTheirRuntime) {
  std::atomic<int> step{0};
  std::thread host([&] {
    EXPECT_TRUE(threads->attach_current());
    step = 1;
    while (step != 2) std::this_thread::yield();
    EXPECT_EQ(current_or_null(), nullptr);
  });
  std::thread silent([&] {
    EXPECT_TRUE(threads->attach_current());
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1 || threads->count() != 2) std::this_thread::yield();
  threads->stop_all_others(0);
  threads->await_others();
  threads.reset();
  engine.reset();
  step = 2;
  host.join();
  silent.join();
  SetUp();
}

// ---- carriers --------------------------------------------------------------------------------------------

BOBBIN_MS_ABI std::uint32_t host_thread(void*) { return os::host_thread_id(); }
BOBBIN_MS_ABI std::uint32_t host_thread_of_a_callback(void*) {
  current().host_code_ran = true;
  return os::host_thread_id();
}
constexpr std::uint64_t kTenMilliseconds = 100'000;
BOBBIN_MS_ABI std::uint32_t burn(void*) {
  while (current().cpu_time() < kTenMilliseconds) g_counter.fetch_add(1, std::memory_order_relaxed);
  return os::host_thread_id();
}
BOBBIN_MS_ABI std::uint32_t has_burnt_less(void*) { return current().cpu_time() < kTenMilliseconds ? 1 : 0; }

/// With a thread that lives on: the last one's carrier ends with it.
class CarriersTest : public ThreadsTest {
 protected:
  void SetUp() override {
    ThreadsTest::SetUp();
    other = run(spin_until_told);
  }
  void TearDown() override {
    g_go_on = true;
    other = {};
    ThreadsTest::TearDown();
  }
  Ref<Thread> other;
};

TEST_F(CarriersTest, OneServesThreadAfterThread) {
  const std::uint32_t first = join(*run(host_thread));
  EXPECT_EQ(join(*run(host_thread)), first);
  EXPECT_EQ(join(*run(host_thread)), first);
}

TEST_F(CarriersTest, ThoseThatRanHostCodeEnd) {
  const std::uint32_t first = join(*run(host_thread_of_a_callback));
  EXPECT_NE(join(*run(host_thread)), first);
}

TEST_F(CarriersTest, TheStackIsOfTheSizeThatWasAskedFor) {
  const std::uint32_t first = join(*run(host_thread));
  auto larger = threads->create({.routine = reinterpret_cast<void*>(host_thread), .stack_size = 4 << 20});
  ASSERT_TRUE(larger);
  ASSERT_TRUE(threads->start(**larger));
  EXPECT_NE(join(**larger), first);
  EXPECT_EQ(join(*run(host_thread)), first);
}

TEST_F(CarriersTest, AThreadsCpuTimeIsItsOwn) {
  join(*run(burn));
  EXPECT_EQ(join(*run(has_burnt_less)), 1u);
}

TEST_F(CarriersTest, OneThatWasTakenForNothingCanBeTakenAgain) {
  const std::uint32_t first = join(*run(host_thread));
  auto never = threads->create({.routine = reinterpret_cast<void*>(host_thread)});
  ASSERT_TRUE(never);
  threads->abandon(**never);
  EXPECT_EQ(join(*run(host_thread)), first);
}

TEST_F(CarriersTest, ATerminatedThreadLeavesItsOwnFitForAnother) {
  auto thread = run(spin);
  await_counting();
  threads->terminate(*thread, 1);
  EXPECT_EQ(join(*thread), 1u);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(join(*run(answer, i)), i);
}

TEST_F(CarriersTest, AreAsManyAsThereAreThreads) {
  for (int round = 0; round < 3; ++round) {
    g_go_on = false;
    std::vector<Ref<Thread>> many;
    for (std::size_t i = 0; i < 3 * Carriers::kMostWaiting; ++i) many.push_back(run(spin_until_told));
    g_go_on = true;
    for (const auto& thread : many) EXPECT_EQ(join(*thread), 11u);
  }
}

// ---- fibers

Threads* g_threads;
void* g_fiber;
bool g_host_frame_went_on;

BOBBIN_MS_ABI void end_the_thread(void*) {
  const NativeScope scope(0, 0);
  g_threads->exit_current(5);
}

/// As a native that calls back: its frame stands on the fiber that the thread began as.
[[gnu::noinline]] void call_back_and_switch() {
  const NativeScope scope(0, 0);
  auto switch_away = [] { arch::bobbin_switch_fiber(static_cast<arch::FiberState*>(g_fiber)); };
  g_host_frame_went_on = !inside_gate(current_place(), switch_away);
}

TEST_F(ThreadsTest, AThreadOfTheHostThatEndsInAnotherFiberSkipsNoHostFrame) {
  g_threads = threads.get();
  g_host_frame_went_on = false;
  auto attached = threads->attach_current();
  ASSERT_TRUE(attached);
  auto body = [] {
    {
      const NativeScope scope(0, 0);
      (void)g_threads->convert_to_fiber(nullptr);
      g_fiber = *g_threads->create_fiber(0, 0, reinterpret_cast<void*>(&end_the_thread), nullptr);
    }
    call_back_and_switch();
  };
  EXPECT_FALSE(inside_gate(**attached, body));
  EXPECT_TRUE(g_host_frame_went_on);
  EXPECT_EQ((*attached)->gate, nullptr);
}

TEST_F(ThreadsTest, ADeletedFiberIsKnownAsSuch) {
  ASSERT_TRUE(threads->attach_current());
  auto made = threads->create_fiber(0, 0, reinterpret_cast<void*>(&end_the_thread), nullptr);
  ASSERT_TRUE(made);
  EXPECT_EQ(threads->check_fiber(*made), FiberTrouble::plain_thread);
  auto own = threads->convert_to_fiber(nullptr);
  ASSERT_TRUE(own);
  EXPECT_EQ(threads->check_fiber(*made), FiberTrouble::none);
  EXPECT_EQ(threads->check_fiber(*own), FiberTrouble::none);
  EXPECT_EQ(threads->check_fiber(static_cast<std::byte*>(*made) + 16), FiberTrouble::no_fiber);
  EXPECT_EQ(threads->check_fiber(nullptr), FiberTrouble::no_fiber);
  EXPECT_EQ(threads->delete_fiber(*made), FiberTrouble::none);
  EXPECT_EQ(threads->check_fiber(*made), FiberTrouble::deleted);
  EXPECT_EQ(threads->delete_fiber(*made), FiberTrouble::deleted);
  auto again = threads->create_fiber(0, 0, reinterpret_cast<void*>(&end_the_thread), nullptr);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *made) << "pooled, with its stack";
  std::thread([&] {
    ASSERT_TRUE(threads->attach_current());
    ASSERT_TRUE(threads->convert_to_fiber(nullptr));
    EXPECT_EQ(threads->check_fiber(*own), FiberTrouble::running);
    EXPECT_EQ(threads->delete_fiber(*own), FiberTrouble::running);
    threads->detach_current();
  }).join();
  threads->convert_to_thread();
  EXPECT_EQ(threads->check_fiber(*again), FiberTrouble::plain_thread);
}

}  // namespace
}  // namespace bobbin::thread
