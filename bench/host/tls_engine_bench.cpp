// What the TLS engine's own operations cost, without guests: `build/bin/tls_engine_bench`.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <vector>

#include "tls/engine.hpp"
#include "tls/record.hpp"

namespace {

using namespace bobbin;
using namespace bobbin::tls;

struct Module {
  std::vector<std::byte> bytes;
  std::uint32_t index = 0;
};

/// An engine with modules of one size and threads that do nothing.
struct World {
  World(std::size_t modules, std::size_t size, std::size_t threads) {
    engine = std::move(*Engine::create({}, low, high));
    for (std::size_t i = 0; i < modules; ++i) {
      loaded.push_back(std::make_unique<Module>(std::vector<std::byte>(size, std::byte{7})));
      load(*loaded.back());
    }
    for (std::size_t i = 0; i < threads; ++i) {
      records.push_back(*engine->create_thread());
      if (!engine->attach_thread(*records.back())) std::abort();
    }
  }
  ~World() {
    for (ThreadRecord* record : records) engine->destroy_thread(record);
  }
  void load(Module& module) {
    auto reservation = engine->prepare_module({.bytes = module.bytes, .index_address = &module.index});
    if (!reservation) std::abort();
    engine->commit_module(std::move(*reservation));
  }
  std::array<abi::ULONG, 2> low{};
  std::array<abi::ULONG, 32> high{};
  std::unique_ptr<Engine> engine;
  std::vector<std::unique_ptr<Module>> loaded;
  std::vector<ThreadRecord*> records;
};

std::size_t argument(const benchmark::State& state, std::size_t i) {
  return static_cast<std::size_t>(state.range(i));
}

void record_create_destroy(benchmark::State& state) {
  World world(0, 0, 0);
  for (auto _ : state) world.engine->destroy_thread(*world.engine->create_thread());
}
BENCHMARK(record_create_destroy);

void birth_and_death(benchmark::State& state) {
  World world(argument(state, 0), argument(state, 1), 0);
  for (auto _ : state) {
    ThreadRecord* const record = *world.engine->create_thread();
    if (!world.engine->attach_thread(*record)) std::abort();
    world.engine->detach_thread(*record);
    world.engine->destroy_thread(record);
  }
}
BENCHMARK(birth_and_death)
    ->ArgNames({"modules", "bytes"})
    ->Args({0, 64})
    ->Args({1, 64})
    ->Args({10, 64})
    ->Args({100, 64})
    ->Args({10, 512})
    ->Args({10, 1024})
    ->Args({10, 2048})
    ->Args({100, 64 << 10})
    ->Args({1, 4 << 20})
    ->Args({100, 4 << 20});

/// A large template in an image that is mapped from a file, as most are: nothing has to be compared.
void birth_and_death_mapped_image(benchmark::State& state) {
  World world(0, 0, 0);
  const auto size = argument(state, 0);
  auto file = os::MemoryFile::create("image");
  if (!file || !file->resize(size)) std::abort();
  auto image = os::map_private(file->fd(), 0, size, os::Protection::read_write);
  std::uint32_t index = 0;
  auto reservation = world.engine->prepare_module({.bytes = {*image, size}, .index_address = &index});
  if (!reservation) std::abort();
  world.engine->commit_module(std::move(*reservation));
  for (auto _ : state) {
    ThreadRecord* const record = *world.engine->create_thread();
    if (!world.engine->attach_thread(*record)) std::abort();
    world.engine->detach_thread(*record);
    world.engine->destroy_thread(record);
  }
  world.engine->release_module(index);
}
BENCHMARK(birth_and_death_mapped_image)->ArgName("bytes")->Arg(64 << 10)->Arg(4 << 20);

/// As above, and the thread writes to the first word of each block: what a copy and a view cost in use.
void birth_touch_and_death(benchmark::State& state) {
  World world(argument(state, 0), argument(state, 1), 0);
  for (auto _ : state) {
    ThreadRecord* const record = *world.engine->create_thread();
    if (!world.engine->attach_thread(*record)) std::abort();
    void** const vector = teb_of(*record).ThreadLocalStoragePointer;
    for (std::size_t i = 0; i < argument(state, 0); ++i) *static_cast<volatile int*>(vector[i]) = 1;
    world.engine->detach_thread(*record);
    world.engine->destroy_thread(record);
  }
}
BENCHMARK(birth_touch_and_death)
    ->ArgNames({"modules", "bytes"})
    ->Args({10, 64})
    ->Args({10, 512})
    ->Args({10, 1024})
    ->Args({10, 2048})
    ->Args({10, 4096});

void load_and_release(benchmark::State& state) {
  World world(1, 64, argument(state, 1));
  Module module{std::vector<std::byte>(argument(state, 0), std::byte{7})};
  for (auto _ : state) {
    world.load(module);
    world.engine->release_module(module.index);
  }
  state.counters["per_thread"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(state.range(1)),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(load_and_release)
    ->ArgNames({"bytes", "threads"})
    ->ArgsProduct({{64, 64 << 10}, {1, 100, 1000, 10000}});

void slot_allocate_free(benchmark::State& state) {
  World world(1, 64, argument(state, 0));
  abi::TEB& teb = teb_of(*world.records[0]);
  for (auto _ : state) benchmark::DoNotOptimize(world.engine->free_slot(*world.engine->allocate_slot(teb)));
}
BENCHMARK(slot_allocate_free)->ArgName("threads")->Arg(1)->Arg(64)->Arg(1000)->Arg(10000);

}  // namespace

BENCHMARK_MAIN();
