#include "memory/moveable.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace bobbin::memory {
namespace {

struct MoveablesTest : testing::Test {
  Heap heap{0, 0};
  Moveables moveables{heap};
};

TEST_F(MoveablesTest, LocksAreCounted) {
  void* handle = moveables.allocate(100, true, false);
  void* data = moveables.lock(handle);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(moveables.lock(handle), data);
  EXPECT_EQ(moveables.inspect(handle)->locks, 2);
  EXPECT_EQ(moveables.unlock(handle), 1u);
  EXPECT_EQ(moveables.unlock(handle), 0u);
  EXPECT_EQ(moveables.unlock(handle), std::nullopt);
  EXPECT_EQ(moveables.handle_of(data), handle);
  EXPECT_TRUE(moveables.free(handle));
  EXPECT_FALSE(moveables.free(handle));
  EXPECT_FALSE(heap.next(nullptr));
}

TEST_F(MoveablesTest, FixedBlocksAndStrangersAreNoHandles) {
  void* block = heap.allocate(sizeof(Moveable), {.zeroed = true});
  EXPECT_FALSE(moveables.is_handle(block));
  EXPECT_FALSE(moveables.is_handle(static_cast<std::byte*>(block) + 8));
  EXPECT_FALSE(moveables.is_handle(nullptr));
  EXPECT_FALSE(moveables.is_handle(reinterpret_cast<void*>(8)));
  EXPECT_EQ(moveables.handle_of(block), nullptr);
}

TEST_F(MoveablesTest, ResizingKeepsContentAndNeverMovesALockedBlock) {
  void* handle = moveables.allocate(10, false, false);
  auto* data = static_cast<char*>(moveables.lock(handle));
  std::memcpy(data, "012345678", 10);
  EXPECT_FALSE(moveables.resize(handle, 1 << 20, false, false));
  EXPECT_FALSE(moveables.resize(handle, 0, false, false));
  EXPECT_EQ(moveables.inspect(handle)->size, 10u);
  EXPECT_EQ(moveables.unlock(handle), 0u);
  ASSERT_TRUE(moveables.resize(handle, 1 << 20, true, false));
  data = static_cast<char*>(moveables.lock(handle));
  EXPECT_STREQ(data, "012345678");
  EXPECT_EQ(data[1000], 0);
  EXPECT_EQ(moveables.handle_of(data), handle);
}

TEST_F(MoveablesTest, SizeNothingIsDiscarded) {
  void* handle = moveables.allocate(0, false, true);
  EXPECT_EQ(moveables.lock(handle), nullptr);
  ASSERT_TRUE(moveables.resize(handle, 10, true, false));
  EXPECT_NE(moveables.lock(handle), nullptr);
  EXPECT_EQ(moveables.unlock(handle), 0u);
  ASSERT_TRUE(moveables.resize(handle, 0, false, false));
  EXPECT_EQ(moveables.inspect(handle)->data, nullptr);
  EXPECT_TRUE(moveables.free(handle));
  EXPECT_FALSE(heap.next(nullptr));
}

}  // namespace
}  // namespace bobbin::memory
