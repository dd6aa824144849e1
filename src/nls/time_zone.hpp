// Time zones in Windows' form: an offset for the whole year, and the two moments at which it changes, each by
// a rule ("the last Sunday of March at two o'clock").
#pragma once

#include <cstdint>
#include <string>

#include "nls/calendar.hpp"

namespace bobbin::nls {

struct TimeZone {
  int bias = 0;           ///< minutes; UTC = local time + bias
  int standard_bias = 0;  ///< added to it in standard time (nearly always 0)
  int daylight_bias = 0;  ///< added to it in daylight time (-60)
  /// When standard and daylight time begin, in the local time until then: month, day_of_week, and in `day`
  /// which one of the month (5: the last); or a full date if year is not 0. Month 0: there is no daylight
  /// time.
  DateTime standard_date{};
  DateTime daylight_date{};
  std::u16string standard_name;
  std::u16string daylight_name;

  [[nodiscard]] bool has_daylight_time() const {
    return standard_date.month != 0 && daylight_date.month != 0;
  }
};

/// The host's zone as it is in that year.
[[nodiscard]] TimeZone host_time_zone(unsigned year);

enum class Season : std::uint8_t { unknown, standard, daylight };  // TIME_ZONE_ID_...

/// Which of the two a UTC time falls in (unknown: the zone has no daylight time).
[[nodiscard]] Season season_at(const TimeZone& zone, std::uint64_t utc_ticks);
/// Minutes by which UTC is ahead of local time then.
[[nodiscard]] int bias_in(const TimeZone& zone, Season season);

[[nodiscard]] std::uint64_t utc_to_local(const TimeZone& zone, std::uint64_t utc_ticks);
/// A local time that occurs twice is taken as standard time; one that does not occur, as if the clock had not
/// been put forward.
[[nodiscard]] std::uint64_t local_to_utc(const TimeZone& zone, std::uint64_t local_ticks);

}  // namespace bobbin::nls
