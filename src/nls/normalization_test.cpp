#include "nls/normalization.hpp"

#include <gtest/gtest.h>

namespace bobbin::nls {
namespace {

TEST(Normalization, ComposesAndDecomposes) {
  EXPECT_EQ(decompose(u"caf\u00E9"), u"cafe\u0301");
  EXPECT_EQ(compose(u"cafe\u0301"), u"caf\u00E9");
  const std::u16string zeros(u"a\0e\u0301\0", 5);
  EXPECT_EQ(compose(zeros), std::u16string(u"a\0\u00E9\0", 4));
  EXPECT_TRUE(compose(u"").empty());
}

}  // namespace
}  // namespace bobbin::nls
