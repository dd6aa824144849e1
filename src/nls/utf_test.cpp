#include "nls/utf.hpp"

#include <gtest/gtest.h>

#include <random>

namespace bobbin::nls {
namespace {

TEST(Utf, ConvertsWellFormedTextBothWays) {
  const std::string utf8 =
      "plain ASCII, caf\xC3\xA9, \xE2\x82\xAC, \xF0\x9F\xA7\xB5 and more ASCII at the end";
  const std::u16string utf16 = u"plain ASCII, caf\u00E9, \u20AC, \U0001F9F5 and more ASCII at the end";
  EXPECT_EQ(to_utf16(utf8), utf16);
  EXPECT_EQ(to_utf8(utf16), utf8);
  EXPECT_EQ(name_to_utf16(utf8), utf16);
  EXPECT_EQ(name_to_utf8(utf16), utf8);
}

TEST(Utf, KeepsZerosAndEmptyText) {
  EXPECT_EQ(to_utf16(std::string("a\0b", 3)), std::u16string(u"a\0b", 3));
  EXPECT_TRUE(to_utf16("").empty());
  EXPECT_TRUE(to_utf8(u"").empty());
}

TEST(Utf, EachMaximalSubpartBecomesOneReplacement) {
  EXPECT_EQ(to_utf16("\xFF"), u"\uFFFD");
  EXPECT_EQ(to_utf16("a\x80z"), u"a\uFFFDz");
  EXPECT_EQ(to_utf16("\xC0\xAF"), u"\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(to_utf16("\xED\xA0\x80"), u"\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(to_utf16("\xF4\x90\x80\x80"), u"\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(to_utf16("\xE2\x82"), u"\uFFFD");                            // cut off at the end
  EXPECT_EQ(to_utf16("\xF0\x9F\xA7x"), u"\uFFFDx");                      // cut off by another character
}

TEST(Utf, LoneSurrogatesOfTextAreReplaced) {
  EXPECT_EQ(to_utf8(u"a\xD800z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(to_utf8(u"\xDC00\xD800"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Utf, LoneSurrogatesOfNamesRoundTrip) {
  EXPECT_EQ(name_to_utf8(u"\xD83D"), "\xED\xA0\xBD");
  for (const std::u16string name :
       {u"\xD800", u"x\xDC00y", u"\xDC00\xD800", u"\xDBFF\xDBFF", u"\xDC80", u"\xDCFFz"}) {
    EXPECT_EQ(name_to_utf16(name_to_utf8(name)), name);
  }
}

TEST(Utf, AnyHostNameRoundTrips) {
  std::mt19937 random(20);
  // Bytes that make near misses likely: surrogates in WTF-8, escapes, lead bytes without a tail.
  const std::string_view bytes =
      "\xED\xA0\xB0\xB2\x80\xBF\xF0\x90\xC3\xFF"
      "a";
  for (int round = 0; round < 200'000; ++round) {
    std::string name(random() % 12, ' ');
    for (char& byte : name) byte = bytes[random() % bytes.size()];
    ASSERT_EQ(name_to_utf8(name_to_utf16(name)), name);
  }
}

TEST(Utf, AsciiPrefixStopsAtTheFirstOther) {
  for (std::size_t length = 0; length < 40; ++length) {
    std::string text(length, 'a');
    std::u16string wide(length, u'a');
    EXPECT_EQ(ascii_prefix(text), length);
    EXPECT_EQ(ascii_prefix(wide), length);
    text += "\x80tail of text";
    wide += u"\u0080tail of text";
    EXPECT_EQ(ascii_prefix(text), length);
    EXPECT_EQ(ascii_prefix(wide), length);
  }
}

TEST(Utf, EveryScalarValueSurvives) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (is_surrogate(code)) continue;
    char narrow[4];
    const Decoded from8 = decode(std::string_view(narrow, encode(code, narrow)));
    char16_t wide[2];
    const Decoded from16 = decode(std::u16string_view(wide, encode(code, wide)));
    ASSERT_TRUE(from8.well_formed && from8.code == code) << std::hex << static_cast<std::uint32_t>(code);
    ASSERT_TRUE(from16.well_formed && from16.code == code) << std::hex << static_cast<std::uint32_t>(code);
  }
}

}  // namespace
}  // namespace bobbin::nls
