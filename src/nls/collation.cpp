#include "nls/collation.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "nls/characters.hpp"
#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

constexpr char kEndOfLevel = 1;
constexpr unsigned kPlain = 2;  // the weight of "nothing special"; such weights at a level's end are left out

// What sorts before what, on the first level.
enum Group : unsigned char { kSymbol = 0x07, kDigit = 0x0D, kLatin = 0x0E, kOtherLetter = 0x10 };

// Bits of the third level.
enum Form : unsigned { kKatakana = 0x1, kWide = 0x4, kUpper = 0x10, kOtherForm = 0x20 };

/// Symbols in Windows' order; those that are missing follow, by code point. The first two count here only in
/// string sort.
constexpr std::u16string_view kSymbols =
    u"'- \u00A0\t\n\v\f\r!\"#$%&()*,./:;?@[\\]^_`{|}~\u00A1\u00A6\u00A8\u00AF\u00B4\u00B8\u00BF"
    u"\u00A2\u00A3\u00A4\u00A5+<=>"
    u"\u00B1\u00AB\u00BB\u00D7\u00F7\u00A7\u00A9\u00AC\u00AE\u00B0\u00B5\u00B6\u00B7";

/// Marks in Windows' order: acute, grave, dot above, circumflex, diaeresis, caron, breve, macron, tilde,
/// ring, ogonek, cedilla, double acute.
constexpr std::u16string_view kMarks =
    u"\u0301\u0300\u0307\u0302\u0308\u030C\u0306\u0304\u0303\u030A\u0328\u0327\u030B";

constexpr unsigned kStroke =
    40;  // the second level of a letter with a stroke, which Unicode does not take apart

struct Expansion {
  char16_t letter;  // lower case
  std::u16string_view as;
  unsigned mark;
};
constexpr Expansion kExpansions[] = {
    {0x00DF, u"ss", 0}, {0x00E6, u"ae", 0},      {0x00F0, u"d", kStroke}, {0x00F8, u"o", kStroke},
    {0x00FE, u"th", 0}, {0x0111, u"d", kStroke}, {0x0127, u"h", kStroke}, {0x0131, u"i", kStroke},
    {0x0153, u"oe", 0}, {0x0142, u"l", kStroke}, {0x0167, u"t", kStroke},
};

/// Builds the four levels.
class KeyWriter {
 public:
  explicit KeyWriter(std::uint32_t flags) : flags_(flags) {}

  void add(std::u16string_view text) {
    while (!text.empty()) {
      if (has(SORT_DIGITSASNUMBERS) && is_digit(text[0])) {
        add_number(text);
        continue;
      }
      const Decoded next = decode(text);
      add_character(next.well_formed ? next.code : char32_t{text[0]});
      text.remove_prefix(next.length);
    }
  }

  std::string finish() {
    trim(marks_);
    trim(forms_);
    return letters_ + kEndOfLevel + marks_ + kEndOfLevel + forms_ + kEndOfLevel + kEndOfLevel + places_ +
           '\0';
  }

 private:
  [[nodiscard]] bool has(std::uint32_t flag) const { return (flags_ & flag) != 0; }
  static bool is_digit(char32_t code) { return code >= U'0' && code <= U'9'; }

  static void trim(std::string& level) { level.erase(level.find_last_not_of(static_cast<char>(kPlain)) + 1); }

  /// Numbers of more digits are larger: their length comes first.
  void add_number(std::u16string_view& text) {
    while (text.size() > 1 && text[0] == u'0' && is_digit(text[1])) text.remove_prefix(1);
    std::size_t length = 0;
    while (length < text.size() && is_digit(text[length])) ++length;
    add_weight(kDigit, static_cast<char32_t>(0x100 + std::min<std::size_t>(length, 0xFFFF)), kPlain);
    for (std::size_t i = 0; i < length; ++i) add_weight(kDigit, text[i], kPlain);
    text.remove_prefix(length);
  }

  void add_character(char32_t code) {
    const bool has_width = code >= 0xFF01 && code <= 0xFFEF;
    unsigned form = has_width && !has(NORM_IGNOREWIDTH) ? kPlain | kWide : kPlain;
    std::array<utf8proc_int32_t, 32> parts{};
    int boundary = 0;
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
    const auto count = is_surrogate(code)
                           ? 0
                           : utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts.data(),
                                                     std::ssize(parts), options, &boundary);
    if (count == 1 && static_cast<char32_t>(parts[0]) != code && !has_width) form |= kOtherForm;
    if (count <= 0) return add_part(code, form);
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, 32); ++i) {
      add_part(static_cast<char32_t>(parts[static_cast<std::size_t>(i)]), form);
    }
  }

  /// A character that nothing is left to take apart.
  void add_part(char32_t code, unsigned form) {
    const auto unit = static_cast<char16_t>(code < 0x10000 ? code : 0);
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
    if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME) return add_mark(unit);
    if (is_ignorable(code, category)) return add_place(code);
    const char16_t lower = to_lower(unit);
    if (lower != unit) form |= kUpper;
    if (const auto* expansion = find_expansion(lower)) return expand(*expansion, form);
    add_base(unit == 0 ? code : char32_t{lower}, category, form);
  }

  void add_base(char32_t code, utf8proc_category_t category, unsigned form) {
    if (code >= U'a' && code <= U'z') return add_weight(kLatin, code, form);
    if (category == UTF8PROC_CATEGORY_ND) return add_weight(kDigit, digit_value(code), form);
    if (code >= 0x3041 && code <= 0x3096) return add_weight(kOtherLetter, code, form);
    if (code >= 0x30A1 && code <= 0x30F6) return add_weight(kOtherLetter, code - 0x60, form | kKatakana);
    const bool letter = category <= UTF8PROC_CATEGORY_LO || category == UTF8PROC_CATEGORY_CO;
    if (letter) return add_weight(code < 0x250 ? kLatin : kOtherLetter, code, form);
    if (has(NORM_IGNORESYMBOLS)) return;
    const std::size_t place = code < 0x10000 ? kSymbols.find(static_cast<char16_t>(code)) : kSymbols.npos;
    add_weight(kSymbol, place != kSymbols.npos ? static_cast<char32_t>(place) : 0x80 + code, form);
  }

  /// Digits of all scripts sort by value. In Unicode the ten of a script stand in a row, zero at a multiple
  /// of ten from the first; only their order among each other matters here.
  static char32_t digit_value(char32_t code) {
    if (code < 0x80) return code;
    if (code >= 0x0660 && code <= 0x0669) return U'0' + (code - 0x0660);
    if (code >= 0x06F0 && code <= 0x06F9) return U'0' + (code - 0x06F0);
    return code;
  }

  static const Expansion* find_expansion(char16_t lower) {
    const auto* found = std::ranges::find(kExpansions, lower, &Expansion::letter);
    return found != std::end(kExpansions) ? found : nullptr;
  }

  void expand(const Expansion& expansion, unsigned form) {
    for (const char16_t letter : expansion.as) add_weight(kLatin, letter, form);
    if (expansion.mark != 0 && !ignores_marks()) marks_.back() = static_cast<char>(kPlain + expansion.mark);
  }

  /// Soft hyphens, controls and the like never count on the first three levels; hyphen and apostrophe do not
  /// in word sort.
  [[nodiscard]] bool is_ignorable(char32_t code, utf8proc_category_t category) const {
    if (code >= U'\t' && code <= U'\r') return false;
    if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF) return true;
    return (code == U'-' || code == U'\'') && !has(SORT_STRINGSORT);
  }

  [[nodiscard]] bool ignores_marks() const { return has(NORM_IGNORENONSPACE | LINGUISTIC_IGNOREDIACRITIC); }

  void add_weight(Group group, char32_t weight, unsigned form) {
    if (has(NORM_IGNORECASE | LINGUISTIC_IGNORECASE)) form &= ~static_cast<unsigned>(kUpper);
    if (has(NORM_IGNOREKANATYPE)) form &= ~static_cast<unsigned>(kKatakana);
    letters_.push_back(static_cast<char>(group));
    append_number(letters_, weight);
    marks_.push_back(static_cast<char>(kPlain));
    forms_.push_back(static_cast<char>(form));
  }

  void add_mark(char16_t mark) {
    if (ignores_marks() || marks_.empty()) return;
    const std::size_t place = kMarks.find(mark);
    const unsigned weight = place != kMarks.npos ? 12 + static_cast<unsigned>(place) : 50 + mark % 64u;
    const unsigned sum = static_cast<unsigned char>(marks_.back()) + weight;
    marks_.back() = static_cast<char>(std::min(sum, 255u));
  }

  void add_place(char32_t code) {
    if (code == 0xAD || has(NORM_IGNORESYMBOLS)) return;
    append_number(places_, static_cast<char32_t>(marks_.size()));
    append_number(places_, code);
  }

  /// 21 bits as three bytes, none of them below 2, so that no byte looks like the end of a level.
  static void append_number(std::string& level, char32_t number) {
    for (const unsigned shift : {14u, 7u, 0u})
      level.push_back(static_cast<char>((number >> shift & 0x7F) + 2));
  }

  std::uint32_t flags_;
  std::string letters_;  // first level: group and weight of each letter
  std::string marks_;    // second: one byte for each letter
  std::string forms_;    // third: one byte for each letter
  std::string places_;   // fourth: where ignorable characters stand, and which
};

}  // namespace

std::string sort_key(std::u16string_view text, std::uint32_t flags) {
  KeyWriter writer(flags);
  writer.add(text);
  return writer.finish();
}

int compare(std::u16string_view a, std::u16string_view b, std::uint32_t flags) {
  if (a == b) return 0;
  return sort_key(a, flags).compare(sort_key(b, flags));  // char_traits<char> compares as unsigned bytes
}

}  // namespace bobbin::nls
