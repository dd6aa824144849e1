// Locales: what a language and country say of numbers, money, dates and names.
//
// There are two: en-US, which is the user's and the system's, and the invariant one (its name is empty). A
// guest that asks for another is told that there is none, rather than being given English under its name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bobbin::nls {

enum LocaleId : std::uint32_t {
  kLocaleNeutral = 0x0000,
  kLocaleInvariant = 0x007F,
  kLocaleUserDefault = 0x0400,
  kLocaleEnglishUs = 0x0409,
  kLocaleSystemDefault = 0x0800,
};

/// The LCTYPEs that our own formatting asks for.
enum LocaleField : std::uint32_t {
  LOCALE_SDECIMAL = 0x0E,
  LOCALE_STHOUSAND = 0x0F,
  LOCALE_SDATE = 0x1D,
  LOCALE_STIME = 0x1E,
  LOCALE_SSHORTDATE = 0x1F,
  LOCALE_SLONGDATE = 0x20,
  LOCALE_S1159 = 0x28,
  LOCALE_S2359 = 0x29,
  LOCALE_SDAYNAME1 = 0x2A,
  LOCALE_SABBREVDAYNAME1 = 0x31,
  LOCALE_SMONTHNAME1 = 0x38,
  LOCALE_SABBREVMONTHNAME1 = 0x44,
  LOCALE_SNAME = 0x5C,
  LOCALE_SMONTHDAY = 0x78,
  LOCALE_SSHORTTIME = 0x79,
  LOCALE_STIMEFORMAT = 0x1003,
  LOCALE_SYEARMONTH = 0x1006,
};

struct LocaleRow {
  std::uint32_t field;
  std::u16string_view value;
};

/// One locale; there is one object for each, for the life of the process.
struct Locale {
  std::uint32_t id;
  std::u16string_view name;
  std::span<const LocaleRow> rows;  ///< sorted by field
  const Locale* base;               ///< has what `rows` does not; nullptr if there is none

  /// The text of an LCTYPE without its flag bits; nothing if there is no such field.
  [[nodiscard]] std::optional<std::u16string_view> text(std::uint32_t field) const;
  /// The number of an LCTYPE that has one.
  [[nodiscard]] std::optional<std::uint32_t> number(std::uint32_t field) const;
};

[[nodiscard]] const Locale& user_locale();
[[nodiscard]] std::span<const Locale> all_locales();

/// By LCID (the special ones too, and English with another sort order or without a country); nullptr: none.
[[nodiscard]] const Locale* find_locale(std::uint32_t id);
/// By name, in any case; nullptr: none.
[[nodiscard]] const Locale* find_locale(std::u16string_view name);

}  // namespace bobbin::nls
