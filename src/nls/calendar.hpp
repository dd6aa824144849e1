// Dates and points in time, as Windows counts them: 100-nanosecond ticks since 1601-01-01 UTC, in the
// Gregorian calendar.
#pragma once

#include <cstdint>
#include <optional>

namespace bobbin::nls {

inline constexpr std::uint64_t kTicksPerMillisecond = 10'000;
inline constexpr std::uint64_t kTicksPerSecond = 10'000'000;
inline constexpr std::uint64_t kTicksPerMinute = 60 * kTicksPerSecond;
inline constexpr std::uint64_t kTicksPerDay = 24 * 60 * kTicksPerMinute;
/// 1970-01-01, where Unix begins to count.
inline constexpr std::uint64_t kUnixEpoch = 134'774 * kTicksPerDay;

/// A date and time of day; SYSTEMTIME's layout and ranges.
struct DateTime {
  std::uint16_t year;         ///< 1601..30827
  std::uint16_t month;        ///< 1..12
  std::uint16_t day_of_week;  ///< 0 is Sunday; not read when converting from a date
  std::uint16_t day;          ///< 1..31
  std::uint16_t hour;
  std::uint16_t minute;
  std::uint16_t second;  ///< 0..59
  std::uint16_t millisecond;
};

[[nodiscard]] bool is_leap_year(unsigned year);
[[nodiscard]] unsigned days_in_month(unsigned year, unsigned month);
/// 0 is Sunday.
[[nodiscard]] unsigned day_of_week(unsigned year, unsigned month, unsigned day);

/// Nothing if the date does not exist or is out of range.
[[nodiscard]] std::optional<std::uint64_t> ticks_from(const DateTime& date);
/// Nothing from 2^63 ticks (the year 30828) on.
[[nodiscard]] std::optional<DateTime> date_from(std::uint64_t ticks);

/// The two words of a FAT directory entry: date in the high one, time in the low one, even seconds only.
/// Nothing if the date is not in 1980..2107.
[[nodiscard]] std::optional<std::uint32_t> dos_from(const DateTime& date);
/// Nothing if there is no such date.
[[nodiscard]] std::optional<DateTime> date_from_dos(std::uint16_t date, std::uint16_t time);

}  // namespace bobbin::nls
