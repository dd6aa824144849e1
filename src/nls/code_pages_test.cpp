#include "nls/code_pages.hpp"

#include <gtest/gtest.h>

namespace bobbin::nls {
namespace {

const CodePage& page(unsigned number) {
  const CodePage* found = code_page(number);
  EXPECT_NE(found, nullptr) << number;
  return found != nullptr ? *found : ansi_code_page();
}

TEST(CodePages, KnowsTheSpecialNumbersAndRefusesOthers) {
  for (const unsigned number : {0u, 1u, 3u, 65001u}) EXPECT_EQ(code_page(number), &ansi_code_page());
  for (const unsigned number : {2u, 1200u, 65000u, 4711u}) EXPECT_EQ(code_page(number), nullptr);
}

TEST(CodePages, Windows1252) {
  const CodePage& latin = page(1252);
  EXPECT_EQ(latin.max_char_size(), 1u);
  EXPECT_EQ(latin.to_wide("caf\xE9 \x80\x81").text, u"caf\u00E9 \u20AC\u0081");
  EXPECT_EQ(latin.to_narrow(u"caf\u00E9 \u20AC").text, "caf\xE9 \x80");
}

TEST(CodePages, BestFitCountsAsConverted) {
  const CodePage& latin = page(1252);
  const auto fitted = latin.to_narrow(u"\u0101\uFF21");
  EXPECT_EQ(fitted.text, "aA");
  EXPECT_FALSE(fitted.lossy);
  const auto replaced = latin.to_narrow(u"\u0101\u4E00\U0001F9F5", {.best_fit = false, .replacement = "#"});
  EXPECT_EQ(replaced.text, "###");
  EXPECT_TRUE(replaced.lossy);
}

TEST(CodePages, DoubleBytePages) {
  const CodePage& japanese = page(932);
  EXPECT_EQ(japanese.max_char_size(), 2u);
  EXPECT_TRUE(japanese.is_lead_byte(0x83));
  EXPECT_FALSE(japanese.is_lead_byte(0xB1));
  EXPECT_EQ(japanese
                .to_wide("\x83\x65"
                         "a\xB1")
                .text,
            u"\u30C6a\uFF71");
  EXPECT_EQ(japanese.to_narrow(u"\u30C6a\uFF71").text,
            "\x83\x65"
            "a\xB1");
  const auto cut = japanese.to_wide("a\x83");
  EXPECT_EQ(cut.text, u"a\u30FB");
  EXPECT_TRUE(cut.lossy);
  EXPECT_EQ(page(936).to_wide("\xC4\xE3").text, u"\u4F60");
  EXPECT_EQ(page(949).to_wide("\xB0\xA1").text, u"\uAC00");
  EXPECT_EQ(page(950).to_wide("\xA7\x41").text, u"\u4F60");
}

TEST(CodePages, AsciiAndLatin1) {
  EXPECT_EQ(page(20127).to_wide("a\xC1").text, u"aA");
  EXPECT_EQ(page(28591).to_wide("\xE9\x85").text, u"\u00E9\u0085");
}

TEST(CodePages, EverySingleByteRoundTrips) {
  for (const unsigned number : {437u, 850u, 852u, 866u, 1250u, 1251u, 1252u, 28591u, 28605u}) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text(1, static_cast<char>(byte));
      const auto wide = page(number).to_wide(text);
      EXPECT_FALSE(wide.lossy) << number << " " << byte;
      EXPECT_EQ(page(number).to_narrow(wide.text, {.best_fit = false}).text, text) << number << " " << byte;
    }
  }
}

TEST(CodePages, Utf8SaysWhetherItReplaced) {
  EXPECT_FALSE(page(65001).to_wide("\xEF\xBF\xBD").lossy);
  EXPECT_TRUE(page(65001).to_wide("\xEF\xBF").lossy);
  EXPECT_FALSE(page(65001).to_narrow(u"\uFFFD").lossy);
  EXPECT_TRUE(page(65001).to_narrow(u"\xD800").lossy);
}

TEST(CodePages, Names) {
  EXPECT_EQ(code_page_name(page(0)), u"65001 (UTF-8)");
  EXPECT_EQ(code_page_name(page(1252)), u"1252  (ANSI - Latin I)");
}

}  // namespace
}  // namespace bobbin::nls
