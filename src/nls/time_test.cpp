#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "nls/calendar.hpp"
#include "nls/formats.hpp"
#include "nls/locale.hpp"
#include "nls/time_zone.hpp"

namespace bobbin::nls {
namespace {

constexpr DateTime kDate{2024, 2, 4, 29, 15, 4, 5, 678};  // a Thursday

std::uint64_t ticks(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute = 0) {
  const auto word = [](unsigned value) { return static_cast<std::uint16_t>(value); };
  return ticks_from({word(year), word(month), 0, word(day), word(hour), word(minute), 0, 0}).value();
}

/// Central Europe: UTC+1, daylight time from the last Sunday of March to that of October.
TimeZone central_europe() {
  TimeZone zone;
  zone.bias = -60;
  zone.daylight_bias = -60;
  zone.daylight_date = {0, 3, 0, 5, 2, 0, 0, 0};
  zone.standard_date = {0, 10, 0, 5, 3, 0, 0, 0};
  return zone;
}

TEST(Calendar, TicksAndDates) {
  EXPECT_EQ(ticks(1601, 1, 1, 0), 0u);
  EXPECT_EQ(ticks(1970, 1, 1, 0), kUnixEpoch);
  const auto there = ticks_from(kDate);
  ASSERT_TRUE(there);
  EXPECT_EQ(*there, (1'709'219'045ull * 1000 + 678) * kTicksPerMillisecond + kUnixEpoch);
  const auto back = date_from(*there);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->year, 2024);
  EXPECT_EQ(back->day_of_week, 4);
  EXPECT_EQ(back->millisecond, 678);
}

TEST(Calendar, RefusesWhatDoesNotExist) {
  EXPECT_FALSE(ticks_from({2023, 2, 0, 29, 0, 0, 0, 0}));
  EXPECT_FALSE(ticks_from({1600, 12, 0, 31, 0, 0, 0, 0}));
  EXPECT_FALSE(ticks_from({2023, 1, 0, 1, 24, 0, 0, 0}));
  EXPECT_FALSE(ticks_from({2023, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(date_from(std::uint64_t{1} << 63));
  ASSERT_TRUE(date_from((std::uint64_t{1} << 63) - 1));
  EXPECT_EQ(date_from((std::uint64_t{1} << 63) - 1)->year, 30828);
}

TEST(Calendar, DosDates) {
  EXPECT_EQ(dos_from(kDate), 0x585D7882u);
  const auto back = date_from_dos(0x585D, 0x7882);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->day, 29);
  EXPECT_EQ(back->second, 4);
  EXPECT_FALSE(date_from_dos(0, 0));
  EXPECT_FALSE(dos_from({1979, 12, 0, 31, 0, 0, 0, 0}));
}

TEST(Formats, Dates) {
  const Locale& english = user_locale();
  EXPECT_EQ(format_date(english, kDate, u"dddd, MMMM d, yyyy"), u"Thursday, February 29, 2024");
  EXPECT_EQ(format_date(english, kDate, u"M/d/yy ddd MMM"), u"2/29/24 Thu Feb");
  EXPECT_EQ(format_date(english, kDate, u"'day' d 'o''clock' gg"), u"day 29 o'clock A.D.");
}

TEST(Formats, Times) {
  const Locale& english = user_locale();
  EXPECT_EQ(format_time(english, kDate, u"h:mm:ss tt"), u"3:04:05 PM");
  EXPECT_EQ(format_time(english, kDate, u"HH'h'mm t"), u"15h04 P");
  EXPECT_EQ(format_time(english, kDate, u"h:mm:ss tt", {.seconds = false}), u"3:04 PM");
  EXPECT_EQ(format_time(english, kDate, u"h:mm:ss tt", {.minutes = false, .seconds = false}), u"3 PM");
  EXPECT_EQ(format_time(english, kDate, u"h:mm:ss tt", {.marker = false, .hours_24 = true}), u"15:04:05");
}

TEST(TimeZones, SeasonsChangeAtTheirMoments) {
  const TimeZone zone = central_europe();
  EXPECT_EQ(season_at(zone, ticks(2024, 3, 31, 0, 59)), Season::standard);
  EXPECT_EQ(season_at(zone, ticks(2024, 3, 31, 1)), Season::daylight);
  EXPECT_EQ(season_at(zone, ticks(2024, 10, 27, 0, 59)), Season::daylight);
  EXPECT_EQ(season_at(zone, ticks(2024, 10, 27, 1)), Season::standard);
  EXPECT_EQ(season_at(TimeZone{}, ticks(2024, 6, 1, 0)), Season::unknown);
}

TEST(TimeZones, ConvertsBothWays) {
  const TimeZone zone = central_europe();
  EXPECT_EQ(utc_to_local(zone, ticks(2024, 1, 1, 12)), ticks(2024, 1, 1, 13));
  EXPECT_EQ(utc_to_local(zone, ticks(2024, 7, 1, 12)), ticks(2024, 7, 1, 14));
  for (const unsigned month : {1u, 4u, 7u, 12u}) {
    const std::uint64_t utc = ticks(2024, month, 15, 23, 30);
    EXPECT_EQ(local_to_utc(zone, utc_to_local(zone, utc)), utc) << month;
  }
  EXPECT_EQ(local_to_utc(zone, ticks(2024, 10, 27, 2, 30)), ticks(2024, 10, 27, 1, 30));
}

TEST(TimeZones, SouthOfTheEquatorSummerSpansTheNewYear) {
  TimeZone zone;
  zone.bias = -600;
  zone.daylight_bias = -60;
  zone.daylight_date = {0, 10, 0, 1, 2, 0, 0, 0};
  zone.standard_date = {0, 4, 0, 1, 3, 0, 0, 0};
  EXPECT_EQ(season_at(zone, ticks(2024, 1, 1, 0)), Season::daylight);
  EXPECT_EQ(season_at(zone, ticks(2024, 7, 1, 0)), Season::standard);
}

TEST(TimeZones, HostRulesBecomeWindowsRules) {
  const char* before = std::getenv("TZ");
  const std::string saved = before != nullptr ? before : "";
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);  // rules in the variable: no zone files are needed
  const TimeZone zone = host_time_zone(2023);
  before != nullptr ? setenv("TZ", saved.c_str(), 1) : unsetenv("TZ");
  EXPECT_EQ(zone.bias, -60);
  EXPECT_EQ(zone.daylight_bias, -60);
  EXPECT_EQ(zone.standard_name, u"CET");
  EXPECT_EQ(zone.daylight_name, u"CEST");
  EXPECT_EQ(zone.daylight_date.month, 3);
  EXPECT_EQ(zone.daylight_date.day, 5);
  EXPECT_EQ(zone.daylight_date.hour, 2);
  EXPECT_EQ(zone.standard_date.month, 10);
  EXPECT_EQ(zone.standard_date.hour, 3);
}

TEST(Locales, FieldsAndNumbers) {
  EXPECT_EQ(user_locale().text(LOCALE_SDECIMAL), u".");
  EXPECT_EQ(user_locale().number(0x01), 0x409u);
  EXPECT_EQ(user_locale().number(0x1004), 1252u);
  EXPECT_FALSE(user_locale().number(LOCALE_SDECIMAL));
  EXPECT_FALSE(user_locale().text(0xFFF));
  const Locale* invariant = find_locale(kLocaleInvariant);
  ASSERT_NE(invariant, nullptr);
  EXPECT_EQ(invariant->text(LOCALE_SSHORTDATE), u"MM/dd/yyyy");
  EXPECT_EQ(invariant->text(LOCALE_SDAYNAME1), u"Monday");
}

TEST(Locales, AreFoundByIdAndName) {
  EXPECT_EQ(find_locale(u"EN-us"), &user_locale());
  EXPECT_EQ(find_locale(u""), find_locale(kLocaleInvariant));
  EXPECT_EQ(find_locale(u"de-DE"), nullptr);
  EXPECT_EQ(find_locale(0x407u), nullptr);
  for (const Locale& locale : all_locales()) {
    EXPECT_TRUE(std::ranges::is_sorted(locale.rows, {}, &LocaleRow::field));
  }
}

}  // namespace
}  // namespace bobbin::nls
