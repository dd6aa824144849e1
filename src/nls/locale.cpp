#include "nls/locale.hpp"

#include <algorithm>
#include <array>

#include "nls/characters.hpp"

namespace bobbin::nls {
namespace {

// Sorted by LCTYPE.
constexpr auto kEnglish = std::to_array<LocaleRow>({
    // clang-format off
    // language, country, code pages
    {0x1, u"0409"}, {0x2, u"English (United States)"}, {0x3, u"ENU"}, {0x4, u"English"}, {0x5, u"1"},
    {0x6, u"United States"}, {0x7, u"USA"}, {0x8, u"United States"}, {0x9, u"0409"}, {0xA, u"1"},
    {0xB, u"437"},
    // lists, measures, numbers
    {0xC, u","}, {0xD, u"1"}, {0xE, u"."}, {0xF, u","}, {0x10, u"3;0"}, {0x11, u"2"}, {0x12, u"1"},
    {0x13, u"0123456789"},
    // money
    {0x14, u"$"}, {0x15, u"USD"}, {0x16, u"."}, {0x17, u","}, {0x18, u"3;0"}, {0x19, u"2"}, {0x1A, u"2"},
    {0x1B, u"0"}, {0x1C, u"0"},
    // dates and times
    {0x1D, u"/"}, {0x1E, u":"}, {0x1F, u"M/d/yyyy"}, {0x20, u"dddd, MMMM d, yyyy"}, {0x21, u"0"},
    {0x22, u"0"}, {0x23, u"0"}, {0x24, u"1"}, {0x25, u"0"}, {0x26, u"0"}, {0x27, u"0"}, {0x28, u"AM"},
    {0x29, u"PM"},
    // days
    {0x2A, u"Monday"}, {0x2B, u"Tuesday"}, {0x2C, u"Wednesday"}, {0x2D, u"Thursday"}, {0x2E, u"Friday"},
    {0x2F, u"Saturday"}, {0x30, u"Sunday"}, {0x31, u"Mon"}, {0x32, u"Tue"}, {0x33, u"Wed"}, {0x34, u"Thu"},
    {0x35, u"Fri"}, {0x36, u"Sat"}, {0x37, u"Sun"},
    // months
    {0x38, u"January"}, {0x39, u"February"}, {0x3A, u"March"}, {0x3B, u"April"}, {0x3C, u"May"},
    {0x3D, u"June"}, {0x3E, u"July"}, {0x3F, u"August"}, {0x40, u"September"}, {0x41, u"October"},
    {0x42, u"November"}, {0x43, u"December"}, {0x44, u"Jan"}, {0x45, u"Feb"}, {0x46, u"Mar"},
    {0x47, u"Apr"}, {0x48, u"May"}, {0x49, u"Jun"}, {0x4A, u"Jul"}, {0x4B, u"Aug"}, {0x4C, u"Sep"},
    {0x4D, u"Oct"}, {0x4E, u"Nov"}, {0x4F, u"Dec"},
    // signs
    {0x50, u""}, {0x51, u"-"}, {0x52, u"3"}, {0x53, u"0"}, {0x54, u"1"}, {0x55, u"0"}, {0x56, u"1"},
    {0x57, u"0"},
    // names for machines
    {0x59, u"en"}, {0x5A, u"US"}, {0x5B, u"244"}, {0x5C, u"en-US"}, {0x5D, u"h:mm:ss"},
    {0x5E, u"0409:00000409"},
    // shortest days
    {0x60, u"Mo"}, {0x61, u"Tu"}, {0x62, u"We"}, {0x63, u"Th"}, {0x64, u"Fr"}, {0x65, u"Sa"}, {0x66, u"Su"},
    // what Windows Vista and later added
    {0x67, u"eng"}, {0x68, u"USA"}, {0x69, u"NaN"}, {0x6A, u"\u221E"}, {0x6B, u"-\u221E"}, {0x6C, u"Latn;"},
    {0x6D, u"en"}, {0x6E, u"en-US"}, {0x6F, u"English"}, {0x70, u"0"}, {0x71, u"0"},
    {0x72, u"English (United States)"}, {0x73, u"English (United States)"}, {0x74, u"1"}, {0x75, u"1"},
    {0x76, u"%"}, {0x77, u"\u2030"}, {0x78, u"MMMM d"}, {0x79, u"h:mm tt"}, {0x7A, u"ENG "},
    {0x7B, u"en-US"}, {0x7C, u"dddd, MMM d"}, {0x7D, u"0"}, {0x7E, u"a"}, {0x7F, u"p"},
    // English names, formats, calendar
    {0x1001, u"English"}, {0x1002, u"United States"}, {0x1003, u"h:mm:ss tt"}, {0x1004, u"1252"},
    {0x1005, u"0"}, {0x1006, u"MMMM yyyy"}, {0x1007, u"US Dollar"}, {0x1008, u"US Dollar"}, {0x1009, u"1"},
    {0x100A, u"1"}, {0x100B, u"0"}, {0x100C, u"6"}, {0x100D, u"0"}, {0x100E, u""}, {0x100F, u""},
    {0x1010, u"1"}, {0x1011, u"10000"}, {0x1012, u"037"}, {0x1013, u"Default"}, {0x1014, u"1"},
    // clang-format on
});

/// Where the invariant locale is not en-US.
constexpr auto kInvariant = std::to_array<LocaleRow>({
    // clang-format off
    // language, country, code pages
    {0x1, u"007f"}, {0x2, u"Invariant Language (Invariant Country)"}, {0x3, u"IVL"},
    {0x4, u"Invariant Language"}, {0x6, u"Invariant Country"}, {0x7, u""}, {0x8, u"Invariant Country"},
    // lists, measures, numbers
    {0xD, u"0"},
    // money
    {0x14, u"\u00A4"}, {0x15, u"XDR"},
    // dates and times
    {0x1F, u"MM/dd/yyyy"}, {0x20, u"dddd, dd MMMM yyyy"}, {0x22, u"1"}, {0x23, u"1"}, {0x25, u"1"},
    {0x26, u"1"}, {0x27, u"1"},
    // signs
    {0x50, u"+"},
    // names for machines
    {0x59, u"iv"}, {0x5A, u"IV"}, {0x5C, u""}, {0x5D, u"hh:mm:ss"},
    // what Windows Vista and later added
    {0x67, u"ivl"}, {0x68, u""}, {0x6A, u"Infinity"}, {0x6B, u"-Infinity"}, {0x6D, u""}, {0x6E, u""},
    {0x6F, u"Invariant Language"}, {0x72, u"Invariant Language (Invariant Country)"},
    {0x73, u"Invariant Language (Invariant Region)"}, {0x74, u"0"}, {0x75, u"0"}, {0x78, u"MMMM dd"},
    {0x79, u"HH:mm"}, {0x7A, u"dflt"}, {0x7B, u""}, {0x7C, u"dddd, MMMM dd"},
    // English names, formats, calendar
    {0x1001, u"Invariant Language"}, {0x1002, u"Invariant Country"}, {0x1003, u"HH:mm:ss"},
    {0x1006, u"yyyy MMMM"}, {0x1007, u"International Monetary Fund"},
    {0x1008, u"International Monetary Fund"}, {0x100A, u"9"}, {0x1013, u"Maths Alphanumerics"},
    // clang-format on
});

constexpr std::array<Locale, 2> kLocales = {{
    {kLocaleEnglishUs, u"en-US", kEnglish, nullptr},
    {kLocaleInvariant, u"", kInvariant, &kLocales[0]},
}};

/// LCTYPEs whose value is a number (LOCALE_RETURN_NUMBER): all that Windows names LOCALE_I...
constexpr std::uint32_t kNumbers[] = {
    0x01, 0x05, 0x09, 0x0A,   0x0B,   0x0D,   0x11,   0x12,   0x19,   0x1A,   0x1B,   0x1C,   0x21,   0x22,
    0x23, 0x24, 0x25, 0x26,   0x27,   0x52,   0x53,   0x54,   0x55,   0x56,   0x57,   0x5B,   0x70,   0x71,
    0x74, 0x75, 0x7D, 0x1004, 0x1005, 0x1009, 0x100A, 0x100B, 0x100C, 0x100D, 0x1010, 0x1011, 0x1012, 0x1014};

constexpr bool is_hexadecimal(std::uint32_t field) { return field == 0x01 || field == 0x09; }

std::uint32_t parse(std::u16string_view digits, unsigned base) {
  std::uint32_t value = 0;
  for (const char16_t digit : digits) {
    const unsigned letter = static_cast<unsigned>(to_lower(digit));
    value = value * base + (letter >= u'a' ? letter - u'a' + 10 : letter - u'0');
  }
  return value;
}

}  // namespace

std::optional<std::u16string_view> Locale::text(std::uint32_t field) const {
  const auto row = std::ranges::lower_bound(rows, field, {}, &LocaleRow::field);
  if (row != rows.end() && row->field == field) return row->value;
  return base != nullptr ? base->text(field) : std::nullopt;
}

std::optional<std::uint32_t> Locale::number(std::uint32_t field) const {
  if (!std::ranges::binary_search(kNumbers, field)) return std::nullopt;
  return parse(*text(field), is_hexadecimal(field) ? 16 : 10);
}

const Locale& user_locale() { return kLocales[0]; }

std::span<const Locale> all_locales() { return kLocales; }

const Locale* find_locale(std::uint32_t id) {
  switch (id & 0xFFFF) {  // above: the sort order
    case kLocaleInvariant:
      return &kLocales[1];
    case kLocaleNeutral:
    case 0x0009:  // English, of no country
    case kLocaleUserDefault:
    case kLocaleEnglishUs:
    case kLocaleSystemDefault:
    case 0x0C00:  // the default custom locale, the unspecified one, and the default for user interfaces
    case 0x1000:
    case 0x1400:
      return &user_locale();
    default:
      return nullptr;
  }
}

const Locale* find_locale(std::u16string_view name) {
  if (equal_ignoring_case(name, u"en") || equal_ignoring_case(name, u"!x-sys-default-locale"))
    return &user_locale();
  const auto* found = std::ranges::find_if(
      kLocales, [&](const Locale& locale) { return equal_ignoring_case(locale.name, name); });
  return found != kLocales.end() ? found : nullptr;
}

}  // namespace bobbin::nls
