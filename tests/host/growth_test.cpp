// The library does not grow: DLLs come and go while threads live, and what the host counts stays as it was.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin {
namespace {

/// What the host says that this process has.
struct Held {
  std::size_t resident = 0, address_space = 0;  ///< KiB
  std::size_t mappings = 0, descriptors = 0;
};

Held held() {
  Held now;
  std::string word;
  for (std::ifstream status("/proc/self/status"); status >> word;) {
    if (word == "VmRSS:") status >> now.resident;
    if (word == "VmSize:") status >> now.address_space;
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++now.mappings;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)file;
    ++now.descriptors;
  }
  return now;
}

/// DLLs come and go while a hundred threads live: BOBBIN_CYCLES=10000 for the long run.
class NoGrowth : public testing::TestWithParam<TlsGrowth> {};
TEST_P(NoGrowth, LoadingAndUnloadingWhileAHundredThreadsLive) {
  const char* const asked = std::getenv("BOBBIN_CYCLES");
  const int cycles = asked != nullptr ? std::atoi(asked) : 500;
  auto runtime = Runtime::start({.dll_path = {HOST_TEST_DLLS}, .tls_growth = GetParam()});
  ASSERT_TRUE(runtime);
  auto lasting = runtime->load("guest.dll");
  ASSERT_TRUE(lasting);
  const auto per_thread = *lasting->function<int*()>("per_thread");

  constexpr int kThreads = 100;
  std::latch born{kThreads}, go{1};
  std::atomic<int> kept{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      *per_thread().value() = i;
      born.count_down();
      go.wait();
      if (*per_thread().value() == i) ++kept;
    });
  }
  born.wait();

  unsigned indices[2] = {};
  const auto cycle = [&](int n) {
    const bool large = n % 2 != 0;
    auto dll = runtime->load(large ? "block65536.dll" : "block64.dll");
    ASSERT_TRUE(dll) << dll.error().message();
    ASSERT_NE(dll->function<int()>("block_is_fresh")->operator()().value(), 0);
    (void)dll->function<void(unsigned)>("block_mark")->operator()(7);
    indices[large ? 1 : 0] = dll->function<unsigned()>("block_index")->operator()().value();
  };
  for (int i = 0; i < 100; ++i) cycle(i);
  const Held before = held();
  const Statistics counted = runtime->statistics();
  const TlsStatistics tls = runtime->tls_statistics();
  const unsigned index = indices[0];
  for (int i = 0; i < cycles; ++i) cycle(i);
  const Held after = held();
  std::printf(
      "%d cycles, %d threads: resident %zu -> %zu KiB, address space %zu -> %zu KiB, mappings %zu -> %zu, "
      "descriptors %zu -> %zu, TLS index %u -> %u\n",
      cycles, kThreads, before.resident, after.resident, before.address_space, after.address_space,
      before.mappings, after.mappings, before.descriptors, after.descriptors, index, indices[0]);
  EXPECT_LE(after.resident, before.resident + 512);
  EXPECT_LE(after.address_space, before.address_space + 512);
  EXPECT_LE(after.mappings, before.mappings + 2) << "the host may cut or join a few";
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_EQ(indices[0], index);
  EXPECT_EQ(indices[1], index);
  const Statistics at_end = runtime->statistics();
  EXPECT_EQ(at_end.modules, counted.modules);
  EXPECT_EQ(at_end.threads, counted.threads);
  EXPECT_EQ(at_end.handles, counted.handles);
  EXPECT_EQ(at_end.allocations, counted.allocations);
  const TlsStatistics tls_at_end = runtime->tls_statistics();
  EXPECT_EQ(tls_at_end.modules, tls.modules);
  EXPECT_EQ(tls_at_end.vectors, tls.vectors);
  EXPECT_EQ(tls_at_end.retired_vectors, tls.retired_vectors);
  EXPECT_EQ(tls_at_end.ever_retired, tls.ever_retired) << "an index that is used again outgrows nothing";
  EXPECT_EQ(tls_at_end.blocks, tls.blocks);
  EXPECT_EQ(tls_at_end.block_bytes, tls.block_bytes);
  go.count_down();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(kept, kThreads);
}
/// A Runtime that was ended leaves nothing, such as the FLS values of the thread that started it.
TEST(NoGrowthAtAll, RuntimesComeAndGo) {
  const auto once = [] {
    auto runtime = Runtime::start({});
    ASSERT_TRUE(runtime) << runtime.error().message();
    auto kernel32 = runtime->load("kernel32.dll");
    ASSERT_TRUE(kernel32);
    const auto allocate = kernel32->function<std::uint32_t(void*)>("FlsAlloc");
    const auto set = kernel32->function<int(std::uint32_t, void*)>("FlsSetValue");
    ASSERT_TRUE(allocate && set);
    ASSERT_EQ((*set)((*allocate)(nullptr).value(), &runtime).value(), 1);
  };
  constexpr int kRuntimes = 50;
  for (int i = 0; i < kRuntimes; ++i) once();
  const std::size_t before = mallinfo2().uordblks;
  for (int i = 0; i < kRuntimes; ++i) once();
  constexpr std::size_t kSmallestLeak = 100;  // below it is what tables grow by, once in a while
  EXPECT_LT(mallinfo2().uordblks, before + kRuntimes * kSmallestLeak);
}

INSTANTIATE_TEST_SUITE_P(BothWays, NoGrowth, testing::Values(TlsGrowth::in_place, TlsGrowth::swap),
                         [](const auto& way) { return way.param == TlsGrowth::swap ? "swap" : "in_place"; });

}  // namespace
}  // namespace bobbin
