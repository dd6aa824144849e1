// Case and classes of characters, as Windows' own tables have them: one UTF-16 unit at a time.
//
// Windows maps case only where the way back leads home: e acute and E acute belong together, but the micro
// sign stays itself, since the lower case of capital mu is another character. utf8proc knows Unicode's simple
// mappings; that one rule turns them into Windows'. Nothing here depends on a locale.
#pragma once

#include <cstdint>
#include <string_view>

namespace bobbin::nls {

[[nodiscard]] char16_t to_upper_beyond_ascii(char16_t unit);
[[nodiscard]] char16_t to_lower_beyond_ascii(char16_t unit);

/// Upper and lower case of one unit; surrogates are left alone.
[[nodiscard]] inline char16_t to_upper(char16_t unit) {
  if (unit < 0x80) return unit >= u'a' && unit <= u'z' ? static_cast<char16_t>(unit - 0x20) : unit;
  return to_upper_beyond_ascii(unit);
}
[[nodiscard]] inline char16_t to_lower(char16_t unit) {
  if (unit < 0x80) return unit >= u'A' && unit <= u'Z' ? static_cast<char16_t>(unit + 0x20) : unit;
  return to_lower_beyond_ascii(unit);
}

/// Below 0, 0 or above 0: unit by unit, by number, optionally as if all were upper case. File names, registry
/// keys, object and module names are compared so.
[[nodiscard]] int compare_ordinal(std::u16string_view a, std::u16string_view b, bool ignore_case);
[[nodiscard]] inline bool equal_ignoring_case(std::u16string_view a, std::u16string_view b) {
  return a.size() == b.size() && compare_ordinal(a, b, true) == 0;
}

/// GetStringType's three words for a unit: CT_CTYPE1 (what it is), CT_CTYPE2 (its direction in bidirectional
/// text), CT_CTYPE3 (how text processing sees it). The bits are those of the C1_, C2_ and C3_ constants.
[[nodiscard]] std::uint16_t character_type(char16_t unit);
[[nodiscard]] std::uint16_t character_direction(char16_t unit);
[[nodiscard]] std::uint16_t character_processing(char16_t unit);

}  // namespace bobbin::nls
