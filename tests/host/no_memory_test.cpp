// The library when operator new refuses, at each of its calls in turn: either that one alone, or it and all
// that follow. What was asked for is done, or answered with an Error, and then nothing has changed.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <latch>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <bobbin/bobbin.hpp>
#include <bobbin/doctor.hpp>
#include <bobbin/inspect.hpp>

namespace {

// What operator new does, on any thread.
constinit std::atomic<bool> g_refuses{false};
constinit std::atomic<std::uint64_t> g_calls{0};  ///< since it is true
constinit std::uint64_t g_first_refused = 0;
constinit bool g_all_that_follow = false;
constinit std::atomic<std::int64_t> g_blocks{0};  ///< that were allocated and have not been freed

bool is_refused() {
  if (!g_refuses) return false;
  const std::uint64_t call = ++g_calls;
  return g_all_that_follow ? call >= g_first_refused : call == g_first_refused;
}

}  // namespace

// Not inlined: GCC takes their malloc and free for what does not match new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const block = is_refused() ? nullptr : std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  ++g_blocks;
  return block;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  if (block != nullptr) --g_blocks;
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  if (block != nullptr) --g_blocks;
  std::free(block);
}

namespace bobbin {
namespace {

/// What there is, of the guest's and on the host's heap.
struct Held {
  Statistics guest;
  std::int64_t blocks = 0;
  bool operator==(const Held& other) const {
    return guest.modules == other.guest.modules && guest.threads == other.guest.threads &&
           guest.handles == other.guest.handles && guest.allocations == other.guest.allocations &&
           blocks == other.blocks;
  }
};
void PrintTo(const Held& held, std::ostream* out) {
  *out << held.guest.modules << " modules, " << held.guest.threads << " threads, " << held.guest.handles
       << " handles, " << held.guest.allocations << " ranges of address space, " << held.blocks << " blocks";
}

/// An attempt does what is tested within refusing(...), and hands back its Error; what succeeds it undoes.
using Body = std::function<std::optional<Error>()>;
using Attempt =
    std::function<std::optional<Error>(const std::function<std::optional<Error>(const Body&)>& refusing)>;

template <class T>
std::optional<Error> error_of(Result<T>&& result) {
  return result ? std::nullopt : std::optional(std::move(result).error());
}

class NoMemory : public testing::TestWithParam<bool> {
 protected:
  /// Tries with the first call of operator new refused, with the second, and so on until there are so many
  /// no more. Hands back how many there are. An Error other than out_of_memory has to be `also`.
  static std::uint64_t refuse_each(const Attempt& attempt, const std::function<Held()>& held,
                                   ErrorKind also = ErrorKind::out_of_memory) {
    g_all_that_follow = GetParam();
    g_first_refused = ~std::uint64_t{0};
    const auto refusing = [](const Body& body) {
      g_calls = 0;
      g_refuses = true;
      std::optional<Error> error = body();
      g_refuses = false;
      return error;
    };
    EXPECT_FALSE(attempt(refusing)) << "it fails anyhow";  // what is kept for good comes now
    const Held before = held();
    for (g_first_refused = 1;; ++g_first_refused) {
      if (const std::optional<Error> error = attempt(refusing)) {
        EXPECT_TRUE(error->kind == ErrorKind::out_of_memory || error->kind == also) << error->message();
      }
      EXPECT_EQ(held(), before) << "after call " << g_first_refused << " was refused";
      if (g_calls < g_first_refused || HasFailure()) return g_calls;
    }
  }

  void start(TlsGrowth growth = TlsGrowth::in_place) {
    runtime.reset();
    auto started = Runtime::start({.dll_path = {HOST_TEST_DLLS}, .tls_growth = growth});
    ASSERT_TRUE(started) << started.error().message();
    runtime.emplace(std::move(*started));
  }
  [[nodiscard]] Held held() const { return {runtime->statistics(), g_blocks.load()}; }
  [[nodiscard]] Held held_by_guest() const { return {runtime->statistics(), 0}; }
  Result<Module> load(const char* name) {
    auto loaded = runtime->load(name);
    EXPECT_TRUE(loaded) << loaded.error().message();
    return loaded;
  }

  std::optional<Runtime> runtime;
};

TEST_P(NoMemory, Loads) {
  for (const TlsGrowth growth : {TlsGrowth::in_place, TlsGrowth::swap}) {
    start(growth);
    ASSERT_TRUE(runtime->provide<int(int)>("host.dll", "host_double", [](int n) { return 2 * n; }));
    for (const char* name : {"guest.dll", "imports.dll", "block64.dll", "block65536.dll"}) {
      SCOPED_TRACE(name);
      const std::string dll = name;
      const auto attempt = [&](const auto& refusing) {
        return refusing([&] { return error_of(runtime->load(dll)); });
      };
      EXPECT_GT(refuse_each(attempt, [this] { return held(); }), 10u);
    }
  }
}

// A tree of real DLLs. Their own code meets the refusals too: then it is they who refuse to be attached, and
// what they forget of the host's heap is theirs.
TEST_P(NoMemory, LoadsRuntimesInMicrosoftsShape) {
  start();
  const auto attempt = [&](const auto& refusing) {
    return refusing([&] { return error_of(runtime->load("msvcp140.dll")); });
  };
  EXPECT_GT(refuse_each(attempt, [this] { return held_by_guest(); }, ErrorKind::refused), 100u);
}

TEST_P(NoMemory, RefusesToBeAttached) {
  start();
  const auto attempt = [&](const auto& refusing) -> std::optional<Error> {
    auto error = refusing([&] { return error_of(runtime->load("refuses.dll")); });
    EXPECT_TRUE(error);
    return error && error->kind == ErrorKind::out_of_memory ? error : std::nullopt;
  };
  EXPECT_GT(refuse_each(attempt, [this] { return held(); }), 10u);
}

TEST_P(NoMemory, UnloadsWithoutAny) {
  start();
  const auto attempt = [&](const auto& refusing) {
    auto dll = load("block64.dll");
    return refusing([&]() -> std::optional<Error> {
      if (dll) const Module dropped = std::move(*dll);
      return std::nullopt;
    });
  };
  EXPECT_EQ(refuse_each(attempt, [this] { return held(); }), 0u);
}

TEST_P(NoMemory, FindsFunctions) {
  start();
  const auto dll = load("guest.dll");
  ASSERT_TRUE(dll);
  const auto known = [&](const auto& refusing) {
    return refusing([&] { return error_of(dll->symbol("add")); });
  };
  refuse_each(known, [this] { return held(); });
  const auto unknown = [&](const auto& refusing) -> std::optional<Error> {
    auto error = refusing([&] { return error_of(dll->symbol("this_function_is_not_there")); });
    EXPECT_TRUE(error);
    return error && error->kind == ErrorKind::out_of_memory ? error : std::nullopt;
  };
  EXPECT_GT(refuse_each(unknown, [this] { return held(); }), 0u);
}

TEST_P(NoMemory, AttachesThreads) {
  start();
  const auto dll = load("guest.dll");
  ASSERT_TRUE(dll);
  const auto per_thread = dll->function<int*()>("per_thread");
  ASSERT_TRUE(per_thread);
  const auto attempt = [&](const auto& refusing) {
    std::optional<Error> error;
    std::latch go{1};
    std::thread host([&] {
      go.wait();
      error = error_of((*per_thread)());
    });
    return refusing([&] {  // its run-down too
      go.count_down();
      host.join();
      return std::move(error);
    });
  };
  EXPECT_GT(refuse_each(attempt, [this] { return held(); }), 0u);
}

// Refused on the thread that creates one, and on the one that is born.
TEST_P(NoMemory, CreatesThreads) {
  start();
  const auto dll = load("guest.dll");
  ASSERT_TRUE(dll);
  const auto run_threads = dll->function<int(int)>("run_threads");
  ASSERT_TRUE(run_threads);
  const auto attempt = [&](const auto& refusing) {
    return refusing([&]() -> std::optional<Error> {
      auto ran = (*run_threads)(1);
      if (ran && *ran == 1) return std::nullopt;
      return Error{.kind = ErrorKind::out_of_memory, .what = "no thread"};
    });
  };
  refuse_each(attempt, [this] { return held_by_guest(); });
}

TEST_P(NoMemory, MakesCallbacks) {
  start();
  const auto attempt = [&](const auto& refusing) {
    return refusing([&] { return error_of(runtime->callback<int(int)>([](int n) { return n; })); });
  };
  EXPECT_GT(refuse_each(attempt, [this] { return held(); }), 0u);
}

TEST_P(NoMemory, ProvidesExports) {
  start();
  const std::string name = "an_export_with_a_long_name";
  std::size_t made = 0;
  const auto attempt = [&](const auto& refusing) {
    const std::string dll = "provided" + std::to_string(g_first_refused) + ".dll";
    auto error =
        refusing([&] { return error_of(runtime->provide<int(int)>(dll, name, [](int n) { return n; })); });
    if (!error) ++made;
    return error;
  };
  const auto others = [&] {  // one module and its range each
    Held held = held_by_guest();
    held.guest.modules -= made;
    held.guest.allocations -= made;
    return held;
  };
  EXPECT_GT(refuse_each(attempt, others), 10u);
}

TEST_P(NoMemory, EndsWithoutAny) {
  const auto attempt = [&](const auto& refusing) {
    start();
    auto dll = load("guest.dll");
    const auto run_threads = dll->function<int(int)>("run_threads");
    EXPECT_EQ((*run_threads)(3).value(), 3);
    return refusing([&]() -> std::optional<Error> {
      runtime.reset();
      return std::nullopt;
    });
  };
  EXPECT_EQ(refuse_each(attempt, [] { return Held{{}, g_blocks.load()}; }), 0u);
}

TEST_P(NoMemory, LooksIntoFiles) {
  const std::string path = HOST_TEST_DLLS "/guest.dll";
  const Options options;
  const auto blocks = [] { return Held{{}, g_blocks.load()}; };
  EXPECT_GT(
      refuse_each([&](const auto& refusing) { return refusing([&] { return error_of(inspect(path)); }); },
                  blocks),
      10u);
  EXPECT_GT(
      refuse_each(
          [&](const auto& refusing) { return refusing([&] { return error_of(diagnose(path, options)); }); },
          blocks),
      10u);
}

TEST_P(NoMemory, Starts) {
  const Options options{.dll_path = {HOST_TEST_DLLS}};
  const auto attempt = [&](const auto& refusing) {
    std::optional<Result<Runtime>> started;
    return refusing([&] { return error_of(std::move(started.emplace(Runtime::start(options)))); });
  };
  EXPECT_GT(refuse_each(attempt, [] { return Held{{}, g_blocks.load()}; }), 100u);
}

}  // namespace
INSTANTIATE_TEST_SUITE_P(Refused, NoMemory, testing::Bool(),
                         [](const auto& which) { return which.param ? "AllThatFollow" : "One"; });
}  // namespace bobbin
