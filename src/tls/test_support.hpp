// What the engine's tests share: images made of plain arrays, and an engine whose promises are checked at the
// end of each test.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "tls/engine.hpp"

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

class EngineFixture : public testing::Test {
 protected:
  void SetUp() override { make({}); }
  void TearDown() override {
    expect_sound();
    for (ThreadRecord* record : threads_) engine_->destroy_thread(record);
    expect_sound();
  }

  void make(const Options& options) {
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
    return std::memcmp(block(record, image), image.bytes.data(), image.bytes.size()) == 0;
  }

  std::array<abi::ULONG, 2> low_{};
  std::array<abi::ULONG, 32> high_{};
  std::unique_ptr<Engine> engine_;
  std::vector<ThreadRecord*> threads_;
};

/// Sizes on both sides of every border: empty, copied, the largest copied, views of one page and of many.
inline constexpr std::size_t kSizes[] = {0, 1, 64, 1024, 4096, 4097, 9000, 70'000};

}  // namespace bobbin::tls
