#include "nls/calendar.hpp"

#include <chrono>

namespace bobbin::nls {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr sys_days kFirstDay = std::chrono::year(1601) / 1 / 1;

year_month_day calendar_day(unsigned year, unsigned month, unsigned day) {
  return {std::chrono::year(static_cast<int>(year)), std::chrono::month(month), std::chrono::day(day)};
}

bool is_valid(const DateTime& date) {
  return date.year >= 1601 && date.year <= 30827 && calendar_day(date.year, date.month, date.day).ok() &&
         date.hour < 24 && date.minute < 60 && date.second < 60 && date.millisecond < 1000;
}

std::uint16_t word(auto value) { return static_cast<std::uint16_t>(value); }

}  // namespace

bool is_leap_year(unsigned year) { return std::chrono::year(static_cast<int>(year)).is_leap(); }

unsigned days_in_month(unsigned year, unsigned month) {
  if (month == 2) return is_leap_year(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

unsigned day_of_week(unsigned year, unsigned month, unsigned day) {
  return std::chrono::weekday(sys_days(calendar_day(year, month, day))).c_encoding();
}

std::optional<std::uint64_t> ticks_from(const DateTime& date) {
  if (!is_valid(date)) return std::nullopt;
  const auto day = (sys_days(calendar_day(date.year, date.month, date.day)) - kFirstDay).count();
  const std::uint64_t minutes = date.hour * 60u + date.minute;
  return static_cast<std::uint64_t>(day) * kTicksPerDay + minutes * kTicksPerMinute +
         date.second * kTicksPerSecond + date.millisecond * kTicksPerMillisecond;
}

std::optional<DateTime> date_from(std::uint64_t ticks) {
  if (ticks >> 63 != 0) return std::nullopt;
  const sys_days day = kFirstDay + days(static_cast<int>(ticks / kTicksPerDay));
  const year_month_day date(day);
  const std::uint64_t milliseconds = ticks % kTicksPerDay / kTicksPerMillisecond;
  return DateTime{
      .year = word(static_cast<int>(date.year())),
      .month = word(static_cast<unsigned>(date.month())),
      .day_of_week = word(std::chrono::weekday(day).c_encoding()),
      .day = word(static_cast<unsigned>(date.day())),
      .hour = word(milliseconds / 3'600'000),
      .minute = word(milliseconds / 60'000 % 60),
      .second = word(milliseconds / 1000 % 60),
      .millisecond = word(milliseconds % 1000),
  };
}

std::optional<std::uint32_t> dos_from(const DateTime& date) {
  if (date.year < 1980 || date.year > 2107) return std::nullopt;
  const unsigned day = (date.year - 1980u) << 9 | static_cast<unsigned>(date.month) << 5 | date.day;
  const unsigned time =
      static_cast<unsigned>(date.hour) << 11 | static_cast<unsigned>(date.minute) << 5 | date.second / 2u;
  return day << 16 | time;
}

std::optional<DateTime> date_from_dos(std::uint16_t date, std::uint16_t time) {
  const DateTime found{
      .year = word(1980 + (date >> 9)),
      .month = word(date >> 5 & 15),
      .day_of_week = 0,
      .day = word(date & 31),
      .hour = word(time >> 11),
      .minute = word(time >> 5 & 63),
      .second = word((time & 31) * 2),
      .millisecond = 0,
  };
  if (!is_valid(found)) return std::nullopt;
  return found;
}

}  // namespace bobbin::nls
