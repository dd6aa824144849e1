// UTF-8 and UTF-16: the host speaks the one, Windows the other.
//
// Two pairs of conversions, for two kinds of text:
//
//   to_utf16 / to_utf8             text. What is ill-formed becomes U+FFFD, one for each maximal subpart, as
//                                  Windows and the Unicode standard (3.9, "best practice") have it.
//   name_to_utf16 / name_to_utf8   file names, arguments, environment: not text but keys, which must come
//   back
//                                  as the bytes they were. A host name may be any bytes, a Windows name any
//                                  16-bit units. A lone surrogate is written as its three "WTF-8" bytes; a
//                                  byte that is no UTF-8 is read as the lone surrogate U+DC80..U+DCFF (0xDC00
//                                  + byte). Every host name survives the way to UTF-16 and back, byte for
//                                  byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bobbin::nls {

inline constexpr char32_t kReplacement = 0xFFFD;

[[nodiscard]] constexpr bool is_high_surrogate(char32_t unit) { return (unit & 0xFFFFFC00u) == 0xD800u; }
[[nodiscard]] constexpr bool is_low_surrogate(char32_t unit) { return (unit & 0xFFFFFC00u) == 0xDC00u; }
[[nodiscard]] constexpr bool is_surrogate(char32_t unit) { return (unit & 0xFFFFF800u) == 0xD800u; }

/// One step of reading: the code point and the units it took. Not well-formed: `code` is U+FFFD and `length`
/// the units to skip (at least 1).
struct Decoded {
  char32_t code = kReplacement;
  unsigned length = 1;
  bool well_formed = false;
};

/// Reads the code point at the start of `text`, which is not empty.
[[nodiscard]] Decoded decode(std::string_view text) noexcept;
[[nodiscard]] Decoded decode(std::u16string_view text) noexcept;

/// Writes `code` (at most U+10FFFF; surrogates are written like any other) and answers the units written.
unsigned encode(char32_t code, char (&out)[4]) noexcept;
unsigned encode(char32_t code, char16_t (&out)[2]) noexcept;

/// How many leading units are ASCII.
[[nodiscard]] std::size_t ascii_prefix(std::string_view text) noexcept;
[[nodiscard]] std::size_t ascii_prefix(std::u16string_view text) noexcept;

/// Text; lossy for what is ill-formed.
[[nodiscard]] std::u16string to_utf16(std::string_view text);
[[nodiscard]] std::string to_utf8(std::u16string_view text);

/// Names; lossless (see above).
[[nodiscard]] std::u16string name_to_utf16(std::string_view name);
[[nodiscard]] std::string name_to_utf8(std::u16string_view name);

}  // namespace bobbin::nls
