#include "unwind/tables.hpp"

#include <gtest/gtest.h>

#include <array>

namespace bobbin::unwind {
namespace {

using abi::RUNTIME_FUNCTION;

Found find(const FunctionTables& tables, std::uint64_t pc) {
  FunctionTables::Callback none;
  return tables.find(pc, none);
}

TEST(FunctionTables, FindTheRowOfAnAddress) {
  std::array<RUNTIME_FUNCTION, 3> one = {{{0x10, 0x20, 1}, {0x20, 0x30, 2}, {0x80, 0x90, 3}}};
  std::array<RUNTIME_FUNCTION, 1> two = {{{0x100, 0x200, 4}}};
  FunctionTables tables;
  tables.reserve_modules(2);
  tables.add_module({.base = 0x20000, .size = 0x1000, .rows = two});
  tables.add_module({.base = 0x10000, .size = 0x1000, .rows = one});
  EXPECT_EQ(find(tables, 0x1000F).row, nullptr);
  EXPECT_EQ(find(tables, 0x1000F).base, 0x10000u);
  EXPECT_EQ(find(tables, 0x10010).row, one.data());
  EXPECT_EQ(find(tables, 0x1002F).row, &one[1]);
  EXPECT_EQ(find(tables, 0x10030).row, nullptr);
  EXPECT_EQ(find(tables, 0x1008F).row, &one[2]);
  EXPECT_EQ(find(tables, 0x20100).row, two.data());
  EXPECT_EQ(find(tables, 0x11000).base, 0u) << "between the modules";
  EXPECT_EQ(find(tables, 0).base, 0u);
  EXPECT_EQ(find(tables, ~std::uint64_t{0}).base, 0u);
  tables.remove_module(0x10000);
  EXPECT_EQ(find(tables, 0x10010).base, 0u);
  EXPECT_EQ(tables.module_at(0x20FFF)->base, 0x20000u);
  EXPECT_FALSE(tables.module_at(0x21000));
}

TEST(FunctionTables, TakeTablesFromGuests) {
  std::array<RUNTIME_FUNCTION, 2> unsorted = {{{0x50, 0x60, 1}, {0x10, 0x20, 2}}};
  std::array<RUNTIME_FUNCTION, 3> growing = {{{0x00, 0x10, 1}, {0x10, 0x20, 2}, {0x20, 0x30, 3}}};
  int key = 0, function = 0, argument = 0;
  FunctionTables tables;
  tables.add_rows(&unsorted, unsorted, 0x1000, 0x1010, 0x1060);
  tables.add_rows(&growing, {growing.data(), 1}, 0x2000, 0x2000, 0x3000);
  tables.add_callback(&key, &function, &argument, 0x8000, 0x100);
  EXPECT_EQ(find(tables, 0x1015).row, &unsorted[1]);
  EXPECT_EQ(find(tables, 0x1055).row, &unsorted[0]);
  EXPECT_EQ(find(tables, 0x1030).row, nullptr);
  EXPECT_EQ(find(tables, 0x2015).row, nullptr);
  EXPECT_TRUE(tables.grow(&growing, 3));
  EXPECT_EQ(find(tables, 0x2015).row, &growing[1]);
  FunctionTables::Callback callback;
  EXPECT_EQ(tables.find(0x80FF, callback).row, nullptr);
  EXPECT_EQ(callback.function, &function);
  EXPECT_EQ(callback.context, &argument);
  EXPECT_EQ(callback.base, 0x8000u);
  EXPECT_TRUE(tables.remove(&growing));
  EXPECT_FALSE(tables.remove(&growing));
  EXPECT_FALSE(tables.grow(&growing, 1));
  EXPECT_EQ(find(tables, 0x2005).base, 0u);
}

TEST(FunctionTables, AllowTablesThatOverlap) {
  std::array<RUNTIME_FUNCTION, 1> wide = {{{0x0, 0x10000, 1}}}, narrow = {{{0x100, 0x200, 2}}};
  FunctionTables tables;
  tables.add_rows(&wide, wide, 0x1000, 0x1000, 0x11000);
  tables.add_rows(&narrow, narrow, 0x1000, 0x1100, 0x1200);
  EXPECT_EQ(find(tables, 0x1150).row, narrow.data());
  EXPECT_EQ(find(tables, 0x1250).row, wide.data());
}

}  // namespace
}  // namespace bobbin::unwind
