// Characters with marks, as one code point or as several.
#pragma once

#include <string>
#include <string_view>

namespace bobbin::nls {

/// Unicode's forms C and D. Lone surrogates become U+FFFD.
[[nodiscard]] std::u16string compose(std::u16string_view text);
[[nodiscard]] std::u16string decompose(std::u16string_view text);

}  // namespace bobbin::nls
