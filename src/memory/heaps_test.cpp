#include "memory/heaps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "abi/status.hpp"

// The sanitizers' malloc ends the program when too much is asked for, unless told to refuse as others do.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace bobbin::memory {
namespace {

using Bytes = unsigned char*;

TEST(Heaps, HandlesAreCheckedWithoutBeingFollowed) {
  Heaps heaps;
  EXPECT_NE(heaps.find(heaps.process_heap()), nullptr);
  EXPECT_EQ(heaps.find(nullptr), nullptr);
  EXPECT_EQ(heaps.find(reinterpret_cast<void*>(16)), nullptr);
  EXPECT_EQ(heaps.find(static_cast<std::byte*>(heaps.process_heap()) + 1), nullptr);
  EXPECT_EQ(heaps.find(static_cast<std::byte*>(heaps.process_heap()) + 8), nullptr);
}

TEST(Heaps, AreMadeListedAndDestroyed) {
  Heaps heaps;
  const HeapHandle first = heaps.create(1, 0).value();
  const HeapHandle second = heaps.create(0, 0).value();
  EXPECT_EQ(heaps.all(), (std::vector<HeapHandle>{heaps.process_heap(), first, second}));
  EXPECT_EQ(heaps.find(first)->flags(), 1u);
  ASSERT_NE(heaps.find(first)->allocate(100, {}), nullptr);  // freed with its heap (the leak checker looks)
  EXPECT_TRUE(heaps.destroy(first));
  EXPECT_EQ(heaps.find(first), nullptr);
  EXPECT_EQ(heaps.destroy(first).error().status, abi::STATUS_INVALID_HANDLE);
  EXPECT_EQ(heaps.destroy(heaps.process_heap()).error().status, abi::STATUS_INVALID_HANDLE);
  EXPECT_EQ(heaps.all().size(), 2u);
}

TEST(Heaps, RunOutAtAFixedNumber) {
  Heaps heaps;
  int made = 0;
  auto heap = heaps.create(0, 0);
  for (; heap; heap = heaps.create(0, 0)) ++made;
  EXPECT_EQ(made, 4095);
  EXPECT_EQ(heap.error().status, abi::STATUS_NO_MEMORY);
}

struct HeapTest : testing::Test {
  Heap heap{0, 0};
  Heap other{0, 0};
};

TEST_F(HeapTest, BlocksAreAlignedAndKnowTheSizeAskedFor) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 100u, 1000u, 5000u, 32768u, 40000u, 1u << 20}) {
    void* block = heap.allocate(size, {.zeroed = true});
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    EXPECT_EQ(heap.size(block), size);
    EXPECT_TRUE(std::all_of(Bytes(block), Bytes(block) + size, [](auto b) { return b == 0; }));
    std::memset(block, 0xAA, size);
    EXPECT_TRUE(heap.free(block));
    void* dirty = heap.allocate(size, {.zeroed = true});  // often the same memory again
    EXPECT_TRUE(std::all_of(Bytes(dirty), Bytes(dirty) + size, [](auto b) { return b == 0; }));
    EXPECT_TRUE(heap.free(dirty));
  }
}

TEST_F(HeapTest, WhatIsNoBlockIsRecognised) {
  int local = 0;
  void* block = heap.allocate(32, {});
  void* large = heap.allocate(1 << 20, {});
  for (void* wrong : {static_cast<void*>(&local), static_cast<void*>(Bytes(block) + 16),
                      static_cast<void*>(Bytes(block) + 1), static_cast<void*>(Bytes(large) + 16),
                      reinterpret_cast<void*>(16), reinterpret_cast<void*>(0x7fff00000000)}) {
    EXPECT_FALSE(heap.free(wrong));
    EXPECT_EQ(heap.size(wrong), std::nullopt);
    EXPECT_EQ(heap.reallocate(wrong, 10, {}), nullptr);
  }
  EXPECT_FALSE(other.free(block));
  EXPECT_FALSE(other.free(large));
  EXPECT_EQ(other.size(block), std::nullopt);
  EXPECT_TRUE(heap.free(block));
  EXPECT_FALSE(heap.free(block));
  EXPECT_TRUE(heap.free(large));
  EXPECT_FALSE(heap.free(large));
}

TEST_F(HeapTest, ReallocateKeepsContentAndZeroesWhatItAdds) {
  auto block = Bytes(heap.allocate(10, {}));
  std::memset(block, 7, 10);
  for (const std::size_t size : {20u, 300u, 40000u, 500000u, 60u, 5u}) {
    const std::size_t before = *heap.size(block);
    block = Bytes(heap.reallocate(block, size, {.zeroed = true}));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(heap.size(block), size);
    EXPECT_TRUE(std::all_of(block, block + std::min<std::size_t>(size, 10), [](auto b) { return b == 7; }));
    if (size > before) {
      EXPECT_TRUE(std::all_of(block + std::max<std::size_t>(before, 10), block + size,
                              [](auto b) { return b == 0; }));
    }
  }
  EXPECT_TRUE(heap.free(block));
}

TEST_F(HeapTest, InPlaceNeverMoves) {
  void* block = heap.allocate(100, {});
  EXPECT_EQ(heap.reallocate(block, 50, {.in_place = true}), block);
  EXPECT_EQ(heap.size(block), 50u);
  EXPECT_EQ(heap.reallocate(block, 1 << 20, {.in_place = true}), nullptr);
  EXPECT_EQ(heap.size(block), 50u);
}

TEST_F(HeapTest, MemoryThatCannotBeHadIsRefused) {
  void* block = heap.allocate(100, {});
  EXPECT_EQ(heap.allocate(~std::size_t{0} / 2, {}), nullptr);
  EXPECT_EQ(heap.allocate(~std::size_t{0}, {}), nullptr);
  EXPECT_EQ(heap.reallocate(block, ~std::size_t{0}, {}), nullptr);
  EXPECT_EQ(heap.size(block), 100u);
}

TEST_F(HeapTest, ALimitHolds) {
  Heap small{0, 1000};
  void* first = small.allocate(600, {});
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(small.allocate(401, {}), nullptr);
  void* second = small.allocate(400, {});
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(small.reallocate(second, 401, {}), nullptr);
  EXPECT_TRUE(small.free(first));
  EXPECT_FALSE(small.free(first));  // not refunded twice
  second = small.reallocate(second, 1000, {});
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(small.allocate(1, {}), nullptr);
  second = small.reallocate(second, 1, {});
  EXPECT_NE(small.allocate(999, {}), nullptr);
}

std::map<void*, std::size_t> walked(const Heap& heap) {
  std::map<void*, std::size_t> blocks;
  for (auto block = heap.next(nullptr); block; block = heap.next(block->data)) {
    EXPECT_TRUE(blocks.emplace(block->data, block->size).second) << "seen twice";
  }
  return blocks;
}

// Random calls, against a plain model; contents are checked for overlap.
TEST_F(HeapTest, AgreesWithAModel) {
  std::mt19937 random(1);
  std::map<void*, std::size_t> model;
  const auto any_size = [&] { return random() % 50 == 0 ? random() % 200000 : random() % 700; };
  const auto any_block = [&] { return std::next(model.begin(), long(random() % model.size())); };
  const auto fill = [](void* block, std::size_t size) { std::memset(block, int(size & 0xFF), size); };
  const auto intact = [](void* block, std::size_t size) {
    return std::all_of(Bytes(block), Bytes(block) + size, [&](auto b) { return b == (size & 0xFF); });
  };
  for (int step = 0; step < 20000; ++step) {
    if (model.empty() || random() % 5 < 2) {
      const std::size_t size = any_size();
      void* block = heap.allocate(size, {});
      fill(block, size);
      ASSERT_TRUE(model.emplace(block, size).second);
    } else if (random() % 3 == 0) {
      const auto [block, before] = *any_block();
      const std::size_t size = any_size();
      ASSERT_TRUE(intact(block, before));
      model.erase(block);
      void* moved = heap.reallocate(block, size, {});
      fill(moved, size);
      ASSERT_TRUE(model.emplace(moved, size).second);
    } else {
      const auto [block, size] = *any_block();
      ASSERT_TRUE(intact(block, size));
      ASSERT_EQ(heap.size(block), size);
      ASSERT_TRUE(heap.free(block));
      model.erase(block);
    }
    ASSERT_TRUE(step % 1000 != 0 || walked(heap) == model);
  }
  EXPECT_EQ(walked(heap), model);
  for (const auto& [block, size] : model) EXPECT_TRUE(heap.free(block));
  EXPECT_TRUE(walked(heap).empty());
}

// Blocks are allocated by some threads and freed by others, which may be gone by then.
TEST_F(HeapTest, BlocksMoveBetweenThreads) {
  constexpr std::size_t kSlots = 256;
  std::array<std::atomic<void*>, kSlots> slots{};
  std::atomic<int> failures{0};
  const auto work = [&](unsigned seed) {
    std::minstd_rand random(seed);
    for (int i = 0; i < 20000; ++i) {
      const std::size_t size = random() % 200 == 0 ? 50000 : 8 + random() % 500;
      auto* block = static_cast<std::size_t*>(heap.allocate(size, {}));
      *block = size;
      auto* old = static_cast<std::size_t*>(slots[random() % kSlots].exchange(block));
      if (old != nullptr && (heap.size(old) != *old || !heap.free(old))) ++failures;
    }
  };
  for (unsigned round = 0; round < 3; ++round) {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) threads.emplace_back(work, round * 4 + t + 1);
  }
  EXPECT_EQ(failures, 0);
  std::size_t left = 0;
  for (auto& slot : slots) left += slot != nullptr;
  EXPECT_EQ(walked(heap).size(), left);
  for (auto& slot : slots) EXPECT_TRUE(slot == nullptr || heap.free(slot));
  EXPECT_TRUE(walked(heap).empty());
}

TEST_F(HeapTest, TheGuestsLockKeepsOthersOut) {
  heap.lock();
  heap.lock();
  void* mine = heap.allocate(10, {});  // the holder goes on
  std::atomic<bool> got{false};
  std::jthread thread([&] {
    EXPECT_FALSE(heap.unlock());  // not the holder
    void* block = heap.allocate(10, {});
    got = true;
    EXPECT_TRUE(heap.free(block));
  });
  EXPECT_TRUE(heap.unlock());
  EXPECT_TRUE(heap.free(mine));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(got);
  EXPECT_TRUE(heap.unlock());
  EXPECT_FALSE(heap.unlock());
  thread.join();
  EXPECT_TRUE(got);
}

TEST_F(HeapTest, ABrokenLockIsOpen) {
  std::jthread([&] { heap.lock(); }).join();   // ends as its holder
  std::jthread waiting([&] { heap.lock(); });  // another one that never gives it back
  heap.break_lock();
  waiting.join();
  void* block = heap.allocate(10, {});
  EXPECT_TRUE(heap.free(block));
  heap.lock();
  EXPECT_TRUE(heap.unlock());
}

}  // namespace
}  // namespace bobbin::memory
