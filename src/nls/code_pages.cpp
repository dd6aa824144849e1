#include "nls/code_pages.hpp"

#include <iconv.h>
#include <utf8proc.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

constexpr char16_t kUndefined = 0xFFFF;  // a noncharacter, so no page maps to it

struct Row {
  unsigned number;
  const char* host_name;  // as iconv knows it
  const char16_t* title;
  bool double_byte = false;
};

constexpr Row kRows[] = {
    {437, "CP437", u"OEM - United States"},
    {737, "CP737", u"OEM - Greek 437G"},
    {775, "CP775", u"OEM - Baltic"},
    {850, "CP850", u"OEM - Multilingual Latin I"},
    {852, "CP852", u"OEM - Latin II"},
    {855, "CP855", u"OEM - Cyrillic"},
    {857, "CP857", u"OEM - Turkish"},
    {858, "CP858", u"OEM - Multilingual Latin I + Euro"},
    {860, "CP860", u"OEM - Portuguese"},
    {861, "CP861", u"OEM - Icelandic"},
    {862, "CP862", u"OEM - Hebrew"},
    {863, "CP863", u"OEM - Canadian French"},
    {864, "CP864", u"OEM - Arabic"},
    {865, "CP865", u"OEM - Nordic"},
    {866, "CP866", u"OEM - Russian"},
    {869, "CP869", u"OEM - Modern Greek"},
    {874, "CP874", u"ANSI/OEM - Thai"},
    {932, "CP932", u"ANSI/OEM - Japanese Shift-JIS", true},
    {936, "GBK", u"ANSI/OEM - Simplified Chinese GBK", true},
    {949, "UHC", u"ANSI/OEM - Korean", true},
    {950, "BIG5", u"ANSI/OEM - Traditional Chinese Big5", true},
    {1250, "CP1250", u"ANSI - Central Europe"},
    {1251, "CP1251", u"ANSI - Cyrillic"},
    {1252, "CP1252", u"ANSI - Latin I"},
    {1253, "CP1253", u"ANSI - Greek"},
    {1254, "CP1254", u"ANSI - Turkish"},
    {1255, "CP1255", u"ANSI - Hebrew"},
    {1256, "CP1256", u"ANSI - Arabic"},
    {1257, "CP1257", u"ANSI - Baltic"},
    {1258, "CP1258", u"ANSI/OEM - Viet Nam"},
    {20127, "US-ASCII", u"US-ASCII"},
    {20866, "KOI8-R", u"Russian - KOI8"},
    {21866, "KOI8-U", u"Ukrainian - KOI8-U"},
    {28591, "ISO-8859-1", u"ISO 8859-1 Latin I"},
    {28592, "ISO-8859-2", u"ISO 8859-2 Central Europe"},
    {28593, "ISO-8859-3", u"ISO 8859-3 Latin 3"},
    {28594, "ISO-8859-4", u"ISO 8859-4 Baltic"},
    {28595, "ISO-8859-5", u"ISO 8859-5 Cyrillic"},
    {28596, "ISO-8859-6", u"ISO 8859-6 Arabic"},
    {28597, "ISO-8859-7", u"ISO 8859-7 Greek"},
    {28598, "ISO-8859-8", u"ISO 8859-8 Hebrew: Visual Ordering"},
    {28599, "ISO-8859-9", u"ISO 8859-9 Latin 5"},
    {28603, "ISO-8859-13", u"ISO 8859-13 Estonian"},
    {28605, "ISO-8859-15", u"ISO 8859-15 Latin 9"},
    {65001, nullptr, u"UTF-8"},
};

const Row* find_row(unsigned number) {
  const auto* row = std::ranges::lower_bound(kRows, number, {}, &Row::number);
  return row != std::end(kRows) && row->number == number ? row : nullptr;
}

/// An open iconv descriptor.
class Iconv {
 public:
  explicit Iconv(const char* from) : handle_(iconv_open("UTF-16LE", from)) {}
  ~Iconv() {
    if (is_open()) iconv_close(handle_);
  }
  Iconv(const Iconv&) = delete;
  Iconv& operator=(const Iconv&) = delete;

  [[nodiscard]] bool is_open() const { return handle_ != reinterpret_cast<iconv_t>(-1); }

  /// The one UTF-16 unit that these bytes stand for.
  std::optional<char16_t> unit(std::span<char> bytes) {
    char16_t out[4];
    char* in = bytes.data();
    char* to = reinterpret_cast<char*>(out);
    std::size_t left = bytes.size();
    std::size_t room = sizeof out;
    iconv(handle_, nullptr, nullptr, nullptr, nullptr);
    if (iconv(handle_, &in, &left, &to, &room) == std::size_t(-1)) return std::nullopt;
    iconv(handle_, nullptr, nullptr, &to, &room);  // some converters hold a character back
    if (room != sizeof out - sizeof(char16_t)) return std::nullopt;
    return out[0];
  }

 private:
  iconv_t handle_;
};

bool is_lead_byte(unsigned number, unsigned byte) {
  switch (number) {
    case 932:
      return (byte >= 0x81 && byte <= 0x9F) || (byte >= 0xE0 && byte <= 0xFC);
    case 936:
    case 949:
    case 950:
      return byte >= 0x81 && byte <= 0xFE;
    default:
      return false;
  }
}

/// Decomposes `code` to its base character without marks, and in the plain form where it is a presentation
/// form.
std::optional<char32_t> base_character(char32_t code) {
  utf8proc_int32_t out[32];
  int boundary = 0;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STRIPMARK);
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), out, 32, options, &boundary);
  if (count != 1) return std::nullopt;
  return static_cast<char32_t>(out[0]);
}

void append_character(std::string& out, std::uint16_t character) {
  if (character > 0xFF) out.push_back(static_cast<char>(character >> 8));
  out.push_back(static_cast<char>(character & 0xFF));
}

}  // namespace

/// Fills a CodePage's tables.
struct CodePageBuilder {
  static std::unique_ptr<CodePage> build(const Row& row) {
    auto page = std::make_unique<CodePage>();
    page->number_ = row.number;
    if (row.host_name == nullptr) return page;
    Iconv host(row.host_name);
    if (!host.is_open()) return nullptr;
    page->max_char_size_ = row.double_byte ? 2 : 1;
    page->default_wide_ = row.number == 932 ? 0x30FB : u'?';
    page->to_wide_.assign(row.double_byte ? 0x10000 : 0x100, kUndefined);
    page->to_narrow_.assign(0x10000, 0);
    for (unsigned byte = 0; byte < 0x100; ++byte) add_byte(*page, host, byte);
    return page;
  }

 private:
  static void add_byte(CodePage& page, Iconv& host, unsigned byte) {
    page.lead_bytes_[byte] = nls::is_lead_byte(page.number_, byte);
    if (page.lead_bytes_[byte]) {
      for (unsigned trail = 0x40; trail < 0xFF; ++trail) add_pair(page, host, byte, trail);
      return;
    }
    char bytes[] = {static_cast<char>(byte)};
    std::optional<char16_t> unit = host.unit(bytes);
    // Windows leaves no hole among the controls: 81h of 1252, which has no character there, is U+0081.
    if (!unit && byte < 0xA0 && page.number_ != 20127) unit = static_cast<char16_t>(byte);
    // In US-ASCII Windows drops the eighth bit.
    if (!unit && page.number_ == 20127) unit = static_cast<char16_t>(byte & 0x7F);
    if (unit) add(page, byte, *unit);
  }

  static void add_pair(CodePage& page, Iconv& host, unsigned byte, unsigned trail) {
    char bytes[] = {static_cast<char>(byte), static_cast<char>(trail)};
    if (const auto unit = host.unit(bytes)) add(page, byte << 8 | trail, *unit);
  }

  static void add(CodePage& page, unsigned character, char16_t unit) {
    page.to_wide_[character] = unit;
    if (page.to_narrow_[unit] == 0) page.to_narrow_[unit] = static_cast<std::uint16_t>(character);
  }
};

namespace {

/// A U+FFFD in converted text says nothing: it may have been there before.
bool is_well_formed(auto text) {
  while (true) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const Decoded next = decode(text);
    if (!next.well_formed) return false;
    text.remove_prefix(next.length);
  }
}

}  // namespace

CodePage::Wide CodePage::to_wide(std::string_view text) const {
  if (is_utf8()) return {to_utf16(text), !is_well_formed(text)};
  Wide out;
  out.text.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned character = static_cast<std::uint8_t>(text[i]);
    const bool pair = lead_bytes_[character];
    // A lead byte at the end, or before a zero, stands for nothing; the zero is kept.
    const bool cut = pair && (i + 1 == text.size() || text[i + 1] == 0);
    if (pair && !cut) character = character << 8 | static_cast<std::uint8_t>(text[++i]);
    const char16_t unit = cut ? kUndefined : to_wide_[character];
    out.lossy |= unit == kUndefined;
    out.text.push_back(unit == kUndefined ? default_wide_ : unit);
  }
  return out;
}

CodePage::Narrow CodePage::to_narrow(std::u16string_view text, const NarrowOptions& options) const {
  if (is_utf8()) return {to_utf8(text), !is_well_formed(text)};
  Narrow out;
  out.text.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode(text);
    const char32_t code = next.well_formed ? next.code : char32_t{text[0]};
    text.remove_prefix(next.length);
    std::uint16_t character = code < 0x10000 ? to_narrow_[code] : std::uint16_t{0};
    if (character == 0 && code != 0 && options.best_fit && next.well_formed) character = best_fit(code);
    if (character != 0 || code == 0) {
      append_character(out.text, character);
    } else {
      out.text.append(options.replacement);
      out.lossy = true;
    }
  }
  return out;
}

std::uint16_t CodePage::best_fit(char32_t code) const {
  const auto base = base_character(code);
  return base && *base < 0x10000 ? to_narrow_[*base] : std::uint16_t{0};
}

const CodePage& ansi_code_page() {
  static const CodePage utf8;
  return utf8;
}

const CodePage* code_page(unsigned number) {
  if (number == 0 || number == 1 || number == 3 || number == kUtf8CodePage) return &ansi_code_page();
  const Row* row = find_row(number);
  if (row == nullptr) return nullptr;
  static std::mutex mutex;  // guards `pages`; a page, once there, is never changed
  static std::map<unsigned, std::unique_ptr<CodePage>> pages;
  const std::scoped_lock lock(mutex);
  auto [place, is_new] = pages.try_emplace(number);
  if (is_new) place->second = CodePageBuilder::build(*row);
  return place->second.get();
}

std::u16string code_page_name(const CodePage& page) {
  std::u16string number = to_utf16(std::to_string(page.number()));
  number.resize(std::max<std::size_t>(number.size(), 5), u' ');
  return number + u" (" + find_row(page.number())->title + u")";
}

}  // namespace bobbin::nls
