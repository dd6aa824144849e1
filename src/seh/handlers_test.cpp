#include "seh/handlers.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace bobbin::seh {
namespace {

std::vector<GuestHandler> in_order(const HandlerList& list) {
  std::vector<GuestHandler> handlers;
  std::int64_t position = HandlerList::kFirst;
  while (const GuestHandler handler = list.next(position)) handlers.push_back(handler);
  return handlers;
}

TEST(HandlerList, KeepsOrderAndRemovesOneEntry) {
  int a = 0, b = 0, c = 0;
  HandlerList list;
  void* const second = list.add(&b, false);
  void* const first = list.add(&a, true);
  void* const again = list.add(&b, false);
  (void)list.add(&c, false);
  EXPECT_EQ(in_order(list), (std::vector<GuestHandler>{&a, &b, &b, &c}));
  EXPECT_TRUE(list.remove(second));
  EXPECT_FALSE(list.remove(second));
  EXPECT_FALSE(list.remove(&c));
  EXPECT_EQ(in_order(list), (std::vector<GuestHandler>{&a, &b, &c}));
  EXPECT_TRUE(list.remove(first));
  EXPECT_TRUE(list.remove(again));
  list.clear();
  EXPECT_TRUE(in_order(list).empty());
}

TEST(HandlerList, IsWalkedWhileItChanges) {
  int a = 0, b = 0, c = 0;
  HandlerList list;
  (void)list.add(&a, false);
  void* const second = list.add(&b, false);
  std::int64_t position = HandlerList::kFirst;
  EXPECT_EQ(list.next(position), &a);
  EXPECT_TRUE(list.remove(second));
  (void)list.add(&c, false);
  (void)list.add(&b, true);
  EXPECT_EQ(list.next(position), &c);
  EXPECT_EQ(list.next(position), nullptr);
}

/// As on Windows, where what a walk stands at stays in the list until the walk goes on.
TEST(HandlerList, AWalkFindsWhatReplacesTheLast) {
  int a = 0, b = 0;
  HandlerList list;
  void* const last = list.add(&a, false);
  std::int64_t position = HandlerList::kFirst;
  EXPECT_EQ(list.next(position), &a);
  EXPECT_TRUE(list.remove(last));
  (void)list.add(&b, false);
  EXPECT_EQ(list.next(position), &b);
  EXPECT_EQ(list.next(position), nullptr);
}

}  // namespace
}  // namespace bobbin::seh
