// The engine's operations in every order: two and three threads with three operations each, under the
// explorer (os/fake/explorer.hpp), which changes the turn at each lock. After each step the invariants are
// checked, and after each operation what a guest could see of it.
//
// A failure says how to run its schedule again:
//     BOBBIN_SCHEDULE='A3 B2' build/bin/tls_fake_test --gtest_filter='*Schedules*/in_place_lives_slots'
// BOBBIN_PREEMPTIONS=n explores with up to n instead of the pre-emptions named below.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <ostream>

#include "os/fake/explorer.hpp"
#include "tls/fls.hpp"
#include "tls/record.hpp"
#include "tls/strategy.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

using os::fake::require;

constexpr int kUsed = 0xEE;        ///< in all bytes of a block that its thread has met
constexpr int kMostExchanged = 5;  ///< more threads than there are

/// A process: an engine, modules that are there from the start, and a thread that lives as long.
struct World {
  explicit World(Growth growth) {
    low[0] = ~0u;  // one slot below 64 is free, then come the expansion slots
    low[1] = ~0u >> 1;
    auto made = Engine::create({.growth = growth, .heap = &heap, .growth_step = 1}, low, high);
    require(made.has_value(), "no engine");
    engine = std::move(*made);
    load(lasting);
    observer = start();
    alive.push_back(observer);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    for (ThreadRecord* record : alive) engine->destroy_thread(record);
    lasting.unload();
    require(heap.live() <= lost, "something stays in the guest's heap");
  }

  [[nodiscard]] ThreadRecord* start() const {
    auto record = engine->create_thread();
    require(record && engine->attach_thread(**record), "no thread");
    return *record;
  }
  void load(Image& image) {
    auto reservation = engine->prepare_module(image.as_template());
    require(reservation.has_value(), "no room for a module");
    engine->commit_module(std::move(*reservation));
    image.engine = engine.get();
    loaded.push_back(&image);
  }

  /// As compiled code reads it.
  static std::byte* block(ThreadRecord* record, const Image& image) {
    return static_cast<std::byte*>(teb_of(*record).ThreadLocalStoragePointer[image.index]);
  }
  /// The thread meets the module for the first time, and uses its variables.
  static void meet(ThreadRecord* record, const Image& image) {
    std::byte* const at = block(record, image);
    if (at == nullptr) return require(false, "a thread has no block");
    require(std::memcmp(at, image.bytes.data(), image.bytes.size()) == 0, "a block is not its template");
    std::memset(at, kUsed, image.bytes.size());
  }

  TestHeap heap;
  std::size_t lost = 0;  ///< blocks that the guest got back in vectors, and does not free
  std::array<abi::ULONG, 2> low{};
  std::array<abi::ULONG, 32> high{};
  std::unique_ptr<Engine> engine;
  os::Mutex loader_lock;
  Image lasting{64, 1};
  std::vector<Image*> loaded;        ///< guarded by loader_lock; complete, and not being unloaded
  std::vector<ThreadRecord*> alive;  ///< born completely, and not dying
  ThreadRecord* observer = nullptr;
};

/// One thread of the host, and what its operations work on.
class Actor {
 public:
  explicit Actor(World& world) : world_(world) {}
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
  ~Actor() { unload_quietly(); }

  // A guest thread's life.
  void be_born() {
    record_ = world_.start();
    world_.alive.push_back(record_);
    for (const Image* image : world_.loaded) World::meet(record_, *image);
  }
  void die() {
    std::erase(world_.alive, record_);
    world_.engine->detach_thread(*record_);
    world_.engine->destroy_thread(record_);
  }
  void be_killed() {  // TerminateThread: nobody detaches it
    std::erase(world_.alive, record_);
    world_.engine->destroy_thread(record_);
  }
  void store_values() {
    require(world_.engine->make_expansion_slots(teb()).has_value(), "no expansion cells");
    require(world_.engine->fls().set(teb(), 20, this).has_value(), "no memory for FLS");
  }

  // LoadLibrary and FreeLibrary, under the loader lock.
  void load_small() { load(small_); }
  void load_large() { load(large_); }
  void unload() {
    const std::scoped_lock guard(world_.loader_lock);
    std::erase(world_.loaded, loaded_);
    std::exchange(loaded_, nullptr)->unload();
  }
  void fail_to_load() {  // a later step of the load fails
    const std::scoped_lock guard(world_.loader_lock);
    const auto dropped = world_.engine->prepare_module(large_.as_template());
    require(dropped.has_value(), "no room for a module");
  }

  // NtSetInformationProcess(ProcessTlsInformation), by a guest that maps DLLs by itself.
  /// Every thread gets a block of the guest's making for the module that the actor has loaded.
  void replace_blocks() {
    const std::scoped_lock guard(world_.loader_lock);
    std::vector<ThreadData> data;
    for (int i = 0; i < kMostExchanged; ++i) data.push_back({make_block(*loaded_)});
    require(world_.engine->exchange(Exchange::entries, loaded_->index, data).has_value(), "no exchange");
    for (const ThreadData& one : data) {
      const void* const back = one.taken ? one.previous : one.data;
      require(back != nullptr, "a thread had no block of a module that is loaded");
      const auto* const header = static_cast<const BlockHeader*>(back) - 1;
      if (!world_.heap.size(header)) continue;  // in place: part of a thread's record, and gone with it
      const auto first = *static_cast<const std::byte*>(back);
      require(first == loaded_->bytes[0] || first == std::byte{kUsed}, "what comes back was never a block");
      world_.heap.free(const_cast<BlockHeader*>(header));
    }
  }
  /// Every thread gets a vector that is just long enough for what is loaded now.
  void replace_vectors() {
    const std::scoped_lock guard(world_.loader_lock);
    std::uint32_t length = 0;
    for (const Image* image : world_.loaded) length = std::max(length, image->index + 1);
    std::vector<ThreadData> data;
    for (int i = 0; i < kMostExchanged; ++i) {
      auto* const header = static_cast<VectorHeader*>(world_.heap.allocate((2 + length) * sizeof(void*)));
      header->length = length;
      data.push_back({header + 1});
    }
    require(world_.engine->exchange(Exchange::vectors, length, data).has_value(), "no exchange");
    for (const ThreadData& one : data) {
      const void* const back = one.taken ? one.previous : one.data;
      require(back != nullptr, "a thread had no vector although a module has TLS");
      const auto* const header = static_cast<const VectorHeader*>(back) - 1;
      for (std::uint64_t i = length; i < header->length; ++i) {  // those of modules that have gone
        const void* const block = static_cast<void* const*>(back)[i];
        if (block != nullptr && world_.heap.size(static_cast<const BlockHeader*>(block) - 1)) ++world_.lost;
      }
      if (!world_.engine->take_back_vector(header)) world_.heap.free(const_cast<VectorHeader*>(header));
    }
  }

  // Explicit slots.
  void allocate_slot() {
    auto slot = world_.engine->allocate_slot(teb());
    require(slot.has_value(), "no slot");
    slot_ = *slot;
    for (ThreadRecord* record : world_.alive) {
      void** const cell = cell_of(teb_of(*record));
      require(cell == nullptr || *cell == nullptr, "a fresh slot is not empty in every thread");
      if (cell != nullptr) *cell = this;
    }
  }
  void free_slot() {
    require(*cell_of(teb()) == this, "a slot lost its value");
    require(world_.engine->free_slot(slot_), "a slot was not allocated");
  }

 private:
  abi::TEB& teb() { return teb_of(record_ != nullptr ? *record_ : *world_.observer); }

  void** cell_of(abi::TEB& teb) const {
    if (slot_ < 64) return &teb.TlsSlots[slot_];
    return teb.TlsExpansionSlots == nullptr ? nullptr : teb.TlsExpansionSlots + (slot_ - 64);
  }

  void* make_block(const Image& image) {
    auto* const header =
        static_cast<BlockHeader*>(world_.heap.allocate(sizeof(BlockHeader) + image.bytes.size()));
    header->raw = header;
    std::memcpy(header + 1, image.bytes.data(), image.bytes.size());
    return header + 1;
  }

  void load(Image& image) {
    const std::scoped_lock guard(world_.loader_lock);
    world_.load(image);
    loaded_ = &image;
    for (ThreadRecord* record : world_.alive) World::meet(record, image);
  }
  void unload_quietly() {
    small_.unload();
    large_.unload();
  }

  World& world_;
  ThreadRecord* record_ = nullptr;
  Image small_{48, 2}, large_{9000, 3};
  Image* loaded_ = nullptr;
  std::uint32_t slot_ = 0;
};

struct Script {
  const char* name;
  std::vector<void (Actor::*)()> operations;
};

const std::vector<Script>& scripts() {
  static const std::vector<Script> all{
      {"lives", {&Actor::be_born, &Actor::die, &Actor::be_born}},
      {"values", {&Actor::be_born, &Actor::store_values, &Actor::be_killed}},
      {"loads", {&Actor::load_small, &Actor::unload, &Actor::load_large}},
      {"fails", {&Actor::fail_to_load, &Actor::load_large, &Actor::unload}},
      {"slots", {&Actor::allocate_slot, &Actor::free_slot, &Actor::allocate_slot}},
      {"blocks", {&Actor::load_small, &Actor::replace_blocks, &Actor::unload}},
      {"vectors", {&Actor::replace_vectors, &Actor::load_large, &Actor::replace_vectors}},
  };
  return all;
}

os::fake::Scenario make_scenario(Growth growth, const std::vector<const Script*>& chosen) {
  struct Cast {
    explicit Cast(Growth growth) : world(growth) {}
    World world;
    std::vector<std::unique_ptr<Actor>> actors;
  };
  auto cast = std::make_shared<Cast>(growth);
  os::fake::Scenario scenario;
  for (const Script* script : chosen) {
    Actor* const actor = cast->actors.emplace_back(std::make_unique<Actor>(cast->world)).get();
    scenario.threads.emplace_back([cast, actor, script] {
      for (const auto operation : script->operations) {
        (actor->*operation)();
        os::fake::pause();  // what an operation left must last until the next one
      }
    });
  }
  scenario.broken = [cast] { return check_invariants(*cast->world.engine); };
  return scenario;
}

struct Case {
  Growth growth;
  std::vector<const Script*> scripts;
  [[nodiscard]] std::string name() const {
    std::string text = name_of(growth);
    for (const Script* script : scripts) text += std::string("_") + script->name;
    return text;
  }
};

/// What gtest calls a case.
void PrintTo(const Case& one, std::ostream* out) { *out << one.name(); }

/// Every choice of so many scripts, in both modes.
std::vector<Case> every_case(std::size_t threads, bool with_repetition) {
  std::vector<Case> cases;
  for (const Growth growth : {Growth::in_place, Growth::swap}) {
    std::vector<std::vector<const Script*>> choices{{}};
    for (std::size_t i = 0; i < threads; ++i) {
      std::vector<std::vector<const Script*>> longer;
      for (const auto& choice : choices) {
        for (const Script& script : scripts()) {
          if (!choice.empty() && &script < choice.back()) continue;  // the same in another order
          if (!choice.empty() && &script == choice.back() && !with_repetition) continue;
          longer.push_back(choice);
          longer.back().push_back(&script);
        }
      }
      choices = std::move(longer);
    }
    for (auto& choice : choices) cases.push_back({growth, std::move(choice)});
  }
  return cases;
}

class SchedulesTest : public testing::TestWithParam<Case> {
 protected:
  static void explore(int preemptions) {
    const char* const schedule = std::getenv("BOBBIN_SCHEDULE");
    const char* const bound = std::getenv("BOBBIN_PREEMPTIONS");
    const auto make = [] { return make_scenario(GetParam().growth, GetParam().scripts); };
    const auto seen =
        os::fake::explore(make, {.preemptions = bound != nullptr ? std::atoi(bound) : preemptions,
                                 .replay = schedule != nullptr ? schedule : ""});
    std::printf("%zu schedules, %zu steps\n", seen.schedules, seen.steps);
    EXPECT_EQ(seen.failure, "") << fmt::format(
        "to see it again:\n  BOBBIN_SCHEDULE='{}' build/bin/tls_fake_test --gtest_filter='*Schedules*/{}'",
        seen.schedule, GetParam().name());
    if (schedule == nullptr && bound == nullptr) {
      EXPECT_GT(seen.schedules, 50u) << "it is not exploring";
    }
  }
};

class TwoThreadsSchedulesTest : public SchedulesTest {};
TEST_P(TwoThreadsSchedulesTest, PreemptedTwice) { explore(2); }
INSTANTIATE_TEST_SUITE_P(All, TwoThreadsSchedulesTest, testing::ValuesIn(every_case(2, true)),
                         [](const auto& instance) { return instance.param.name(); });

class ThreeThreadsSchedulesTest : public SchedulesTest {};
TEST_P(ThreeThreadsSchedulesTest, PreemptedOnce) { explore(1); }
INSTANTIATE_TEST_SUITE_P(All, ThreeThreadsSchedulesTest, testing::ValuesIn(every_case(3, false)),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace
}  // namespace bobbin::tls
