#include "seh/handlers.hpp"

#include <gtest/gtest.h>

namespace bobbin::seh {
namespace {

TEST(HandlerList, KeepsOrderAndRemovesOneEntry) {
  int a = 0, b = 0, c = 0;
  HandlerList list;
  void* const second = list.add(&b, false);
  void* const first = list.add(&a, true);
  void* const again = list.add(&b, false);
  (void)list.add(&c, false);
  EXPECT_EQ(list.in_order(), (std::vector<GuestHandler>{&a, &b, &b, &c}));
  EXPECT_TRUE(list.remove(second));
  EXPECT_FALSE(list.remove(second));
  EXPECT_FALSE(list.remove(&c));
  EXPECT_EQ(list.in_order(), (std::vector<GuestHandler>{&a, &b, &c}));
  EXPECT_TRUE(list.remove(first));
  EXPECT_TRUE(list.remove(again));
  list.clear();
  EXPECT_TRUE(list.in_order().empty());
}

}  // namespace
}  // namespace bobbin::seh
