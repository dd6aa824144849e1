#include "nls/formats.hpp"

#include <algorithm>

#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

/// Reads a picture piece by piece: a run of one letter, or literal text.
class Picture {
 public:
  Picture(std::u16string_view text, std::u16string_view letters) : rest_(text), letters_(letters) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool at_letter() const { return letters_.contains(rest_[0]); }

  /// The run at the front: all the same letter.
  std::u16string_view take_run() {
    const auto run = rest_.substr(0, std::min(rest_.find_first_not_of(rest_[0]), rest_.size()));
    rest_.remove_prefix(run.size());
    return run;
  }

  /// Literal text: what is quoted (with '' for a quote in it), or one other character.
  std::u16string take_literal() {
    if (rest_[0] != u'\'') return std::u16string(1, take());
    take();
    std::u16string text;
    while (!rest_.empty()) {
      const char16_t unit = take();
      if (unit != u'\'') {
        text.push_back(unit);
      } else if (!rest_.empty() && rest_[0] == u'\'') {
        text.push_back(take());
      } else {
        break;
      }
    }
    return text;
  }

 private:
  char16_t take() {
    const char16_t unit = rest_[0];
    rest_.remove_prefix(1);
    return unit;
  }

  std::u16string_view rest_;
  std::u16string_view letters_;
};

std::u16string number(unsigned value, std::size_t digits) {
  std::u16string text = to_utf16(std::to_string(value));
  return text.size() < digits ? std::u16string(digits - text.size(), u'0') + text : text;
}

std::u16string_view name(const Locale& locale, std::uint32_t first, unsigned index) {
  return locale.text(first + index).value_or(u"");
}

std::u16string day_field(const Locale& locale, const DateTime& date, std::size_t length) {
  if (length <= 2) return number(date.day, length);
  const unsigned from_monday = (date.day_of_week + 6u) % 7;  // the names begin with Monday
  return std::u16string(name(locale, length == 3 ? LOCALE_SABBREVDAYNAME1 : LOCALE_SDAYNAME1, from_monday));
}

std::u16string month_field(const Locale& locale, const DateTime& date, std::size_t length) {
  if (length <= 2) return number(date.month, length);
  return std::u16string(
      name(locale, length == 3 ? LOCALE_SABBREVMONTHNAME1 : LOCALE_SMONTHNAME1, date.month - 1u));
}

std::u16string date_field(const Locale& locale, const DateTime& date, std::u16string_view run) {
  switch (run[0]) {
    case u'd':
      return day_field(locale, date, run.size());
    case u'M':
      return month_field(locale, date, run.size());
    case u'y':
      return run.size() <= 2 ? number(date.year % 100u, run.size()) : number(date.year, 4);
    default:
      return u"A.D.";
  }
}

unsigned hour_in(const DateTime& date, char16_t letter, TimeParts parts) {
  if (letter == u'H' || parts.hours_24) return date.hour;
  return date.hour % 12u == 0 ? 12 : date.hour % 12u;
}

std::u16string time_field(const Locale& locale, const DateTime& date, std::u16string_view run,
                          TimeParts parts) {
  const std::size_t digits = std::min<std::size_t>(run.size(), 2);
  switch (run[0]) {
    case u'm':
      return number(date.minute, digits);
    case u's':
      return number(date.second, digits);
    case u't': {
      const auto marker = locale.text(date.hour < 12 ? LOCALE_S1159 : LOCALE_S2359).value_or(u"");
      return std::u16string(run.size() == 1 ? marker.substr(0, 1) : marker);
    }
    default:
      return number(hour_in(date, run[0], parts), digits);
  }
}

bool is_wanted(char16_t letter, TimeParts parts) {
  switch (letter) {
    case u'm':
      return parts.minutes;
    case u's':
      return parts.seconds;
    case u't':
      return parts.marker;
    default:
      return true;
  }
}

}  // namespace

std::u16string format_date(const Locale& locale, const DateTime& date, std::u16string_view picture) {
  std::u16string out;
  for (Picture rest(picture, u"dMyg"); !rest.at_end();) {
    out += rest.at_letter() ? date_field(locale, date, rest.take_run()) : rest.take_literal();
  }
  return out;
}

std::u16string format_time(const Locale& locale, const DateTime& date, std::u16string_view picture,
                           TimeParts parts) {
  std::u16string out;
  std::size_t end_of_last_field = 0;
  for (Picture rest(picture, u"hHmst"); !rest.at_end();) {
    if (!rest.at_letter()) {
      out += rest.take_literal();
      continue;
    }
    const auto run = rest.take_run();
    if (is_wanted(run[0], parts)) {
      out += time_field(locale, date, run, parts);
      end_of_last_field = out.size();
    } else {
      out.resize(end_of_last_field);
    }
  }
  return out;
}

}  // namespace bobbin::nls
