#include "nls/characters.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

// CT_CTYPE1
enum Type : std::uint16_t {
  C1_NONE = 0,
  C1_UPPER = 0x001,
  C1_LOWER = 0x002,
  C1_DIGIT = 0x004,
  C1_SPACE = 0x008,
  C1_PUNCT = 0x010,
  C1_CNTRL = 0x020,
  C1_BLANK = 0x040,
  C1_XDIGIT = 0x080,
  C1_ALPHA = 0x100,
  C1_DEFINED = 0x200,
};

// CT_CTYPE3
enum : std::uint16_t {
  C3_NONSPACING = 0x0001,
  C3_DIACRITIC = 0x0002,
  C3_VOWELMARK = 0x0004,
  C3_SYMBOL = 0x0008,
  C3_KATAKANA = 0x0010,
  C3_HIRAGANA = 0x0020,
  C3_HALFWIDTH = 0x0040,
  C3_FULLWIDTH = 0x0080,
  C3_IDEOGRAPH = 0x0100,
  C3_KASHIDA = 0x0200,
  C3_LEXICAL = 0x0400,
  C3_HIGHSURROGATE = 0x0800,
  C3_LOWSURROGATE = 0x1000,
  C3_ALPHA = 0x8000,
};

constexpr char16_t kSharpS = 0x00DF;
constexpr char16_t kCapitalSharpS = 0x1E9E;  // younger than Windows' tables: not mapped, either way

utf8proc_int32_t code(char16_t unit) { return static_cast<utf8proc_int32_t>(unit); }

constexpr bool is_in(char16_t unit, char16_t first, char16_t last) { return unit >= first && unit <= last; }

bool is_hex_digit(char16_t unit) {
  // The full-width forms count too.
  const auto plain = static_cast<char16_t>(is_in(unit, 0xFF01, 0xFF5E) ? unit - 0xFEE0 : unit);
  return is_in(plain, u'0', u'9') || is_in(plain, u'A', u'F') || is_in(plain, u'a', u'f');
}

std::uint16_t type_of_control(char16_t unit) {
  if (unit == u'\t') return C1_CNTRL | C1_SPACE | C1_BLANK;
  return is_in(unit, u'\n', u'\r') || unit == 0x85 ? C1_CNTRL | C1_SPACE : C1_CNTRL;
}

/// Latin-1 has characters whose class is older than Unicode's categories.
std::uint16_t type_beyond_category(char16_t unit) {
  switch (unit) {
    case 0xAA:
    case 0xBA:
    case 0xB5:
      return C1_ALPHA | C1_LOWER | C1_PUNCT;
    case 0xAD:
      return C1_CNTRL | C1_PUNCT;
    case 0xB2:
    case 0xB3:
    case 0xB9:
      return C1_DIGIT | C1_PUNCT;
    case 0xBC:
    case 0xBD:
    case 0xBE:
      return C1_PUNCT;
    case 0xFEFF:
      return C1_CNTRL | C1_BLANK;
    default:
      return 0;
  }
}

std::uint16_t type_of_category(char16_t unit) {
  switch (utf8proc_category(code(unit))) {
    case UTF8PROC_CATEGORY_LU:
      return C1_ALPHA | C1_UPPER;
    case UTF8PROC_CATEGORY_LL:
      return C1_ALPHA | C1_LOWER;
    case UTF8PROC_CATEGORY_LT:
      return C1_ALPHA | C1_UPPER | C1_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
      return C1_ALPHA;
    case UTF8PROC_CATEGORY_ND:
      return C1_DIGIT;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return C1_PUNCT;
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SO:
      return unit < 0x100 ? C1_PUNCT : C1_NONE;
    case UTF8PROC_CATEGORY_ZS:
      return unit == u' ' || unit == 0xA0 || unit == 0x3000 ? C1_SPACE | C1_BLANK : C1_SPACE;
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return C1_SPACE;
    case UTF8PROC_CATEGORY_CC:
      return type_of_control(unit);
    case UTF8PROC_CATEGORY_CF:
      return C1_CNTRL;
    default:
      return 0;
  }
}

bool is_ideograph(char16_t unit) {
  return is_in(unit, 0x3400, 0x4DBF) || is_in(unit, 0x4E00, 0x9FFF) || is_in(unit, 0xF900, 0xFAFF);
}

std::uint16_t width_and_script(char16_t unit) {
  if (is_in(unit, 0x20, 0x7E)) return C3_HALFWIDTH;
  if (is_in(unit, 0x3041, 0x309F)) return C3_HIRAGANA;
  if (is_in(unit, 0x30A0, 0x30FF)) return C3_KATAKANA;
  if (is_in(unit, 0xFF01, 0xFF60) || is_in(unit, 0xFFE0, 0xFFE6)) return C3_FULLWIDTH;
  if (is_in(unit, 0xFF66, 0xFF9F)) return C3_HALFWIDTH | C3_KATAKANA;
  if (is_in(unit, 0xFFA0, 0xFFDC)) return C3_HALFWIDTH;
  if (unit == 0x0640) return C3_KASHIDA;
  return 0;
}

/// Whether it is a letter with a mark. (Hangul syllables come apart too, but not into letter and mark.)
bool has_mark(char16_t unit) {
  if (is_in(unit, 0xAC00, 0xD7A3)) return false;
  utf8proc_int32_t out[8];
  int boundary = 0;
  return utf8proc_decompose_char(code(unit), out, 8, UTF8PROC_DECOMPOSE, &boundary) > 1;
}

}  // namespace

char16_t to_upper_beyond_ascii(char16_t unit) {
  const utf8proc_int32_t upper = utf8proc_toupper(code(unit));
  const bool leads_home = upper < 0x10000 && utf8proc_tolower(upper) == code(unit);
  return leads_home && unit != kSharpS ? static_cast<char16_t>(upper) : unit;
}

char16_t to_lower_beyond_ascii(char16_t unit) {
  const utf8proc_int32_t lower = utf8proc_tolower(code(unit));
  const bool leads_home = lower < 0x10000 && utf8proc_toupper(lower) == code(unit);
  return leads_home && unit != kCapitalSharpS ? static_cast<char16_t>(lower) : unit;
}

int compare_ordinal(std::u16string_view a, std::u16string_view b, bool ignore_case) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (a[i] == b[i]) continue;
    const int x = ignore_case ? to_upper(a[i]) : a[i];
    const int y = ignore_case ? to_upper(b[i]) : b[i];
    if (x != y) return x - y;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

std::uint16_t character_type(char16_t unit) {
  if (is_surrogate(unit)) return C1_DEFINED;
  if (const std::uint16_t type = type_beyond_category(unit); type != 0) return type | C1_DEFINED;
  if (utf8proc_category(code(unit)) == UTF8PROC_CATEGORY_CN) return 0;
  const std::uint16_t hex = is_hex_digit(unit) ? C1_XDIGIT : C1_NONE;
  return type_of_category(unit) | hex | C1_DEFINED;
}

std::uint16_t character_direction(char16_t unit) {
  switch (utf8proc_get_property(code(unit))->bidi_class) {
    case UTF8PROC_BIDI_CLASS_L:
      return 1;
    case UTF8PROC_BIDI_CLASS_R:
    case UTF8PROC_BIDI_CLASS_AL:
      return 2;
    case UTF8PROC_BIDI_CLASS_EN:
      return 3;
    case UTF8PROC_BIDI_CLASS_ES:
      return 4;
    case UTF8PROC_BIDI_CLASS_ET:
      return 5;
    case UTF8PROC_BIDI_CLASS_AN:
      return 6;
    case UTF8PROC_BIDI_CLASS_CS:
      return 7;
    case UTF8PROC_BIDI_CLASS_B:
      return 8;
    case UTF8PROC_BIDI_CLASS_S:
      return 9;
    case UTF8PROC_BIDI_CLASS_WS:
      return 10;
    case 0:
    case UTF8PROC_BIDI_CLASS_BN:
      return 0;
    default:
      return 11;
  }
}

std::uint16_t character_processing(char16_t unit) {
  if (is_high_surrogate(unit)) return C3_HIGHSURROGATE;
  if (is_low_surrogate(unit)) return C3_LOWSURROGATE;
  if (is_in(unit, u'\t', u'\r')) return C3_SYMBOL;
  std::uint16_t bits = width_and_script(unit);
  const std::uint16_t type = character_type(unit);
  const auto category = utf8proc_category(code(unit));
  if (type & C1_ALPHA) bits |= C3_ALPHA;
  if (is_ideograph(unit)) bits |= C3_IDEOGRAPH;
  if ((type & C1_ALPHA) && has_mark(unit)) bits |= C3_NONSPACING | C3_DIACRITIC;
  if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME) bits |= C3_NONSPACING;
  if (category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO) bits |= C3_SYMBOL;
  if (category == UTF8PROC_CATEGORY_SK) bits |= C3_DIACRITIC;
  if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO && unit < 0x100) bits |= C3_SYMBOL;
  if (unit == u' ' || unit == 0xA0) bits |= C3_SYMBOL;
  if (std::u16string_view(u"\"$'-/=@\\^_`~").contains(unit)) bits |= C3_LEXICAL;
  return bits;
}

}  // namespace bobbin::nls
