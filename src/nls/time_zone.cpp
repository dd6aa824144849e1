#include "nls/time_zone.hpp"

#include <ctime>
#include <vector>

#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

constexpr std::time_t kSecondsPerDay = 86'400;

std::time_t start_of(unsigned year) {
  const auto ticks = ticks_from({.year = static_cast<std::uint16_t>(year),
                                 .month = 1,
                                 .day_of_week = 0,
                                 .day = 1,
                                 .hour = 0,
                                 .minute = 0,
                                 .second = 0,
                                 .millisecond = 0});
  return static_cast<std::time_t>(ticks.value_or(kUnixEpoch) / kTicksPerSecond) -
         static_cast<std::time_t>(kUnixEpoch / kTicksPerSecond);
}

std::tm local(std::time_t time) {
  std::tm out{};
  localtime_r(&time, &out);
  return out;
}

/// The first second of another offset in (from, to], which differ in it.
std::time_t find_change(std::time_t from, std::time_t to) {
  const auto before = local(from).tm_gmtoff;
  while (to - from > 1) {
    const std::time_t middle = from + (to - from) / 2;
    (local(middle).tm_gmtoff == before ? from : to) = middle;
  }
  return to;
}

std::vector<std::time_t> changes_in(unsigned year) {
  std::vector<std::time_t> changes;
  const std::time_t end = start_of(year + 1);
  for (std::time_t day = start_of(year); day < end; day += kSecondsPerDay) {
    if (local(day).tm_gmtoff != local(day + kSecondsPerDay).tm_gmtoff) {
      changes.push_back(find_change(day, day + kSecondsPerDay));
    }
  }
  return changes;
}

/// "The n-th Sunday of March at two", from one such moment. `offset` is what held until then.
DateTime rule_from(std::time_t change, long offset) {
  const std::time_t wall_clock = change + offset;
  std::tm at{};
  gmtime_r(&wall_clock, &at);
  const auto year = static_cast<unsigned>(at.tm_year + 1900);
  const auto month = static_cast<unsigned>(at.tm_mon + 1);
  const auto day = static_cast<unsigned>(at.tm_mday);
  const unsigned nth = day + 7 > days_in_month(year, month) ? 5 : (day - 1) / 7 + 1;
  const auto word = [](auto value) { return static_cast<std::uint16_t>(value); };
  return {.year = 0,
          .month = word(month),
          .day_of_week = word(at.tm_wday),
          .day = word(nth),
          .hour = word(at.tm_hour),
          .minute = word(at.tm_min),
          .second = word(at.tm_sec),
          .millisecond = 0};
}

std::u16string zone_name(const std::tm& at) {
  const std::u16string name = to_utf16(at.tm_zone);
  return name == u"UTC" || name == u"GMT" ? u"Coordinated Universal Time" : name;
}

int minutes(long seconds_east) { return static_cast<int>(-seconds_east / 60); }

/// The ticks of a rule in a year, in the local time that held until then.
std::uint64_t moment(DateTime rule, unsigned year) {
  if (rule.year == 0) {
    const unsigned first = (rule.day_of_week + 7u - day_of_week(year, rule.month, 1)) % 7 + 1;
    unsigned day = first + 7u * (rule.day - 1u);
    while (day > days_in_month(year, rule.month)) day -= 7;
    rule.day = static_cast<std::uint16_t>(day);
    rule.year = static_cast<std::uint16_t>(year);
  }
  return ticks_from(rule).value_or(0);
}

std::uint64_t shifted(std::uint64_t ticks, int minutes_back) {
  return ticks - static_cast<std::uint64_t>(static_cast<std::int64_t>(minutes_back) *
                                            static_cast<std::int64_t>(kTicksPerMinute));
}

/// `ticks` and the two moments are in the same time: all UTC, or all local.
Season season_between(std::uint64_t ticks, std::uint64_t daylight, std::uint64_t standard) {
  const bool is_daylight =
      daylight < standard ? ticks >= daylight && ticks < standard : ticks >= daylight || ticks < standard;
  return is_daylight ? Season::daylight : Season::standard;
}

unsigned year_of(std::uint64_t ticks) {
  const auto date = date_from(ticks);
  return date ? date->year : 1601;
}

}  // namespace

TimeZone host_time_zone(unsigned year) {
  tzset();
  const std::vector<std::time_t> changes = changes_in(year);
  const std::tm january = local(start_of(year));
  TimeZone zone;
  zone.bias = minutes(january.tm_gmtoff);
  zone.standard_name = zone.daylight_name = zone_name(january);
  if (changes.size() != 2) return zone;
  for (const std::time_t change : changes) {
    const std::tm after = local(change);
    const DateTime rule = rule_from(change, local(change - 1).tm_gmtoff);
    (after.tm_isdst > 0 ? zone.daylight_date : zone.standard_date) = rule;
    (after.tm_isdst > 0 ? zone.daylight_name : zone.standard_name) = zone_name(after);
    if (after.tm_isdst == 0) zone.bias = minutes(after.tm_gmtoff);
  }
  for (const std::time_t change : changes) {
    const std::tm after = local(change);
    if (after.tm_isdst > 0) zone.daylight_bias = minutes(after.tm_gmtoff) - zone.bias;
  }
  return zone;
}

int bias_in(const TimeZone& zone, Season season) {
  if (season == Season::unknown) return zone.bias;
  return zone.bias + (season == Season::daylight ? zone.daylight_bias : zone.standard_bias);
}

Season season_at(const TimeZone& zone, std::uint64_t utc_ticks) {
  if (!zone.has_daylight_time()) return Season::unknown;
  const int standard = bias_in(zone, Season::standard);
  const int daylight = bias_in(zone, Season::daylight);
  const unsigned year = year_of(shifted(utc_ticks, standard));
  // Daylight time begins by the clock of standard time, and the other way round.
  return season_between(utc_ticks, shifted(moment(zone.daylight_date, year), -standard),
                        shifted(moment(zone.standard_date, year), -daylight));
}

std::uint64_t utc_to_local(const TimeZone& zone, std::uint64_t utc_ticks) {
  return shifted(utc_ticks, bias_in(zone, season_at(zone, utc_ticks)));
}

std::uint64_t local_to_utc(const TimeZone& zone, std::uint64_t local_ticks) {
  if (!zone.has_daylight_time()) return shifted(local_ticks, -zone.bias);
  const unsigned year = year_of(local_ticks);
  // The hour before the end of daylight time occurs twice: standard time has it.
  const int gained = zone.standard_bias - zone.daylight_bias;
  const std::uint64_t end = shifted(moment(zone.standard_date, year), gained);
  const Season season = season_between(local_ticks, moment(zone.daylight_date, year), end);
  return shifted(local_ticks, -bias_in(zone, season));
}

}  // namespace bobbin::nls
