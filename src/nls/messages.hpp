// The system's texts for Win32 error numbers, and FormatMessage's language for putting values into texts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bobbin::nls {

/// The text for a Win32 error number, or for an HRESULT that wraps one (8007xxxxh), without a line end;
/// nothing for a number that has none here.
[[nodiscard]] std::optional<std::string_view> system_message(std::uint32_t number);

/// How FormatMessage lays text out.
struct MessageLayout {
  bool keep_inserts = false;  ///< leave %1 and the like as they are
  bool keep_line_breaks = true;
  unsigned width = 0;  ///< break lines before they get longer; 0: never
};

/// One value that a text asks for: its place in the arguments (from 0), and how to write it in the manner of
/// printf ("s", "08X"), empty for a plain string.
struct Insert {
  unsigned place;
  std::u16string_view format;
};

/// Replaces %1..%99 (with !format! after it), %n, %r, %t, %b, %0, %% and %. in `text`. `value` writes an
/// insert.
[[nodiscard]] std::u16string format_message(std::u16string_view text, const MessageLayout& layout,
                                            const std::function<std::u16string(const Insert&)>& value);

}  // namespace bobbin::nls
