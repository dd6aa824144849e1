#include "nls/characters.hpp"

#include <gtest/gtest.h>

#include <cctype>

namespace bobbin::nls {
namespace {

TEST(Characters, CaseOfAsciiAndBeyond) {
  EXPECT_EQ(to_upper(u'q'), u'Q');
  EXPECT_EQ(to_lower(u'Q'), u'q');
  EXPECT_EQ(to_upper(u'['), u'[');
  EXPECT_EQ(to_upper(u'\u00E9'), u'\u00C9');
  EXPECT_EQ(to_lower(u'\u0416'), u'\u0436');
  EXPECT_EQ(to_upper(u'\u00FF'), u'\u0178');
}

TEST(Characters, CaseIsMappedOnlyWhereTheWayBackLeadsHome) {
  for (const char16_t unit : {u'\u00B5', u'\u00DF', u'\u0131', u'\u017F', u'\u03C2', u'\u1E9B', u'\u01C5'}) {
    EXPECT_EQ(to_upper(unit), unit) << std::hex << static_cast<unsigned>(unit);
  }
  for (const char16_t unit : {u'\u0130', u'\u1E9E', u'\u2126', u'\u212A', u'\u01C5'}) {
    EXPECT_EQ(to_lower(unit), unit) << std::hex << static_cast<unsigned>(unit);
  }
}

TEST(Characters, UpperAndLowerAreInverse) {
  for (unsigned i = 0; i < 0x10000; ++i) {
    const auto unit = static_cast<char16_t>(i);
    ASSERT_TRUE(to_upper(unit) == unit || to_lower(to_upper(unit)) == unit) << std::hex << i;
    ASSERT_TRUE(to_lower(unit) == unit || to_upper(to_lower(unit)) == unit) << std::hex << i;
  }
}

TEST(Characters, OrdinalComparison) {
  EXPECT_EQ(compare_ordinal(u"abc", u"abc", false), 0);
  EXPECT_LT(compare_ordinal(u"ABC", u"abc", false), 0);
  EXPECT_EQ(compare_ordinal(u"KERNEL32.dll", u"kernel32.DLL", true), 0);
  EXPECT_LT(compare_ordinal(u"ab", u"abc", true), 0);
  EXPECT_GT(compare_ordinal(u"a_", u"aB", true), 0);  // upper case: B (42h) comes before _ (5Fh)
  EXPECT_TRUE(equal_ignoring_case(u"\u00C4rger", u"\u00E4RGER"));
  EXPECT_FALSE(equal_ignoring_case(u"a", u"ab"));
}

TEST(Characters, TypesOfAsciiAreThoseOfTheCLocale) {
  for (int c = 0; c < 0x80; ++c) {
    const unsigned type = character_type(static_cast<char16_t>(c));
    EXPECT_EQ((type & 0x001) != 0, std::isupper(c) != 0) << c;
    EXPECT_EQ((type & 0x002) != 0, std::islower(c) != 0) << c;
    EXPECT_EQ((type & 0x004) != 0, std::isdigit(c) != 0) << c;
    EXPECT_EQ((type & 0x008) != 0, std::isspace(c) != 0) << c;
    EXPECT_EQ((type & 0x010) != 0, std::ispunct(c) != 0) << c;
    EXPECT_EQ((type & 0x020) != 0, std::iscntrl(c) != 0) << c;
    EXPECT_EQ((type & 0x040) != 0, std::isblank(c) != 0) << c;
    EXPECT_EQ((type & 0x080) != 0, std::isxdigit(c) != 0) << c;
    EXPECT_EQ((type & 0x100) != 0, std::isalpha(c) != 0) << c;
    EXPECT_NE(type & 0x200, 0u) << c;
  }
}

TEST(Characters, TypesBeyondAscii) {
  EXPECT_EQ(character_type(0xA0), 0x248);
  EXPECT_EQ(character_type(0xB2), 0x214);
  EXPECT_EQ(character_type(0xB5), 0x312);
  EXPECT_EQ(character_type(0xD7), 0x210);
  EXPECT_EQ(character_type(0xE9), 0x302);
  EXPECT_EQ(character_type(0xFF21), 0x381);
  EXPECT_EQ(character_type(0x4E00), 0x300);
  EXPECT_EQ(character_type(0x0378), 0);  // not assigned
}

TEST(Characters, Directions) {
  EXPECT_EQ(character_direction(u'a'), 1);
  EXPECT_EQ(character_direction(u'\u05D0'), 2);
  EXPECT_EQ(character_direction(u'7'), 3);
  EXPECT_EQ(character_direction(u' '), 10);
  EXPECT_EQ(character_direction(u'!'), 11);
}

TEST(Characters, Processing) {
  EXPECT_EQ(character_processing(u'a'), 0x8040);
  EXPECT_EQ(character_processing(u'\u00E9'), 0x8003);
  EXPECT_EQ(character_processing(u'\u4E00'), 0x8100);
  EXPECT_EQ(character_processing(0xD83D), 0x0800);
}

}  // namespace
}  // namespace bobbin::nls
