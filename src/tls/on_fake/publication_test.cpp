// What guests see of the engine at any moment. Compiled code reads its variables without asking anybody, so
// what it finds must be right between any two instructions of a load, a birth, an unload ... (engine.hpp,
// "How a change becomes visible"). Here each operation runs one instruction at a time, and after each of them
// a guest looks, in every thread, at every variable that it could know of.
//
// On a failure: `addr2line -Cfie build/bin/tls_fake_test 0x...` with the address it prints.
#include <algorithm>
#include <array>
#include <cstdio>

#include "os/fake/single_step.hpp"
#include "tls/record.hpp"
#include "tls/strategy.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

constexpr std::uint32_t kUnwritten = 0xAABBCCDD;  ///< an image's index word before its load

class PublicationTest : public BothWays {
 protected:
  static constexpr std::size_t kThreads = 3;

  void SetUp() override {
    low_ = {~0u, ~0u >> 1};    // a slot below 64 is free, the next ones are expansion slots
    make({.growth_step = 0});  // by swapping, each further module outgrows the vectors
    load(lasting_);
    for (std::size_t i = 0; i < kThreads; ++i) watched_[i] = start();
    for (std::size_t i = 0; i < kThreads; ++i) {
      std::memset(block(watched_[i], lasting_), mark(i), lasting_.bytes.size());
      ASSERT_TRUE(engine_->make_expansion_slots(teb_of(*watched_[i])));
    }
  }
  void TearDown() override {
    BothWays::TearDown();
    std::printf("a guest looked after each of %zu instructions\n", looks_);
    EXPECT_GT(looks_, 300u) << "nothing was watched";
  }

  static int mark(std::size_t thread) { return static_cast<int>(0xE0 + thread); }

  /// Runs one operation under the guest's eyes.
  void step(const std::function<void()>& operation) {
    const os::fake::Watched watched = os::fake::watch(operation, [this] { return look(); });
    EXPECT_EQ(watched.failure, "") << "after " << watched.failed_after << " instructions";
    looks_ += watched.instructions;
    expect_sound();
  }

  /// In a signal's handler, at any moment: reads only.
  [[nodiscard]] const char* look() const {
    for (std::size_t i = 0; i < kThreads + 1; ++i) {
      if (watched_[i] == nullptr) continue;
      void*** const field = &teb_of(*watched_[i]).ThreadLocalStoragePointer;
      void** const vector = std::atomic_ref(*field).load();
      if (vector == nullptr) continue;  // not born yet, or dead
      if (static_cast<const void*>(vector) == field) return "a thread has no vector";
      if (const char* wrong = look_at(vector, lasting_, i < kThreads ? mark(i) : 1)) return wrong;
      if (const char* wrong = look_at(vector, coming_, 2)) return wrong;
      // A late reader of a module that has gone finds what it likes, but does not fault.
      if (gone_ != kUnwritten) (void)*static_cast<volatile std::byte*>(vector[gone_]);
    }
    return look_at_slots();
  }
  /// One thread's variables of a module, as soon as the image says which index it has.
  static const char* look_at(void** vector, const Image& image, int expected) {
    const std::uint32_t index = std::atomic_ref(const_cast<std::uint32_t&>(image.index)).load();
    if (index == kUnwritten) return nullptr;
    const auto* const block = static_cast<const std::byte*>(std::atomic_ref(vector[index]).load());
    if (block == nullptr) return "a thread has no block of a module that has its index";
    const auto first = block[0], last = block[image.bytes.size() - 1];
    return first == std::byte(expected) && last == first ? nullptr : "a variable is not what it was";
  }
  /// A slot that is free reads NULL in every thread: whoever gets it next relies on it.
  [[nodiscard]] const char* look_at_slots() const {
    for (std::size_t i = 0; i < kThreads; ++i) {
      if (watched_[i] == nullptr) continue;
      abi::TEB& teb = teb_of(*watched_[i]);
      if ((low_[1] >> 31) == 0 && std::atomic_ref(teb.TlsSlots[63]).load() != nullptr)
        return "a free slot is not NULL";
      void** const cells = std::atomic_ref(teb.TlsExpansionSlots).load();
      if ((high_[0] & 1) == 0 && cells != nullptr && std::atomic_ref(cells[0]).load() != nullptr)
        return "a free expansion slot is not NULL";
    }
    return nullptr;
  }

  void load_watched(std::size_t size) {
    coming_.bytes.assign(size, std::byte{2});
    coming_.index = kUnwritten;
    std::optional<Reservation> reservation;
    step([&] { reservation.emplace(*engine_->prepare_module(coming_.as_template())); });
    EXPECT_EQ(coming_.index, kUnwritten);
    step([&] { engine_->commit_module(std::move(*reservation)); });
    EXPECT_NE(coming_.index, kUnwritten);
    coming_.engine = engine_.get();
  }
  void unload_watched() {
    gone_ = std::exchange(coming_.index, kUnwritten);
    coming_.engine = nullptr;
    step([&] { engine_->release_module(gone_); });
  }

  Image lasting_{64, 1};
  Image coming_{64, 2};
  std::uint32_t gone_ = kUnwritten;
  std::array<ThreadRecord*, kThreads + 1> watched_{};  ///< the last one is born under watch
  std::size_t looks_ = 0;
};
BOTH_WAYS(PublicationTest);

TEST_P(PublicationTest, ModulesComeAndGo) {
  for (const std::size_t size : {std::size_t{64}, std::size_t{4097}}) {
    load_watched(size);
    unload_watched();
    gone_ = kUnwritten;  // its index is taken again
    load_watched(size);
    coming_.index = kUnwritten;
    engine_->release_module(1);
    coming_.engine = nullptr;
  }
}

TEST_P(PublicationTest, ALoadThatFailsLater) {
  step([&] { (void)*engine_->prepare_module(coming_.as_template()); });
  EXPECT_EQ(coming_.index, kUnwritten);
}

TEST_P(PublicationTest, AThreadIsBornAndDies) {
  load_watched(4097);
  watched_[kThreads] = *engine_->create_thread();
  step([&] { ASSERT_TRUE(engine_->attach_thread(*watched_[kThreads])); });
  EXPECT_TRUE(shows(watched_[kThreads], lasting_) && shows(watched_[kThreads], coming_));
  step([&] { engine_->detach_thread(*watched_[kThreads]); });
  step([&] { engine_->destroy_thread(watched_[kThreads]); });
}

TEST_P(PublicationTest, TheFirstModuleComes) {
  while (!threads_.empty()) stop(threads_.back());
  lasting_.unload();
  lasting_.index = kUnwritten;
  make({});
  watched_ = {start()};
  const auto before = teb_of(*watched_[0]).ThreadLocalStoragePointer;
  ASSERT_EQ(static_cast<void*>(before), &teb_of(*watched_[0]).ThreadLocalStoragePointer) << "the sentinel";
  std::optional<Reservation> reservation;
  reservation.emplace(*engine_->prepare_module(lasting_.as_template()));
  const os::fake::Watched watched = os::fake::watch(
      [&] { engine_->commit_module(std::move(*reservation)); },
      [&]() -> const char* {
        void** const vector = std::atomic_ref(teb_of(*watched_[0]).ThreadLocalStoragePointer).load();
        const bool known = std::atomic_ref(lasting_.index).load() != kUnwritten;
        if (vector == before) return known ? "the index is known before the vector" : nullptr;
        const auto* const seen = static_cast<const std::byte*>(std::atomic_ref(vector[0]).load());
        return seen != nullptr && *seen == std::byte{1} ? nullptr : "a vector without its entry";
      });
  EXPECT_EQ(watched.failure, "");
  looks_ += watched.instructions;
  lasting_.engine = engine_.get();
}

TEST_P(PublicationTest, Slots) {
  for (const std::uint32_t expected : {63u, 64u}) {
    std::uint32_t slot = 0;
    step([&] { slot = *engine_->allocate_slot(teb_of(*watched_[0])); });
    ASSERT_EQ(slot, expected);
    for (ThreadRecord* thread : threads_) {
      abi::TEB& teb = teb_of(*thread);
      (slot == 63 ? teb.TlsSlots[63] : teb.TlsExpansionSlots[0]) = this;
    }
    step([&] { ASSERT_TRUE(engine_->free_slot(slot)); });
    if (slot == 63) low_[1] |= 1u << 31;  // so that the next one is an expansion slot
  }
}

TEST_P(PublicationTest, VectorsAndEntriesAreExchanged) {
  load_watched(64);
  std::vector<ThreadData> vectors, blocks;
  for (std::size_t i = 0; i < kThreads; ++i) {
    auto* const header = static_cast<VectorHeader*>(heap_.allocate(4 * sizeof(void*)));
    header->length = 2;
    vectors.push_back({header + 1});
    auto* const block = static_cast<BlockHeader*>(heap_.allocate(sizeof(BlockHeader) + 64));
    block->raw = block;
    std::memset(block + 1, 2, 64);
    blocks.push_back({block + 1});
  }
  step([&] { ASSERT_TRUE(engine_->exchange(Exchange::vectors, 2, vectors)); });
  step([&] { ASSERT_TRUE(engine_->exchange(Exchange::entries, coming_.index, blocks)); });
  for (const ThreadData& one : vectors) {
    VectorHeader* const header = static_cast<VectorHeader*>(one.previous) - 1;
    if (!engine_->take_back_vector(header)) heap_.free(header);
  }
  for (const ThreadData& one : blocks) heap_.free(static_cast<BlockHeader*>(one.previous)[-1].raw);
  // A further module: the guest's vectors are too short for it.
  Image further(64, 3);
  std::optional<Reservation> reservation;
  step([&] { reservation.emplace(*engine_->prepare_module(further.as_template())); });
  step([&] { engine_->commit_module(std::move(*reservation)); });
  further.engine = engine_.get();
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, further));
}

}  // namespace
}  // namespace bobbin::tls
