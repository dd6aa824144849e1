// What the engine's tests share: images made of plain arrays, and an engine whose promises are checked at the
// end of each test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os/os.hpp"
#include "tls/engine.hpp"
#include "tls/fls.hpp"

namespace bobbin::tls {

/// A module as far as the engine knows one: its template, and the word that its index goes to. Unloads
/// itself; a copy of it is not loaded.
struct Image {
  explicit Image(std::size_t size, int fill = 0x5A, std::size_t align = 16)
      : bytes(size, static_cast<std::byte>(fill)), alignment(align) {}
  [[nodiscard]] Template as_template() {
    return {.bytes = bytes, .alignment = alignment, .index_address = &index};
  }
  std::vector<std::byte> bytes;
  std::size_t alignment;
  std::uint32_t index = 0xAABBCCDD;  // a guest's index word may hold anything

  Image(const Image& other) : bytes(other.bytes), alignment(other.alignment) {}
  Image& operator=(const Image&) = delete;
  ~Image() { unload(); }
  void unload() {
    if (engine != nullptr) std::exchange(engine, nullptr)->release_module(index);
  }
  Engine* engine = nullptr;  ///< that it is loaded in
};

/// A guest's heap that knows its blocks, as the real one does, and can be made to fail with the host.
class TestHeap final : public GuestHeap {
 public:
  ~TestHeap() override {
    for (const auto& [block, size] : blocks_) os::deallocate(block);
  }
  void* allocate(std::size_t size) noexcept override {
    void* const block = os::allocate(size);
    const std::scoped_lock guard(mutex_);
    if (block != nullptr) blocks_.emplace(block, size);
    return block;
  }
  std::optional<std::size_t> size(const void* block) const noexcept override {
    const std::scoped_lock guard(mutex_);
    const auto found = blocks_.find(const_cast<void*>(block));
    return found != blocks_.end() ? std::optional(found->second) : std::nullopt;
  }
  void free(void* block) noexcept override {
    {
      const std::scoped_lock guard(mutex_);
      if (blocks_.erase(block) == 0) return;
    }
    os::deallocate(block);
  }
  [[nodiscard]] std::size_t live() const {
    const std::scoped_lock guard(mutex_);
    return blocks_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void*, std::size_t> blocks_;
};

/// A thread that is never stopped, and calls the guest as it comes.
class PlainHost final : public FlsHost {
 public:
  PlainHost() { own_teb.UniqueThread = reinterpret_cast<void*>(std::uintptr_t{4}); }
  const abi::TEB& teb() noexcept override { return own_teb; }
  bool call_guest(void (*body)(void*), void* context) noexcept override {
    if (refuses) return false;
    body(context);
    return true;
  }
  bool wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, FlsWait) noexcept override {
    ++waits;
    os::futex_wait(word, expected);
    return true;
  }
  void wake_all(std::atomic<std::uint32_t>& word) noexcept override { os::futex_wake(word, 1 << 30); }
  void callback_is_gone(std::uint32_t index, void*) noexcept override { gone = index; }
  std::uint32_t gone = 0;  ///< the index of the last callback whose image was
  bool refuses = false;    ///< as a thread that was told to end
  std::atomic<int> waits{0};
  abi::TEB own_teb{};
};

/// An engine that grows in place, unless a test is run for both ways (BothWays).
class EngineFixture : public testing::Test {
 protected:
  void SetUp() override { make({}); }
  void TearDown() override {
    expect_sound();
    for (ThreadRecord* record : threads_) engine_->destroy_thread(record);
    expect_sound();
    EXPECT_EQ(heap_.live(), left_on_heap_) << "everything went with its thread";
  }
  [[nodiscard]] virtual Growth growth() const { return Growth::in_place; }
  [[nodiscard]] bool swaps() const { return growth() == Growth::swap; }

  void make(Options options) {
    options.growth = growth();
    options.heap = &heap_;
    auto made = Engine::create(options, low_, high_);
    ASSERT_TRUE(made) << made.error().message();
    engine_ = std::move(*made);
  }
  void expect_sound() const { EXPECT_EQ(check_invariants(*engine_), std::nullopt); }

  /// An attached thread, destroyed at the end of the test unless stop() comes first.
  ThreadRecord* start() {
    auto record = engine_->create_thread();
    EXPECT_TRUE(record);
    EXPECT_TRUE(engine_->attach_thread(**record));
    threads_.push_back(*record);
    return *record;
  }
  void stop(ThreadRecord* record) {
    std::erase(threads_, record);
    engine_->detach_thread(*record);
    engine_->destroy_thread(record);
  }
  std::uint32_t load(Image& image) {
    auto reservation = engine_->prepare_module(image.as_template());
    EXPECT_TRUE(reservation) << reservation.error().message();
    image.engine = engine_.get();
    return engine_->commit_module(std::move(*reservation));
  }
  static void unload(Image& image) { image.unload(); }

  /// What compiled code computes: gs:[58h] -> vector -> block.
  static std::byte* block(ThreadRecord* record, std::uint32_t index) {
    return static_cast<std::byte*>(teb_of(*record).ThreadLocalStoragePointer[index]);
  }
  static std::byte* block(ThreadRecord* record, const Image& image) { return block(record, image.index); }

  /// Whether a thread's block is exactly `image`'s template.
  static bool shows(ThreadRecord* record, const Image& image) {
    return std::equal(image.bytes.begin(), image.bytes.end(), block(record, image));
  }

  TestHeap heap_;
  std::size_t left_on_heap_ = 0;  ///< blocks that the test's guest loses, or still has at the end
  std::array<abi::ULONG, 2> low_{};
  std::array<abi::ULONG, 32> high_{};
  std::unique_ptr<Engine> engine_;
  std::vector<ThreadRecord*> threads_;
};

/// For tests that hold whichever way vectors grow: `BOTH_WAYS(Name)` after using this as the fixture.
class BothWays : public EngineFixture, public testing::WithParamInterface<Growth> {
 protected:
  [[nodiscard]] Growth growth() const override { return GetParam(); }
};
inline std::string name_of(Growth growth) { return growth == Growth::swap ? "swap" : "in_place"; }
inline std::string name_of_way(const testing::TestParamInfo<Growth>& way) { return name_of(way.param); }
#define BOTH_WAYS(Fixture) \
  INSTANTIATE_TEST_SUITE_P(Growing, Fixture, testing::Values(Growth::in_place, Growth::swap), name_of_way)

/// Sizes on both sides of every border: empty, copied, the largest copied, views of one page and of many.
inline constexpr std::size_t kSizes[] = {0, 1, 64, 1024, 4096, 4097, 9000, 70'000};

}  // namespace bobbin::tls
