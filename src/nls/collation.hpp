// Sorting text for people: CompareString and sort keys.
//
// Each character has weights on four levels, and two strings are compared level by level: which letter, then
// which marks it bears, then its case and form, and last ("word sort") where hyphens and apostrophes stand,
// so that co-op and coop sort together. A sort key is those levels written one after the other, each ended by
// 01h; comparing strings is comparing their keys byte by byte, so the two can never disagree. One order
// serves all locales (it is the one of English, which most share); it follows Windows' in what it puts before
// what, not in the bytes of its keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::nls {

// The flags of CompareString that change the order; others have no effect on it.
enum CompareFlags : std::uint32_t {
  NORM_IGNORECASE = 0x1,
  NORM_IGNORENONSPACE = 0x2,
  NORM_IGNORESYMBOLS = 0x4,
  SORT_DIGITSASNUMBERS = 0x8,
  LINGUISTIC_IGNORECASE = 0x10,
  LINGUISTIC_IGNOREDIACRITIC = 0x20,
  SORT_STRINGSORT = 0x1000,
  NORM_IGNOREKANATYPE = 0x10000,
  NORM_IGNOREWIDTH = 0x20000,
  NORM_LINGUISTIC_CASING = 0x8000000,
};
inline constexpr std::uint32_t kAllCompareFlags = 0x803103F;

/// The key of `text`: bytes that sort as the text does; the last one is 0.
[[nodiscard]] std::string sort_key(std::u16string_view text, std::uint32_t flags);

/// Below 0, 0 or above 0.
[[nodiscard]] int compare(std::u16string_view a, std::u16string_view b, std::uint32_t flags);

}  // namespace bobbin::nls
