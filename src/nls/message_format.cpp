// FormatMessage's little language. Line breaks of the text itself are soft (they can be turned into spaces,
// and lines can be broken anew at a width); those that %n asks for are hard.
#include <algorithm>

#include "nls/messages.hpp"

namespace bobbin::nls {
namespace {

constexpr std::u16string_view kLineEnd = u"\r\n";

class Formatter {
 public:
  Formatter(std::u16string_view text, const MessageLayout& layout,
            const std::function<std::u16string(const Insert&)>& value)
      : rest_(text), layout_(layout), value_(value) {}

  std::u16string run() {
    while (!rest_.empty() && !ended_) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char16_t unit = take();
    if (unit == u'%' && !rest_.empty()) return escape();
    if (unit == u'\r' || unit == u'\n') return line_break(unit);
    put(unit);
  }

  char16_t take() {
    const char16_t unit = rest_[0];
    rest_.remove_prefix(1);
    return unit;
  }

  void put(char16_t unit) {
    out_.push_back(unit);
    const bool too_long = layout_.width != 0 && out_.size() - line_start_ > layout_.width;
    if (too_long) break_line();
  }

  /// Breaks the line at its last blank, if it has one.
  void break_line() {
    const std::size_t blank = out_.rfind(u' ');
    if (blank == out_.npos || blank < line_start_) return;
    out_.replace(blank, 1, kLineEnd);
    line_start_ = blank + kLineEnd.size();
  }

  void hard_break() {
    out_ += kLineEnd;
    line_start_ = out_.size();
  }

  void line_break(char16_t unit) {
    if (unit == u'\r' && !rest_.empty() && rest_[0] == u'\n') take();
    if (layout_.keep_line_breaks) return hard_break();
    put(u' ');
  }

  void escape() {
    const char16_t unit = rest_[0];
    if (unit >= u'1' && unit <= u'9') return insert();
    take();
    switch (unit) {
      case u'0':
        ended_ = true;
        return;
      case u'n':
        return hard_break();
      case u'r':
        return put(u'\r');
      case u't':
        return put(u'\t');
      case u'b':
        return put(u' ');
      default:
        return put(unit);
    }
  }

  void insert() {
    const std::u16string_view whole = rest_;
    unsigned number = take() - u'0';
    if (!rest_.empty() && rest_[0] >= u'0' && rest_[0] <= u'9') number = number * 10 + (take() - u'0');
    std::u16string_view format;
    if (!rest_.empty() && rest_[0] == u'!') format = take_format();
    if (layout_.keep_inserts) {
      out_ += u'%';
      out_ += whole.substr(0, whole.size() - rest_.size());
      return;
    }
    for (const char16_t unit : value_({number - 1, format})) put(unit);
  }

  /// What stands between two exclamation marks; without a second one they are plain text.
  std::u16string_view take_format() {
    const std::size_t end = rest_.find(u'!', 1);
    if (end == rest_.npos) return {};
    const std::u16string_view format = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return format;
  }

  std::u16string_view rest_;
  const MessageLayout& layout_;
  const std::function<std::u16string(const Insert&)>& value_;
  std::u16string out_;
  std::size_t line_start_ = 0;
  bool ended_ = false;
};

}  // namespace

std::u16string format_message(std::u16string_view text, const MessageLayout& layout,
                              const std::function<std::u16string(const Insert&)>& value) {
  return Formatter(text, layout, value).run();
}

}  // namespace bobbin::nls
