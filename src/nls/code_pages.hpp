// Code pages: the 8-bit character sets that Windows programs name by number.
//
// The ANSI and OEM code pages of a guest are UTF-8 (65001), which Windows offers too: nothing that the host
// or a user says is lost then. Older ones are there for programs that ask for them by number. Their tables
// are glibc's (iconv), read once into arrays, since Windows asks questions of its own (the best fit of a
// character that the page lacks, whether a replacement was used) which iconv does not answer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bobbin::nls {

inline constexpr unsigned kUtf8CodePage = 65001;

class CodePage {
 public:
  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] bool is_utf8() const { return number_ == kUtf8CodePage; }
  /// The most bytes that one character takes.
  [[nodiscard]] unsigned max_char_size() const { return max_char_size_; }
  /// Whether `byte` starts a two-byte character. Never true in UTF-8: Windows does not call that DBCS.
  [[nodiscard]] bool is_lead_byte(std::uint8_t byte) const { return lead_bytes_[byte]; }
  /// What stands for a byte that is no character (U+FFFD, '?', or the page's own choice).
  [[nodiscard]] char16_t default_wide() const { return default_wide_; }

  struct Wide {
    std::u16string text;
    bool lossy = false;  ///< something was no character of this code page
  };
  [[nodiscard]] Wide to_wide(std::string_view text) const;

  struct NarrowOptions {
    /// A character that the page lacks becomes its nearest relative there (a for U+0101), which counts as
    /// converted, not as replaced.
    bool best_fit = true;
    std::string_view replacement = "?";  ///< for what cannot be converted; UTF-8 always uses U+FFFD
  };
  struct Narrow {
    std::string text;
    bool lossy = false;  ///< the replacement was used
  };
  [[nodiscard]] Narrow to_narrow(std::u16string_view text) const { return to_narrow(text, {}); }
  [[nodiscard]] Narrow to_narrow(std::u16string_view text, const NarrowOptions& options) const;

 private:
  friend struct CodePageBuilder;

  [[nodiscard]] std::uint16_t best_fit(char32_t code) const;

  unsigned number_ = kUtf8CodePage;
  unsigned max_char_size_ = 4;
  char16_t default_wide_ = 0xFFFD;
  std::array<bool, 256> lead_bytes_{};
  /// By byte, or by lead byte * 256 + trail byte; kUndefined where there is no character. Empty for UTF-8.
  std::vector<char16_t> to_wide_;
  /// By UTF-16 unit: the byte or the two bytes; 0 where there is none. Empty for UTF-8.
  std::vector<std::uint16_t> to_narrow_;
};

/// The code page of that number, or of CP_ACP (0), CP_OEMCP (1), CP_MACCP (2, refused), CP_THREAD_ACP (3).
/// nullptr for one that we do not have. Thread-safe; the page lives as long as the process.
[[nodiscard]] const CodePage* code_page(unsigned number);

/// UTF-8: the ANSI and the OEM code page.
[[nodiscard]] const CodePage& ansi_code_page();

/// The name that GetCPInfoEx gives, "65001 (UTF-8)".
[[nodiscard]] std::u16string code_page_name(const CodePage& page);

}  // namespace bobbin::nls
