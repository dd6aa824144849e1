#include "nls/collation.hpp"

#include <gtest/gtest.h>

namespace bobbin::nls {
namespace {

void expect_order(std::initializer_list<std::u16string_view> rising, std::uint32_t flags = 0) {
  for (const auto* a = rising.begin(); a != rising.end(); ++a) {
    for (const auto* b = a + 1; b != rising.end(); ++b) {
      EXPECT_LT(compare(*a, *b, flags), 0) << a - rising.begin() << " " << b - rising.begin();
      EXPECT_GT(compare(*b, *a, flags), 0) << a - rising.begin() << " " << b - rising.begin();
    }
  }
}

TEST(Collation, LettersThenMarksThenCase) {
  expect_order({u"", u"a", u"A", u"\u00E1", u"\u00C1", u"\u00E0", u"ab", u"b"});
  expect_order({u"resume", u"Resume", u"r\u00E9sum\u00E9", u"resumes"});
  expect_order({u"cote", u"cot\u00E9", u"c\u00F4te", u"c\u00F4t\u00E9"});
}

TEST(Collation, SymbolsThenDigitsThenScripts) {
  expect_order(
      {u" ", u"!", u"#", u"_", u"~", u"+", u"<", u"0", u"9", u"a", u"z", u"\u03B1", u"\u0430", u"\u4E00"});
}

TEST(Collation, WordSortPassesOverHyphens) {
  expect_order({u"coop", u"co-op", u"cooq"});
  expect_order({u"cant", u"can't"});
  expect_order({u"co-op", u"coop"}, SORT_STRINGSORT);
}

TEST(Collation, FlagsTakeLevelsAway) {
  EXPECT_EQ(compare(u"HELLO", u"hello", NORM_IGNORECASE), 0);
  EXPECT_EQ(compare(u"\u00E4", u"a", NORM_IGNORENONSPACE), 0);
  EXPECT_EQ(compare(u"a b-c.", u"abc", NORM_IGNORESYMBOLS), 0);
  EXPECT_EQ(compare(u"\uFF21", u"A", NORM_IGNOREWIDTH), 0);
  EXPECT_NE(compare(u"\uFF21", u"A", 0), 0);
  EXPECT_EQ(compare(u"\u30AB", u"\u304B", NORM_IGNOREKANATYPE), 0);
  expect_order({u"a9", u"a10", u"a011", u"a100"}, SORT_DIGITSASNUMBERS);
}

TEST(Collation, LigaturesAreTheirLetters) {
  EXPECT_EQ(compare(u"\u00E6", u"ae", 0), 0);
  EXPECT_EQ(compare(u"stra\u00DFe", u"strasse", 0), 0);
}

TEST(Collation, ComposedAndDecomposedAreEqual) { EXPECT_EQ(compare(u"\u00E9", u"e\u0301", 0), 0); }

TEST(Collation, KeysEndInZeroAndHoldNoOtherZero) {
  const std::string key = sort_key(u"Gr\u00FC\u00DF-Gott \U0001F9F5", 0);
  EXPECT_EQ(key.find('\0'), key.size() - 1);
}

}  // namespace
}  // namespace bobbin::nls
