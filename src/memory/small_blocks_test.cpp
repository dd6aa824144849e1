#include "memory/small_blocks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

namespace bobbin::memory {
namespace {

TEST(SizeClasses, HoldWhatTheyShouldAndWasteLittle) {
  EXPECT_EQ(class_of(0), 0u);
  EXPECT_EQ(class_of(kMostSmall), kSizeClasses - 1);
  EXPECT_EQ(class_size(kSizeClasses - 1), kMostSmall);
  for (std::size_t size = 1; size <= kMostSmall; ++size) {
    const std::size_t holds = class_size(class_of(size));
    ASSERT_GE(holds, size);
    ASSERT_LE(holds, std::max<std::size_t>(size + 15, size * 5 / 4 + 1)) << size;
    ASSERT_EQ(holds % 16, 0u);
  }
}

TEST(Span, EveryBlockIsInsideAndFoundAgain) {
  alignas(kSpanSize) static std::byte memory[kSpanSize];
  auto* span = reinterpret_cast<Span*>(memory);
  for (std::size_t size_class = 0; size_class < kSizeClasses; ++size_class) {
    span->form(size_class);
    ASSERT_GE(span->first, sizeof(Span) + span->count * sizeof(std::uint16_t));
    ASSERT_LE(span->block(span->count), memory + kSpanSize);
    for (std::uint32_t index = 0; index < span->count; ++index) {
      std::byte* block = span->block(index);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
      ASSERT_EQ(span->index_of(block), index);
      ASSERT_EQ(span->index_of(block + 1), Span::kNone);
      ASSERT_EQ(span->index_of(block + span->block_size - 1), Span::kNone);
    }
    ASSERT_EQ(span->index_of(memory), Span::kNone);
    ASSERT_EQ(span->index_of(memory + span->first - 16), Span::kNone);
  }
}

TEST(SmallBlocksTest, FreedBlocksAreUsedAgain) {
  SmallBlocks blocks;
  std::set<void*> first;
  for (int i = 0; i < 5000; ++i) first.insert(blocks.allocate(100));
  EXPECT_EQ(first.size(), 5000u);
  for (void* block : first) EXPECT_TRUE(blocks.free(block));
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(first.contains(blocks.allocate(100)));
}

TEST(SmallBlocksTest, WhatOthersFreeComesBackToTheOwner) {
  SmallBlocks blocks;
  std::set<void*> mine;
  for (int i = 0; i < 5000; ++i) mine.insert(blocks.allocate(100));
  std::jthread([&] {
    for (void* block : mine) {
      EXPECT_TRUE(blocks.free(block));
      EXPECT_FALSE(blocks.free(block));
    }
  }).join();
  int reused = 0;
  for (int i = 0; i < 5000; ++i) reused += mine.contains(blocks.allocate(100));
  EXPECT_GE(reused, 4000);  // all but what was left of the last span
}

TEST(SmallBlocksTest, TheNextThreadAdoptsWhatTheLastOneLeft) {
  SmallBlocks blocks;
  void* left = nullptr;
  std::jthread([&] { left = blocks.allocate(64); }).join();
  EXPECT_TRUE(blocks.free(left));  // nobody's at the moment
  std::jthread([&] {
    // The same span, not a new one.
    const auto* block = static_cast<std::byte*>(blocks.allocate(64));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) / kSpanSize,
              reinterpret_cast<std::uintptr_t>(left) / kSpanSize);
  }).join();
}

TEST(SmallBlocksTest, AThreadPastItsEndCanStillFree) {
  SmallBlocks blocks;
  static SmallBlocks* g_blocks;
  static bool g_freed;
  static void* g_late;
  g_blocks = &blocks;
  g_freed = false;
  struct Late {
    void* block = nullptr;
    ~Late() {
      g_freed = g_blocks->free(block);
      g_late = g_blocks->allocate(10);
    }
  };
  std::jthread([] {
    static thread_local Late late;  // destroyed after the thread's cache is gone
    late.block = g_blocks->allocate(10);
  }).join();
  EXPECT_TRUE(g_freed);
  EXPECT_EQ(g_late, nullptr);  // the heap then takes a large block
}

TEST(SmallBlocksTest, HeapsDoNotKnowEachOthersBlocksEvenInTheSamePlace) {
  void* old = nullptr;
  {
    SmallBlocks blocks;
    old = blocks.allocate(40);
    std::memset(old, 0xFF, 40);
  }
  SmallBlocks blocks;
  EXPECT_FALSE(blocks.free(old));
  EXPECT_EQ(blocks.size(old), std::nullopt);
  // A span that was given back comes as zeroes.
  auto* fresh = static_cast<unsigned char*>(blocks.allocate(40));
  EXPECT_TRUE(std::all_of(fresh, fresh + 40, [](auto b) { return b == 0; }));
}

TEST(SmallBlocksTest, ManyHeapsShareTheThreadsTable) {
  std::vector<std::unique_ptr<SmallBlocks>> heaps;
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) {
    heaps.push_back(std::make_unique<SmallBlocks>());
    blocks.push_back(heaps.back()->allocate(32));
  }
  for (std::size_t i = 0; i < 100; ++i) {
    void* second = heaps[i]->allocate(32);
    EXPECT_EQ(static_cast<std::byte*>(second) - static_cast<std::byte*>(blocks[i]), 32);
    EXPECT_TRUE(heaps[i]->free(blocks[i]));
    EXPECT_FALSE(heaps[i]->free(blocks[(i + 1) % 100]));
  }
}

}  // namespace
}  // namespace bobbin::memory
