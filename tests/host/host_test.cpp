// The library as its users meet it: through include/bobbin alone, with a real DLL (guest.c) on the other
// side.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin::os {
std::uint64_t fail_allocation(
    std::uint64_t nth) noexcept;  // src/os/os.hpp; not part of the library's interface
}

namespace bobbin {
namespace {

struct One {
  signed char c;
};
struct Two {
  short a;
};
struct Eight {
  float x, y;
};
struct Twelve {
  int a, b, c;
};
struct Sixteen {
  double x, y;
};
struct Three {
  char text[3];
};

const std::string kFolder = HOST_TEST_DLLS;

class Host : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = Runtime::start({.dll_path = {kFolder}});
    ASSERT_TRUE(started) << started.error().message();
    runtime.emplace(std::move(*started));
    auto loaded = runtime->load("guest.dll");
    ASSERT_TRUE(loaded) << loaded.error().message();
    dll.emplace(std::move(*loaded));
  }

  template <class Signature>
  Function<Signature> get(const char* name) {
    auto function = dll->function<Signature>(name);
    EXPECT_TRUE(function) << function.error().message();
    return *function;
  }

  std::optional<Runtime> runtime;
  std::optional<Module> dll;
};

TEST_F(Host, PassesScalarsOfEveryWidth) {
  EXPECT_EQ(get<int(int, int)>("add")(40, 2).value(), 42);
  const auto sum = get<Int64(std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                             std::uint32_t, Int64, UInt64)>("sum8");
  EXPECT_EQ(sum(-1, 255, -300, 65535, -70000, 4000000000u, -5, 6).value(),
            -1 + 255 - 300 + 65535 - 70000 + 4000000000LL - 5 + 6);
  EXPECT_EQ(get<double(int, double, float, int, double, float)>("mix")(1, 2.5, 3.25f, 4, 5.125, 6.0f).value(),
            21.875);
  EXPECT_EQ(get<float(float)>("half")(3.0f).value(), 1.5f);
  EXPECT_EQ(get<bool(bool)>("negate")(false).value(), true);
}

TEST_F(Host, PassesAggregatesAsWin64Does) {
  EXPECT_EQ(get<One(One)>("one")({41}).value().c, 42);
  EXPECT_EQ(get<Two(Two)>("two")({41}).value().a, 42);
  const Eight swapped = get<Eight(Eight)>("eight")({1.0f, 2.0f}).value();
  EXPECT_EQ(swapped.x, 2.0f);
  EXPECT_EQ(swapped.y, 1.0f);
  const Twelve more = get<Twelve(Twelve, int)>("twelve")({1, 2, 3}, 10).value();
  EXPECT_EQ(more.a + 100 * more.b + 10000 * more.c, 11 + 1200 + 130000);
  const Sixteen scaled = get<Sixteen(Sixteen)>("sixteen")({1.5, 2.5}).value();
  EXPECT_EQ(scaled.x, 3.0);
  EXPECT_EQ(scaled.y, 7.5);
  EXPECT_EQ(get<int(Three)>("three")({{1, 2, 3}}).value(), 6);
}

TEST_F(Host, CallsVariadicFunctions) {
  auto ints = dll->variadic<int(int)>("sum_ints");
  ASSERT_TRUE(ints);
  EXPECT_EQ((*ints)(6, 1, 2, 3, 4, 5, 6).value(), 21);
  auto doubles = dll->variadic<double(int)>("sum_doubles");
  ASSERT_TRUE(doubles);
  EXPECT_EQ((*doubles)(5, 0.5, 1.5, 2.5, 3.5, 4.5).value(), 12.5);
}

TEST_F(Host, FindsVariablesAndFunctionsByAddress) {
  auto variable = dll->symbol("variable");
  ASSERT_TRUE(variable);
  EXPECT_EQ(*static_cast<int*>(*variable), 1234);
  auto add = dll->symbol("add");
  ASSERT_TRUE(add);
  EXPECT_EQ(runtime->function_at<int(int, int)>(*add)(1, 2).value(), 3);
}

TEST_F(Host, GuestCallsHostFunctions) {
  auto callback = runtime->callback<int(int, void*)>([](int value, void* context) {
    *static_cast<int*>(context) += value;
    return 2 * value;
  });
  ASSERT_TRUE(callback);
  int seen = 1;
  EXPECT_EQ(get<int(void*, int, void*)>("call_back")(callback->address(), 20, &seen).value(), 41);
  EXPECT_EQ(seen, 21);
  auto mixed = runtime->callback<double(int, double, float, Eight, Twelve, double)>(
      [](int a, double b, float c, Eight d, Twelve e, double f) {
        return a + b + double{c} + double{d.x} + double{d.y} + e.a + e.b + e.c + f;
      });
  ASSERT_TRUE(mixed);
  EXPECT_EQ(get<double(void*)>("call_back_mixed")(mixed->address()).value(),
            1 + 2.25 + 3.5 + 4.0 + 60 + 4.75);
  auto structs = runtime->callback<Twelve(Twelve)>([](Twelve t) { return Twelve{t.c, t.b, t.a}; });
  ASSERT_TRUE(structs);
  EXPECT_EQ(get<int(void*)>("call_back_struct")(structs->address()).value(), 30201);
}

TEST_F(Host, CallbacksNestWithGuestCalls) {
  const auto call_back = get<int(void*, int, void*)>("call_back");
  std::optional<Callback> callback;
  auto made = runtime->callback<int(int, void*)>([&](int depth, void*) {
    return depth == 0 ? 0 : call_back(callback->address(), depth - 1, nullptr).value() + 1;
  });
  ASSERT_TRUE(made);
  callback.emplace(std::move(*made));
  EXPECT_EQ(call_back(callback->address(), 50, nullptr).value(), 101);
}

TEST_F(Host, ACallbackThatThrowsGivesZero) {
  auto callback =
      runtime->callback<int(int, void*)>([](int, void*) -> int { throw std::runtime_error("no"); });
  ASSERT_TRUE(callback);
  EXPECT_EQ(get<int(void*, int, void*)>("call_back")(callback->address(), 20, nullptr).value(), 1);
}

TEST_F(Host, ProvidesExportsToGuests) {
  ASSERT_TRUE((runtime->provide<int(int)>("host.dll", "host_double", [](int n) { return 2 * n; })));
  auto imports = runtime->load("imports.dll");
  ASSERT_TRUE(imports) << imports.error().message();
  EXPECT_EQ(imports->function<int(int)>("use")->operator()(20).value(), 41);
  EXPECT_EQ(get<int(const char*, const char*, int)>("call_export")("host", "host_double", 4).value(), 8);
}

sigjmp_buf g_back;
/// The host's own handler, which was there before the library's.
void go_back(int) { siglongjmp(g_back, 1); }
int faults_in_the_host() {
  if (sigsetjmp(g_back, 1) != 0) return 7;
  volatile std::uintptr_t nowhere = 0x20;
  *reinterpret_cast<volatile int*>(nowhere) = 1;
  return 0;
}
[[noreturn]] void fault_everywhere() {
  std::signal(SIGSEGV, go_back);
  auto runtime = Runtime::start({.dll_path = {kFolder}});
  if (!runtime) _exit(1);
  auto dll = runtime->load("guest.dll");
  auto callback = runtime->callback<int()>(faults_in_the_host);
  if (!dll || !callback) _exit(2);
  auto mends = dll->function<int()>("mends_a_fault");
  auto gives = dll->function<int()>("gives_bad_pointers");
  auto calls = dll->function<int(void*)>("calls_back");
  if (!mends || !gives || !calls) _exit(3);
  for (int round = 0; round < 2; ++round) {
    if ((*mends)().value_or(0) != 42) _exit(4);
    if (faults_in_the_host() != 7) _exit(5);
    if ((*gives)().value_or(0) != 3) _exit(6);
    if ((*calls)(callback->address()).value_or(0) != 7) _exit(8);
  }
  _exit(0);
}
TEST(Faults, AreTheGuestsOrTheHostsByWhoseCodeItIs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // where no library has been before
  EXPECT_EXIT(fault_everywhere(), testing::ExitedWithCode(0), "");
}

TEST_F(Host, AttachesHostThreadsOnFirstUseAndRunsThemDown) {
  const auto per_thread = get<int*()>("per_thread");
  const int before_attach = get<int()>("attached")().value();
  const int before_detach = get<int()>("detached")().value();
  *per_thread().value() = 1;
  std::vector<std::thread> threads;
  std::atomic<int> fresh{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      int* mine = per_thread().value();
      if (*mine == 40) ++fresh;
      *mine = 2;
      if (per_thread().value() != mine) fresh = -100;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fresh, 8);
  EXPECT_EQ(*per_thread().value(), 1);
  EXPECT_EQ(get<int()>("attached")().value() - before_attach, 8);
  EXPECT_EQ(get<int()>("detached")().value() - before_detach, 8);
  EXPECT_EQ(runtime->statistics().threads, 1u);
}

TEST_F(Host, GuestThreadsLeaveNothingBehind) {
  const auto run_threads = get<int(int)>("run_threads");
  EXPECT_EQ(run_threads(10).value(), 10);
  const Statistics before = runtime->statistics();
  EXPECT_EQ(run_threads(200).value(), 200);
  const Statistics after = runtime->statistics();
  EXPECT_EQ(after.threads, before.threads);
  EXPECT_EQ(after.handles, before.handles);
  EXPECT_LE(after.allocations,
            before.allocations + 50);  // stacks in the pool, as the host was slow to end threads
}

TEST_F(Host, ExitProcessEndsTheGuestNotTheHost) {
  const auto add = get<int(int, int)>("add");
  auto result = get<void(unsigned)>("exit_process")(77);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::guest_ended);
  EXPECT_EQ(result.error().status, 77u);
  auto again = add(1, 2);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::guest_ended);
  std::thread([&] { EXPECT_FALSE(runtime->load("guest.dll")); }).join();
}

TEST_F(Host, ExitProcessInsideACallbackReturnsThroughEachHostFrame) {
  std::vector<std::string> log;
  struct Witness {
    std::vector<std::string>& log;
    ~Witness() { log.push_back("host frame unwound"); }
  };
  const auto exit_process = get<void(unsigned)>("exit_process");
  auto callback = runtime->callback<int(int, void*)>([&](int, void*) {
    const Witness witness{log};
    log.push_back(exit_process(5) ? "came back" : "inner call failed");
    return 0;
  });
  ASSERT_TRUE(callback);
  EXPECT_FALSE(get<int(void*, int, void*)>("call_back")(callback->address(), 0, nullptr));
  EXPECT_EQ(log, (std::vector<std::string>{"inner call failed", "host frame unwound"}));
}

TEST_F(Host, ExitProcessStopsThreadsInGuestCode) {
  static long counter = 0;
  ASSERT_EQ(get<int(void*)>("start_spinner")(&counter).value(), 1);
  while (__atomic_load_n(&counter, __ATOMIC_RELAXED) == 0) std::this_thread::yield();
  EXPECT_FALSE(get<void(unsigned)>("exit_process")(0));
  const long frozen = __atomic_load_n(&counter, __ATOMIC_RELAXED);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(__atomic_load_n(&counter, __ATOMIC_RELAXED), frozen);
}

TEST_F(Host, ExitThreadEndsTheCallOnly) {
  std::thread([&] {
    auto result = get<void(unsigned)>("exit_thread")(3);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::guest_ended);
  }).join();
  EXPECT_EQ(get<int(int, int)>("add")(1, 2).value(), 3);
}

TEST_F(Host, TheHostStandsForTheProgram) {
  char name[512] = {};
  EXPECT_GT(get<int(char*, int)>("module_name")(name, sizeof name).value(), 0);
  EXPECT_NE(std::string(name).find("host_test"), std::string::npos) << name;
}

TEST_F(Host, OneRuntimeAtATime) {
  auto second = Runtime::start({});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::invalid);
}

/// What `body` returns in the child of a fork; killed (and -1) if it hangs.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Host, TheChildOfAForkGoesOnAlone) {
  const auto add = get<int(int, int)>("add");
  std::thread attached([&] { EXPECT_EQ(add(1, 1).value(), 2); });
  attached.join();
  EXPECT_EQ(in_child([&] { return add(20, 22).value_or(1); }), 42);
}

TEST_F(Host, AChildEndsItsCopyAndStartsAnew) {
  static long counter = 0;
  ASSERT_EQ(get<int(void*)>("start_spinner")(&counter).value(), 1);
  while (__atomic_load_n(&counter, __ATOMIC_RELAXED) == 0) std::this_thread::yield();
  const auto add = get<int(int, int)>("add");
  const auto run_threads = get<int(int)>("run_threads");
  EXPECT_EQ(in_child([&] {
              if (add(20, 22).value_or(0) != 42 || run_threads(3).value_or(0) != 3) return 1;
              if (runtime->load("guest.dll")) return 2;
              dll.reset();
              runtime.reset();
              auto own = Runtime::start({.dll_path = {kFolder}});
              if (!own) return 3;
              auto again = own->load("guest.dll");
              if (!again) return 4;
              return again->function<int(int, int)>("add")->operator()(20, 22).value_or(0);
            }),
            42);
  EXPECT_EQ(*get<int*()>("per_thread")().value(), 40);
  EXPECT_EQ(run_threads(3).value(), 3);
  runtime.reset();  // stops the spinner; freeing the DLL first would take its code from under it
}

TEST_F(Host, ExitProcessInAChildEndsItsCopy) {
  static long counter = 0;
  ASSERT_EQ(get<int(void*)>("start_spinner")(&counter).value(), 1);
  while (__atomic_load_n(&counter, __ATOMIC_RELAXED) == 0) std::this_thread::yield();
  const auto exit_process = get<void(unsigned)>("exit_process");
  EXPECT_EQ(in_child([&] {
              auto ended = exit_process(77);
              runtime.reset();
              return ended ? 1 : static_cast<int>(ended.error().status);
            }),
            77);
  EXPECT_EQ(get<int(int, int)>("add")(1, 2).value(), 3);
  runtime.reset();  // stops the spinner; freeing the DLL first would take its code from under it
}

// ---- what goes wrong leaves nothing behind
// -------------------------------------------------------------------

class BadInput : public Host {
 protected:
  ~BadInput() override {
    for (const std::string& path : written_) std::filesystem::remove(path);
  }

  /// Loads something that must fail, and checks that all counts are what they were.
  Error refused(const std::string& name) {
    const Statistics before = runtime->statistics();
    auto loaded = runtime->load(name);
    EXPECT_FALSE(loaded);
    const Statistics after = runtime->statistics();
    EXPECT_EQ(after.modules, before.modules);
    EXPECT_EQ(after.handles, before.handles);
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(get<int(int, int)>("add")(40, 2).value(), 42);
    return loaded ? Error{} : loaded.error();
  }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = ::testing::TempDir() + std::to_string(getpid()) + "-" + name;
    std::ofstream(path, std::ios::binary) << content;
    written_.push_back(path);
    return path;
  }

 private:
  std::vector<std::string> written_;
};

TEST_F(BadInput, MissingDll) {
  const Error error = refused("no_such.dll");
  EXPECT_EQ(error.kind, ErrorKind::not_found);
  EXPECT_NE(error.message().find("no_such.dll"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find(kFolder), std::string::npos) << error.message();
}

TEST_F(BadInput, NotPe) {
  EXPECT_EQ(refused(write("text.dll", "this is no program")).kind, ErrorKind::not_pe);
  EXPECT_EQ(refused(write("empty.dll", "")).kind, ErrorKind::not_pe);
  EXPECT_EQ(refused(write("elf.dll", std::string("\x7f") + "ELF\2\1\1")).kind, ErrorKind::not_pe);
}

TEST_F(BadInput, Truncated) {
  std::ifstream in(kFolder + "/guest.dll", std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (const std::size_t size : {64u, 256u, 700u, 1500u}) {
    const Error error = refused(write("cut.dll", whole.substr(0, size)));
    EXPECT_TRUE(error.kind == ErrorKind::malformed || error.kind == ErrorKind::not_pe)
        << size << ": " << error.message();
    EXPECT_TRUE(error.offset.has_value() || error.rva.has_value()) << error.message();
  }
}

TEST_F(BadInput, DllMainRefuses) {
  const Error error = refused("refuses.dll");
  EXPECT_EQ(error.kind, ErrorKind::refused);
  EXPECT_NE(error.message().find("refuses.dll"), std::string::npos) << error.message();
  EXPECT_TRUE(error.rva.has_value());
}

TEST_F(BadInput, MissingImport) {
  ASSERT_TRUE((runtime->provide<int(int)>("host.dll", "host_double", [](int n) { return n; })));
  const Error error = refused("missing.dll");
  EXPECT_EQ(error.kind, ErrorKind::missing_export);
  EXPECT_NE(error.message().find("host_missing"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("missing.dll"), std::string::npos) << error.message();
}

TEST_F(BadInput, MissingExport) {
  auto function = dll->function<int()>("no_such_function");
  ASSERT_FALSE(function);
  EXPECT_EQ(function.error().kind, ErrorKind::missing_export);
  EXPECT_NE(function.error().message().find("no_such_function"), std::string::npos);
}

TEST(Runtimes, FollowEachOther) {
  for (int i = 0; i < 3; ++i) {
    auto runtime = Runtime::start({.dll_path = {kFolder}});
    ASSERT_TRUE(runtime) << runtime.error().message();
    auto dll = runtime->load("guest.dll");
    ASSERT_TRUE(dll) << dll.error().message();
    auto add = dll->function<int(int, int)>("add");
    ASSERT_TRUE(add);
    EXPECT_EQ((*add)(i, 1).value(), i + 1);
  }
}

// Threads of the host.
std::ptrdiff_t tasks() { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); }

TEST(Runtimes, EndThePoolsThatTheGuestLeaves) {
  std::ptrdiff_t before = 0;
  for (int i = 0; i < 3; ++i) {
    {
      auto runtime = Runtime::start({.dll_path = {kFolder}});
      ASSERT_TRUE(runtime) << runtime.error().message();
      auto dll = runtime->load("guest.dll");
      ASSERT_TRUE(dll) << dll.error().message();
      EXPECT_EQ(dll->function<int()>("leave_a_pool")->operator()().value(), 1);
    }
    if (i == 0) before = tasks();
  }
  while (tasks() > before)
    std::this_thread::yield();  // a thread that was joined may be seen for a moment more
}

TEST(Runtimes, LoadAndUnloadWithoutGrowth) {
  auto runtime = Runtime::start({.dll_path = {kFolder}});
  ASSERT_TRUE(runtime);
  {
    auto warm = runtime->load("guest.dll");
  }
  const Statistics before = runtime->statistics();
  for (int i = 0; i < 100; ++i) {
    auto dll = runtime->load("guest.dll");
    ASSERT_TRUE(dll);
    EXPECT_EQ(*dll->function<int*()>("per_thread")->operator()().value(), 40);
  }
  const Statistics after = runtime->statistics();
  EXPECT_EQ(after.modules, before.modules);
  EXPECT_EQ(after.allocations, before.allocations);
}

TEST(Runtimes, ALoadThatRunsOutOfMemoryLeavesNothing) {
  auto runtime = Runtime::start({.dll_path = {kFolder}});
  ASSERT_TRUE(runtime);
  {
    auto warm = runtime->load("guest.dll");
  }
  const Statistics before = runtime->statistics();
  int failures = 0;
  for (std::uint64_t n = 1; n <= 100; ++n) {
    os::fail_allocation(n);
    auto loaded = runtime->load("guest.dll");  // some allocations it can do without
    os::fail_allocation(0);
    if (loaded) continue;
    ++failures;
    const Statistics after = runtime->statistics();
    EXPECT_EQ(after.modules, before.modules) << n;
    EXPECT_EQ(after.allocations, before.allocations) << n;
    EXPECT_EQ(after.handles, before.handles) << n;
  }
  EXPECT_GT(failures, 3);
}

TEST(Runtimes, WhatOutlivesARuntimeAnswersThatTheGuestHasEnded) {
  auto runtime = std::make_optional(*Runtime::start({.dll_path = {kFolder}}));
  auto dll = runtime->load("guest.dll");
  ASSERT_TRUE(dll) << dll.error().message();
  auto callback = runtime->callback<int(int)>([](int n) { return n; });
  ASSERT_TRUE(callback);
  runtime.reset();
  auto function = dll->function<int(int, int)>("add");
  ASSERT_FALSE(function);
  EXPECT_EQ(function.error().kind, ErrorKind::guest_ended);
  EXPECT_EQ(dll->path(), "");
  auto next = Runtime::start({.dll_path = {kFolder}});
  EXPECT_TRUE(next) << next.error().message();
}

int g_tls_lines = 0;

/// Loads copies of a DLL with TLS while a host thread runs in the first of them, and says what was counted
/// before and after the thread ended.
std::pair<TlsStatistics, TlsStatistics> load_copies_under_a_thread(TlsGrowth growth, int copies) {
  char scratch[] = "/tmp/bobbin-host-test-XXXXXX";
  EXPECT_NE(mkdtemp(scratch), nullptr);
  std::pair<TlsStatistics, TlsStatistics> counted;
  {
    auto runtime = Runtime::start(
        {.dll_path = {scratch}, .tls_growth = growth, .trace = kTraceTls, .trace_sink = [](std::string_view) {
           ++g_tls_lines;
         }});
    EXPECT_TRUE(runtime) << runtime.error().message();
    std::vector<Module> loaded;
    const auto load_next = [&] {
      const std::string name = "copy" + std::to_string(loaded.size()) + ".dll";
      std::filesystem::copy_file(kFolder + "/guest.dll", scratch + ("/" + name));
      auto dll = runtime->load(name);
      EXPECT_TRUE(dll) << dll.error().message();
      loaded.push_back(std::move(*dll));
    };
    load_next();
    std::atomic<int> step{0};
    std::thread host([&, per_thread = *loaded[0].function<int*()>("per_thread")] {
      int* const mine = per_thread().value();
      *mine = 7;
      step = 1;
      while (step != 2) std::this_thread::yield();
      EXPECT_EQ(per_thread().value(), mine);
      EXPECT_EQ(*mine, 7);
      EXPECT_EQ(*(*loaded.back().function<int*()>("per_thread"))().value(), 40);
    });
    while (step != 1) std::this_thread::yield();
    for (int i = 1; i < copies; ++i) load_next();
    counted.first = runtime->tls_statistics();
    step = 2;
    host.join();
    counted.second = runtime->tls_statistics();
  }
  std::filesystem::remove_all(scratch);
  return counted;
}

TEST(Runtimes, SwapVectorsUnderThreadsThatRun) {
  g_tls_lines = 0;
  // Room for the first and eight to spare; the tenth outgrows it in both threads.
  constexpr std::uint64_t kBytes = 16 + 9 * sizeof(void*);
  const auto [alive, ended] = load_copies_under_a_thread(TlsGrowth::swap, 10);
  EXPECT_EQ(alive.growth, TlsGrowth::swap);
  EXPECT_EQ(alive.modules, 10u);
  EXPECT_EQ(alive.threads, 2u);
  EXPECT_EQ(alive.vector_length, 17u);
  EXPECT_EQ(alive.growths, 2u);  // from none, and from nine
  EXPECT_EQ(alive.vectors, 4u);
  EXPECT_EQ(alive.retired_vectors, 2u);
  EXPECT_EQ(alive.retired_bytes, 2 * kBytes);
  EXPECT_EQ(alive.blocks, 20u);
  EXPECT_GT(g_tls_lines, 10);
  EXPECT_EQ(ended.threads, 1u);
  EXPECT_EQ(ended.vectors, 2u);
  EXPECT_EQ(ended.retired_vectors, 1u);
  EXPECT_EQ(ended.retired_bytes, kBytes);
  EXPECT_EQ(ended.ever_retired, 2u);
  EXPECT_EQ(ended.blocks, 10u);
}

TEST(Runtimes, GrowVectorsInPlaceWithoutRetiringAny) {
  const auto [alive, ended] = load_copies_under_a_thread(TlsGrowth::in_place, 10);
  EXPECT_EQ(alive.growth, TlsGrowth::in_place);
  EXPECT_EQ(alive.modules, 10u);
  EXPECT_EQ(alive.threads, 2u);
  EXPECT_EQ(alive.growths, 0u);
  EXPECT_EQ(alive.ever_retired, 0u);
  EXPECT_EQ(alive.vectors, 0u);
  EXPECT_EQ(ended.threads, 1u);
}

TEST(Runtimes, TakeTheirGrowthFromTheEnvironmentUnlessTold) {
  const auto growth_of = [](const Options& options) {
    auto runtime = Runtime::start(options);
    return runtime ? std::optional(runtime->tls_statistics().growth) : std::nullopt;
  };
  unsetenv("BOBBIN_TLS_GROWTH");
  EXPECT_EQ(growth_of({}), TlsGrowth::in_place);
  setenv("BOBBIN_TLS_GROWTH", "swap", 1);
  EXPECT_EQ(growth_of({}), TlsGrowth::swap);
  EXPECT_EQ(growth_of({.tls_growth = TlsGrowth::in_place}), TlsGrowth::in_place);
  setenv("BOBBIN_TLS_GROWTH", "sideways", 1);
  EXPECT_EQ(growth_of({}), std::nullopt);
  unsetenv("BOBBIN_TLS_GROWTH");
}

TEST(Runtimes, HostThreadsOutliveThem) {
  std::atomic<int> round{0};
  std::optional<Function<int(int, int)>> add;
  std::thread host([&] {
    for (int i = 1; i <= 3; ++i) {
      while (round != 2 * i - 1) std::this_thread::yield();
      EXPECT_EQ((*add)(i, 1).value(), i + 1);
      round = 2 * i;
    }
  });
  for (int i = 1; i <= 3; ++i) {
    auto runtime = Runtime::start({.dll_path = {kFolder}});
    ASSERT_TRUE(runtime);
    auto dll = runtime->load("guest.dll");
    ASSERT_TRUE(dll);
    add = *dll->function<int(int, int)>("add");
    round = 2 * i - 1;
    while (round != 2 * i) std::this_thread::yield();
  }
  host.join();
}

TEST(Generations, DisagreeOnWhetherADllWithTlsLostItsNotices) {
  for (const auto generation : {Generation::vista, Generation::win10, Generation::win11}) {
    auto runtime = Runtime::start({.dll_path = {kFolder}, .generation = generation});
    ASSERT_TRUE(runtime) << runtime.error().message();
    auto dll = runtime->load("guest.dll");  // has TLS
    auto kernel32 = runtime->load("kernel32.dll");
    auto ntdll = runtime->load("ntdll.dll");
    ASSERT_TRUE(dll && kernel32 && ntdll);
    const auto disable = kernel32->function<int(void*)>("DisableThreadLibraryCalls");
    const auto ldr_disable = ntdll->function<int(void*)>("LdrDisableThreadCalloutsForDll");
    ASSERT_TRUE(disable && ldr_disable);
    const bool newest = generation == Generation::win11;
    EXPECT_EQ((*disable)(dll->base()).value(), newest ? 1 : 0);
    EXPECT_EQ((*ldr_disable)(dll->base()).value() == 0, newest);
  }
}

TEST(Lint, TellsTheHostOfWhatAnUnloadedDllLeaves) {
  std::vector<Finding> found;
  auto runtime = Runtime::start(
      {.dll_path = {kFolder}, .on_finding = [&](const Finding& finding) { found.push_back(finding); }});
  ASSERT_TRUE(runtime) << runtime.error().message();
  {
    auto dll = runtime->load("guest.dll");
    ASSERT_TRUE(dll) << dll.error().message();
    const auto leak = dll->function<void()>("leak_a_tls_index");
    ASSERT_TRUE(leak);
    ASSERT_TRUE((*leak)());
    EXPECT_TRUE(found.empty());
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].rule, "tls-index-leaked");
  EXPECT_EQ(found[0].module, "guest.dll");
  EXPECT_TRUE(found[0].function.starts_with("leak_a_tls_index+0x")) << found[0].function;
  EXPECT_NE(found[0].address, nullptr);
  EXPECT_FALSE(found[0].text.empty() || found[0].advice.empty());
}

/// Two threads of the host take two critical sections of the guest, each the other's first.
class Standstill : public ::testing::Test {
 protected:
  void start(bool ends_guest) {
    auto started = Runtime::start({.on_deadlock =
                                       [this](const Deadlock& deadlock) {
                                         found.push_back(deadlock);
                                         told = true;
                                       },
                                   .deadlock_ends_guest = ends_guest});
    ASSERT_TRUE(started) << started.error().message();
    runtime.emplace(std::move(*started));
    auto loaded = runtime->load("kernel32.dll");
    ASSERT_TRUE(loaded);
    kernel32.emplace(std::move(*loaded));
    const auto initialize = kernel32->function<void(void*)>("InitializeCriticalSection");
    const auto enter = kernel32->function<void(void*)>("EnterCriticalSection");
    ASSERT_TRUE(initialize && enter);
    for (auto& section : sections) ASSERT_TRUE((*initialize)(section));
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([this, i, enter = *enter] {
        EXPECT_TRUE(enter(sections[i]));
        ++entered;
        while (entered != 2) std::this_thread::yield();
        const auto second = enter(sections[1 - i]);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().kind, ErrorKind::guest_ended);
      });
    }
  }
  void join() {
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(found.size(), 1u);
    ASSERT_EQ(found[0].members.size(), 2u);
    EXPECT_EQ(found[0].members[0].holds.size(), 1u);
    EXPECT_EQ(found[0].members[0].holds[0], found[0].members[1].waits_for);
    EXPECT_EQ(found[0].members[1].holds[0], found[0].members[0].waits_for);
    EXPECT_NE(found[0].text.find(found[0].rule), std::string::npos);
  }

  std::optional<Runtime> runtime;
  std::optional<Module> kernel32;
  alignas(8) std::byte sections[2][40];
  std::vector<std::thread> threads;
  std::vector<Deadlock> found;
  std::atomic<bool> told{false};
  std::atomic<int> entered{0};
};

TEST_F(Standstill, GoesOnUntilTheHostEndsIt) {
  start(false);
  while (!told) std::this_thread::yield();
  const auto exit = kernel32->function<void(std::uint32_t)>("ExitProcess");
  ASSERT_TRUE(exit);
  EXPECT_FALSE((*exit)(5));
  join();
  EXPECT_EQ((*exit)(6).error().status, 5u);
}

TEST_F(Standstill, EndsTheGuestIfItIsToldTo) {
  start(true);
  join();
  const auto exit = kernel32->function<void(std::uint32_t)>("ExitProcess");
  if (exit) {
    EXPECT_EQ((*exit)(6).error().status, 3u);
  } else {
    EXPECT_EQ(exit.error().status, 3u);
  }
}

}  // namespace
}  // namespace bobbin
