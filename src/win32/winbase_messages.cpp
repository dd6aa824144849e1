// winbase.h: FormatMessage. Where the text comes from, where the values come from, where the result goes; how
// it is put together is nls' (messages.hpp).
#include <cstdio>
#include <expected>

#include "abi/status.hpp"
#include "memory/heaps.hpp"
#include "nls/messages.hpp"
#include "nls/utf.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD {
  FORMAT_MESSAGE_MAX_WIDTH_MASK = 0xFF,
  FORMAT_MESSAGE_ALLOCATE_BUFFER = 0x100,
  FORMAT_MESSAGE_IGNORE_INSERTS = 0x200,
  FORMAT_MESSAGE_FROM_STRING = 0x400,
  FORMAT_MESSAGE_FROM_HMODULE = 0x800,
  FORMAT_MESSAGE_FROM_SYSTEM = 0x1000,
  FORMAT_MESSAGE_ARGUMENT_ARRAY = 0x2000,
};

nls::MessageLayout layout_of(DWORD flags) {
  const DWORD width = flags & FORMAT_MESSAGE_MAX_WIDTH_MASK;
  return {.keep_inserts = (flags & FORMAT_MESSAGE_IGNORE_INSERTS) != 0,
          .keep_line_breaks = width == 0,
          .width = width == FORMAT_MESSAGE_MAX_WIDTH_MASK ? 0 : width};
}

/// The guest's values: an array of 8-byte words, which is also what a va_list of Win64 points at.
struct Values {
  const std::uint64_t* words = nullptr;
  bool narrow = false;  ///< a plain %1 is a char string (FormatMessageA)
};

std::u16string string_at(std::uint64_t word, bool narrow) {
  if (word == 0) return u"(null)";
  return narrow ? nls::to_utf16(reinterpret_cast<LPCSTR>(word))
                : std::u16string(reinterpret_cast<LPCWSTR>(word));
}

/// One printf conversion, taken apart: flags and numbers as they stand, the size prefix, the letter.
struct Conversion {
  std::string layout;  ///< "-08.3"; a `*` is replaced by its number
  std::u16string size;
  char16_t letter = u's';
};

Conversion parse(std::u16string_view format, const std::uint64_t* words, unsigned& place) {
  Conversion out;
  std::size_t i = 0;
  for (; i < format.size() && std::u16string_view(u"-+ #0123456789.*").contains(format[i]); ++i) {
    if (format[i] == u'*')
      out.layout += std::to_string(static_cast<int>(words[place++]));
    else
      out.layout.push_back(static_cast<char>(format[i]));
  }
  for (; i + 1 < format.size(); ++i) out.size.push_back(format[i]);
  if (i < format.size()) out.letter = format[i];
  return out;
}

std::u16string padded(const std::u16string& text, const std::string& layout) {
  int width = 0;
  int most = -1;
  const bool left = layout.starts_with('-');
  const char* numbers = layout.c_str() + (left ? 1 : 0);
  if (std::sscanf(numbers, "%d.%d", &width, &most) == 0) (void)std::sscanf(numbers, ".%d", &most);
  std::u16string out = most >= 0 ? text.substr(0, static_cast<std::size_t>(most)) : text;
  const std::size_t room = static_cast<std::size_t>(std::max(width, 0));
  const std::u16string blanks(room > out.size() ? room - out.size() : 0, u' ');
  return left ? out + blanks : blanks + out;
}

bool is_string_narrow(const Conversion& how, bool narrow) {
  if (how.size == u"h") return true;
  if (how.size == u"l" || how.size == u"w") return false;
  return how.letter == u'S' || how.letter == u'C' ? !narrow : narrow;
}

std::u16string number(const Conversion& how, std::uint64_t word) {
  const bool wide = how.size == u"I64" || how.size == u"ll" || how.size == u"I" || how.letter == u'p';
  const bool is_signed = how.letter == u'd' || how.letter == u'i';
  const std::string format =
      "%" + how.layout + "ll" + static_cast<char>(how.letter == u'p' ? u'X' : how.letter);
  const std::uint64_t value = wide        ? word
                              : is_signed ? static_cast<std::uint64_t>(static_cast<std::int32_t>(word))
                                          : static_cast<std::uint32_t>(word);
  char out[128];
  (void)std::snprintf(out, sizeof out, format.c_str(), static_cast<unsigned long long>(value));
  return nls::to_utf16(out);
}

std::u16string write_value(const nls::Insert& insert, const Values& values) {
  unsigned place = insert.place;
  const Conversion how = parse(insert.format, values.words, place);
  const std::uint64_t word = values.words[place];
  switch (how.letter) {
    case u'd':
    case u'i':
    case u'u':
    case u'x':
    case u'X':
    case u'o':
      return number(how, word);
    case u'p':
      return number({.layout = "016", .size = how.size, .letter = how.letter}, word);
    case u'c':
    case u'C': {
      const char character = static_cast<char>(word);
      const bool narrow = is_string_narrow(how, values.narrow);
      return padded(narrow ? nls::to_utf16({&character, 1}) : std::u16string(1, static_cast<char16_t>(word)),
                    how.layout);
    }
    default:
      return padded(string_at(word, is_string_narrow(how, values.narrow)), how.layout);
  }
}

/// The text before values are put in, or the error number.
std::expected<std::u16string, DWORD> source_text(DWORD flags, const void* source, DWORD id, bool narrow) {
  if (flags & FORMAT_MESSAGE_FROM_STRING) {
    if (source == nullptr) return std::unexpected(ERROR_INVALID_PARAMETER);
    return string_at(reinterpret_cast<std::uint64_t>(source), narrow);
  }
  if ((flags & (FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_FROM_HMODULE)) == 0) {
    return std::unexpected(ERROR_INVALID_PARAMETER);
  }
  // A module's own message table is not read; the system's texts stand in where the caller allows it.
  const auto text = (flags & FORMAT_MESSAGE_FROM_SYSTEM) ? nls::system_message(id) : std::nullopt;
  if (!text) return std::unexpected(ERROR_MR_MID_NOT_FOUND);
  return nls::to_utf16(*text) + u"\r\n";
}

std::expected<std::u16string, DWORD> message(DWORD flags, const void* source, DWORD id, const void* arguments,
                                             bool narrow) {
  const auto text = source_text(flags, source, id, narrow);
  if (!text) return text;
  nls::MessageLayout layout = layout_of(flags);
  if (arguments == nullptr && (flags & FORMAT_MESSAGE_FROM_STRING) == 0) layout.keep_inserts = true;
  Values values{.words = nullptr, .narrow = narrow};
  if (arguments != nullptr) {
    values.words = (flags & FORMAT_MESSAGE_ARGUMENT_ARRAY)
                       ? static_cast<const std::uint64_t*>(arguments)
                       : *static_cast<const std::uint64_t* const*>(arguments);
  }
  bool missing = false;
  auto formatted = nls::format_message(*text, layout, [&](const nls::Insert& insert) {
    missing = missing || values.words == nullptr;
    return values.words == nullptr ? std::u16string() : write_value(insert, values);
  });
  if (missing) return std::unexpected(ERROR_INVALID_PARAMETER);
  return formatted;
}

/// To the caller's buffer, or to a new one whose address goes where the caller's pointer points.
template <class Char>
DWORD deliver_message(const std::basic_string<Char>& text, DWORD flags, Char* out, DWORD room) {
  if (flags & FORMAT_MESSAGE_ALLOCATE_BUFFER) {
    memory::Heaps& heaps = services().heaps;
    const std::size_t size = std::max<std::size_t>(text.size() + 1, room) * sizeof(Char);
    auto* const buffer =
        static_cast<Char*>(heaps.find(heaps.process_heap())->allocate(size, {.zeroed = true}));
    *reinterpret_cast<Char**>(out) = buffer;
    if (buffer == nullptr) return failed<DWORD>(ERROR_NOT_ENOUGH_MEMORY);
    out = buffer;
    room = static_cast<DWORD>(text.size() + 1);
  }
  if (text.size() >= room) return failed<DWORD>(ERROR_INSUFFICIENT_BUFFER);
  return deliver_terminated(std::basic_string_view<Char>(text), out, room);
}

DWORD FormatMessageW(DWORD flags, LPCVOID source, DWORD id, DWORD, LPWSTR out, DWORD room,
                     const void* arguments) {
  if (out == nullptr) return failed<DWORD>(ERROR_INVALID_PARAMETER);
  const auto text = message(flags, source, id, arguments, false);
  return text ? deliver_message(*text, flags, out, room) : failed<DWORD>(text.error());
}

DWORD FormatMessageA(DWORD flags, LPCVOID source, DWORD id, DWORD, LPSTR out, DWORD room,
                     const void* arguments) {
  if (out == nullptr) return failed<DWORD>(ERROR_INVALID_PARAMETER);
  const auto text = message(flags, source, id, arguments, true);
  return text ? deliver_message(nls::to_utf8(*text), flags, out, room) : failed<DWORD>(text.error());
}

const Export kExports[] = {
    NATIVE(kKernel32, FormatMessageA),
    NATIVE(kKernel32, FormatMessageW),
};

}  // namespace

std::span<const Export> winbase_messages_natives() { return kExports; }

}  // namespace bobbin::win32
