#include "nls/messages.hpp"

#include <gtest/gtest.h>

namespace bobbin::nls {
namespace {

std::u16string format(std::u16string_view text, const MessageLayout& layout = {}) {
  return format_message(text, layout, [](const Insert& insert) {
    std::u16string shown = u"<";
    shown += static_cast<char16_t>(u'a' + insert.place);
    shown += insert.format;
    return shown += u'>';
  });
}

TEST(Messages, SystemTexts) {
  EXPECT_EQ(system_message(2), "The system cannot find the file specified.");
  EXPECT_EQ(system_message(0x80070005), "Access is denied.");
  EXPECT_FALSE(system_message(0x00ABCDEF));
}

TEST(Messages, Inserts) {
  EXPECT_EQ(format(u"%1 and %2!08X!, %1%%"), u"<a> and <b08X>, <a>%");
  EXPECT_EQ(format(u"%12 %1!d"), u"<l> <a>!d");
  EXPECT_EQ(format(u"%1!s! %2", {.keep_inserts = true}), u"%1!s! %2");
}

TEST(Messages, Escapes) {
  EXPECT_EQ(format(u"a%nb%tc%bd%.e%!f%0 not seen"), u"a\r\nb\tc d.e!f");
  EXPECT_EQ(format(u"100%"), u"100%");
}

TEST(Messages, Lines) {
  EXPECT_EQ(format(u"one\ntwo\r\nthree"), u"one\r\ntwo\r\nthree");
  EXPECT_EQ(format(u"one\ntwo%nthree", {.keep_line_breaks = false}), u"one two\r\nthree");
  EXPECT_EQ(format(u"one two three", {.keep_line_breaks = false, .width = 8}), u"one two\r\nthree");
}

}  // namespace
}  // namespace bobbin::nls
