// DLLs that nobody here wrote, with implicit TLS: they come, a hundred threads of the host are attached and
// detached each with its TLS, and they go; a hundred times, and nothing grows.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin {
namespace {

constexpr int kThreads = 100;
constexpr int kCycles = 100;

std::size_t resident_kilobytes() {
  std::string word;
  std::size_t size = 0;
  for (std::ifstream status("/proc/self/status"); status >> word;) {
    if (word == "VmRSS:") status >> size;
  }
  return size;
}

std::size_t descriptors() {
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)file;
    ++count;
  }
  return count;
}

struct Library {
  std::string path;
  /// Allocations that it makes when it is loaded and keeps when it goes, on any Windows: mimalloc's arena.
  std::size_t kept_by_itself;
};
void PrintTo(const Library& library, std::ostream* out) { *out << library.path; }
class RealLibrary : public testing::TestWithParam<Library> {};

TEST_P(RealLibrary, ComesAndGoesWithAHundredThreadsEachTime) {
  const std::string path = std::string(REAL_FOLDER) + "/" + GetParam().path;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there: tests/real/fetch.py brings it";
  auto runtime = Runtime::start({.system_folder = SYSTEM_FOLDER});
  ASSERT_TRUE(runtime) << runtime.error().message();
  std::uint64_t modules_with_tls = 0;
  const auto cycle = [&] {
    auto library = runtime->load(path);
    ASSERT_TRUE(library) << library.error().message();
    modules_with_tls = runtime->tls_statistics().modules;
    std::atomic<int> attached{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        if (runtime->attach_thread()) ++attached;
        runtime->detach_thread();
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(attached, kThreads);
  };
  for (int i = 0; i < 10; ++i) cycle();
  ASSERT_GT(modules_with_tls, 0u);
  const std::size_t resident = resident_kilobytes(), open = descriptors();
  const Statistics before = runtime->statistics();
  for (int i = 0; i < kCycles; ++i) cycle();
  const Statistics after = runtime->statistics();
  EXPECT_EQ(after.modules, before.modules);
  EXPECT_EQ(after.threads, before.threads);
  EXPECT_EQ(after.handles, before.handles);
  const std::size_t kept = kCycles * GetParam().kept_by_itself;
  EXPECT_EQ(after.allocations, before.allocations + kept);
  EXPECT_EQ(runtime->tls_statistics().modules, 0u);
  EXPECT_EQ(descriptors(), open);
  EXPECT_LE(resident_kilobytes(), resident + 2048 + 64 * kept);
}

INSTANTIATE_TEST_SUITE_P(
    Npm, RealLibrary,
    testing::Values(Library{"@rollup/rollup-win32-x64-msvc/rollup.win32-x64-msvc.node", 1},
                    Library{"@node-rs/xxhash-win32-x64-msvc/xxhash.win32-x64-msvc.node", 1},
                    Library{"@parcel/watcher-win32-x64/watcher.node", 0},
                    Library{"@img/sharp-win32-x64/lib/libvips-42.dll", 0}),
    [](const auto& of) {
      std::string name = of.param.path.substr(1, of.param.path.find('/') - 1);
      std::erase_if(name, [](char c) { return c == '-'; });
      return name;
    });

}  // namespace
}  // namespace bobbin
