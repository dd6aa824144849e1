#include "nls/utf.hpp"

#include <cstdint>
#include <cstring>

namespace bobbin::nls {
namespace {

constexpr char32_t kEscape = 0xDC00;  // U+DC80..U+DCFF stand for a byte of a name that is no UTF-8

/// What a lead byte promises: how many bytes, and the bounds of the second one (which rule out overlong
/// forms, surrogates and what lies beyond U+10FFFF; the Unicode standard's table 3-7).
struct Lead {
  unsigned length;  // 0: no lead byte
  std::uint8_t low;
  std::uint8_t high;
};

constexpr Lead lead(std::uint8_t byte) {
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

constexpr std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

/// The surrogate that `text` starts with in WTF-8 (ED A0..BF 80..BF), or 0.
char32_t encoded_surrogate(std::string_view text) {
  if (text.size() < 3 || byte_at(text, 0) != 0xED) return 0;
  if ((byte_at(text, 1) & 0xE0) != 0xA0 || (byte_at(text, 2) & 0xC0) != 0x80) return 0;
  return 0xD000u | ((byte_at(text, 1) & 0x3Fu) << 6) | (byte_at(text, 2) & 0x3Fu);
}

bool is_escape(char32_t unit) { return unit >= kEscape + 0x80 && unit <= kEscape + 0xFF; }

template <class String>
void append(String& out, char32_t code) {
  if constexpr (sizeof(typename String::value_type) == 1) {
    char units[4];
    out.append(units, encode(code, units));
  } else {
    char16_t units[2];
    out.append(units, encode(code, units));
  }
}

/// Appends the ASCII that `text` starts with and cuts it off.
template <class Out, class In>
void take_ascii(Out& out, In& text) {
  const std::size_t count = ascii_prefix(text);
  const std::size_t before = out.size();
  out.resize(before + count);
  for (std::size_t i = 0; i < count; ++i) out[before + i] = static_cast<typename Out::value_type>(text[i]);
  text.remove_prefix(count);
}

void append_escaped(std::u16string& out, std::string_view bytes) {
  for (const char byte : bytes)
    out.push_back(static_cast<char16_t>(kEscape + static_cast<std::uint8_t>(byte)));
}

/// A low surrogate that stands alone in a name must not meet a high one before it that stands alone too: read
/// back, the two would be one character. High ones at the end are escaped as the three bytes that they were.
void part_from_high_surrogates(std::u16string& out) {
  std::size_t kept = out.size();
  while (kept > 0 && is_high_surrogate(out[kept - 1])) --kept;
  const std::u16string high = out.substr(kept);
  out.resize(kept);
  for (const char16_t unit : high) {
    char bytes[4];
    append_escaped(out, {bytes, encode(unit, bytes)});
  }
}

/// Appends what is ill-formed at the start of `name`, and answers how many bytes that was.
std::size_t take_ill_formed_name(std::u16string& out, std::string_view name) {
  const char32_t surrogate = encoded_surrogate(name);
  const bool would_pair = is_low_surrogate(surrogate) && !out.empty() && is_high_surrogate(out.back());
  if (surrogate != 0 && !is_escape(surrogate) && !would_pair) {
    out.push_back(static_cast<char16_t>(surrogate));
    return 3;
  }
  part_from_high_surrogates(out);
  append_escaped(out, name.substr(0, 1));
  return 1;
}

}  // namespace

Decoded decode(std::string_view text) noexcept {
  const std::uint8_t first = byte_at(text, 0);
  if (first < 0x80) return {first, 1, true};
  const Lead form = lead(first);
  if (form.length == 0) return {};
  char32_t code = first & (0x7Fu >> form.length);
  for (unsigned i = 1; i < form.length; ++i) {
    const std::uint8_t low = i == 1 ? form.low : 0x80;
    const std::uint8_t high = i == 1 ? form.high : 0xBF;
    if (i == text.size() || byte_at(text, i) < low || byte_at(text, i) > high)
      return {kReplacement, i, false};
    code = code << 6 | (byte_at(text, i) & 0x3Fu);
  }
  return {code, form.length, true};
}

Decoded decode(std::u16string_view text) noexcept {
  const char32_t first = text[0];
  if (!is_surrogate(first)) return {first, 1, true};
  if (is_low_surrogate(first) || text.size() < 2 || !is_low_surrogate(text[1])) return {};
  return {0x10000 + ((first & 0x3FF) << 10 | (text[1] & 0x3FFu)), 2, true};
}

unsigned encode(char32_t code, char (&out)[4]) noexcept {
  const auto tail = [&](unsigned shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    out[0] = static_cast<char>(0xC0 | code >> 6);
    out[1] = tail(0);
    return 2;
  }
  if (code < 0x10000) {
    out[0] = static_cast<char>(0xE0 | code >> 12);
    out[1] = tail(6);
    out[2] = tail(0);
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | code >> 18);
  out[1] = tail(12);
  out[2] = tail(6);
  out[3] = tail(0);
  return 4;
}

unsigned encode(char32_t code, char16_t (&out)[2]) noexcept {
  if (code < 0x10000) {
    out[0] = static_cast<char16_t>(code);
    return 1;
  }
  out[0] = static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
  out[1] = static_cast<char16_t>(0xDC00 + (code & 0x3FF));
  return 2;
}

std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  for (std::uint64_t eight; i + 8 <= text.size(); i += 8) {
    std::memcpy(&eight, text.data() + i, 8);
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  while (i < text.size() && byte_at(text, i) < 0x80) ++i;
  return i;
}

std::size_t ascii_prefix(std::u16string_view text) noexcept {
  std::size_t i = 0;
  for (std::uint64_t four; i + 4 <= text.size(); i += 4) {
    std::memcpy(&four, text.data() + i, 8);
    if ((four & 0xFF80FF80FF80FF80u) != 0) break;
  }
  while (i < text.size() && text[i] < 0x80) ++i;
  return i;
}

std::u16string to_utf16(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (take_ascii(out, text); !text.empty(); take_ascii(out, text)) {
    const Decoded next = decode(text);
    append(out, next.code);
    text.remove_prefix(next.length);
  }
  return out;
}

std::string to_utf8(std::u16string_view text) {
  std::string out;
  out.reserve(text.size());
  for (take_ascii(out, text); !text.empty(); take_ascii(out, text)) {
    const Decoded next = decode(text);
    append(out, next.code);
    text.remove_prefix(next.length);
  }
  return out;
}

std::u16string name_to_utf16(std::string_view name) {
  std::u16string out;
  out.reserve(name.size());
  for (take_ascii(out, name); !name.empty(); take_ascii(out, name)) {
    const Decoded next = decode(name);
    if (next.well_formed) append(out, next.code);
    name.remove_prefix(next.well_formed ? next.length : take_ill_formed_name(out, name));
  }
  return out;
}

std::string name_to_utf8(std::u16string_view name) {
  std::string out;
  out.reserve(name.size());
  for (take_ascii(out, name); !name.empty(); take_ascii(out, name)) {
    const Decoded next = decode(name);
    if (next.well_formed) {
      append(out, next.code);
    } else if (is_escape(name[0])) {
      out.push_back(static_cast<char>(char32_t{name[0]} - kEscape));
    } else {
      append(out, name[0]);
    }
    name.remove_prefix(next.length);
  }
  return out;
}

}  // namespace bobbin::nls
