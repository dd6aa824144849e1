// ntdll's _vsnprintf: Microsoft's format language, with the host's snprintf doing the digits.
//
// It differs from C's in the sizes (long is 32 bits; I64, I32, I and w exist), in %S, %C and %Z, in %p
// (sixteen capital digits), and in the result (-1 if the text does not fit, and no NUL if it fits exactly). A
// va_list of Windows is a pointer to 8-byte slots.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "nls/utf.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

/// The arguments, one slot after the other.
class Slots {
 public:
  explicit Slots(const std::uint64_t* slots) : next_(slots) {}
  std::uint64_t number() { return *next_++; }
  int integer() { return static_cast<int>(number()); }
  double real() {
    double value = 0;
    std::memcpy(&value, next_++, sizeof value);
    return value;
  }
  template <class T>
  const T* pointer() {
    return reinterpret_cast<const T*>(number());
  }

 private:
  const std::uint64_t* next_;
};

/// One conversion: %[flags][width][.precision][size]type.
struct Conversion {
  std::string host;     ///< "%", flags, width and precision, as the host's printf takes them
  int precision = -1;   ///< the same precision as a number; -1 if there is none
  unsigned bits = 32;   ///< of an integer argument
  bool wide = false;    ///< l or w before s or c
  bool narrow = false;  ///< h before s or c
  char type = 0;
};

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// A number as it stands, or `*` and the next argument.
int parse_count(std::string_view& text, Slots& arguments) {
  if (take(text, "*")) return arguments.integer();
  int value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

void parse_size(std::string_view& text, Conversion& conversion) {
  if (take(text, "I64") || take(text, "ll") || take(text, "j")) {
    conversion.bits = 64;
  } else if (take(text, "I32")) {
    conversion.bits = 32;
  } else if (take(text, "I") || take(text, "z") || take(text, "t")) {
    conversion.bits = 64;
  } else if (take(text, "l") || take(text, "w")) {
    conversion.wide = true;
  } else if (take(text, "hh")) {
    conversion.bits = 8;
  } else if (take(text, "h")) {
    conversion.bits = 16;
    conversion.narrow = true;
  } else {
    take(text, "L");
  }
}

/// `text` stands behind the %.
Conversion parse(std::string_view& text, Slots& arguments) {
  Conversion conversion;
  conversion.host = "%";
  while (!text.empty() && std::strchr("-+ #0", text.front()) != nullptr) {
    conversion.host += text.front();
    text.remove_prefix(1);
  }
  if (const int width = parse_count(text, arguments); width != 0) conversion.host += std::to_string(width);
  if (take(text, ".")) {
    conversion.precision = parse_count(text, arguments);
    if (conversion.precision >= 0) conversion.host.append(".").append(std::to_string(conversion.precision));
  }
  parse_size(text, conversion);
  if (!text.empty()) {
    conversion.type = text.front();
    text.remove_prefix(1);
  }
  return conversion;
}

/// Appends what the host's printf makes of one argument.
template <class T>
void append(std::string& out, const std::string& format, T value) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int size = std::snprintf(nullptr, 0, format.c_str(), value);
  if (size <= 0) return;
  const std::size_t before = out.size();
  out.resize(before + static_cast<std::size_t>(size) + 1);
  std::snprintf(out.data() + before, static_cast<std::size_t>(size) + 1, format.c_str(), value);
  out.pop_back();
#pragma GCC diagnostic pop
}

void append_signed(std::string& out, const Conversion& conversion, std::uint64_t value) {
  const unsigned unused = 64 - conversion.bits;
  append(out, conversion.host + "lld", static_cast<long long>(value << unused) >> unused);
}

void append_unsigned(std::string& out, const Conversion& conversion, std::uint64_t value) {
  const unsigned unused = 64 - conversion.bits;
  append(out, conversion.host + "ll" + conversion.type,
         static_cast<unsigned long long>(value << unused >> unused));
}

void append_narrow(std::string& out, const Conversion& conversion, const char* text) {
  append(out, conversion.host + "s", text != nullptr ? text : "(null)");
}

/// A precision counts 16-bit characters, and the text need not end where it does.
void append_wide(std::string& out, const Conversion& conversion, const char16_t* text) {
  if (text == nullptr) return append_narrow(out, conversion, nullptr);
  std::size_t size = 0;
  while ((conversion.precision < 0 || size < static_cast<std::size_t>(conversion.precision)) &&
         text[size] != 0) {
    ++size;
  }
  const std::string format = conversion.host.substr(0, conversion.host.find('.')) + "s";
  append(out, format, nls::to_utf8(std::u16string_view(text, size)).c_str());
}

void append_character(std::string& out, const Conversion& conversion, bool wide, std::uint64_t value) {
  if (!wide) return append(out, conversion.host + "c", static_cast<int>(value));
  const char16_t text[] = {static_cast<char16_t>(value), 0};
  append_wide(out, conversion, text);
}

void convert(std::string& out, const Conversion& conversion, Slots& arguments) {
  switch (conversion.type) {
    case 'd':
    case 'i':
      return append_signed(out, conversion, arguments.number());
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      return append_unsigned(out, conversion, arguments.number());
    case 'p':
      return append(out, "%016llX", static_cast<unsigned long long>(arguments.number()));
    case 'c':
      return append_character(out, conversion, conversion.wide, arguments.number());
    case 'C':
      return append_character(out, conversion, !conversion.narrow, arguments.number());
    case 's':
      return conversion.wide ? append_wide(out, conversion, arguments.pointer<char16_t>())
                             : append_narrow(out, conversion, arguments.pointer<char>());
    case 'S':
      return conversion.narrow ? append_narrow(out, conversion, arguments.pointer<char>())
                               : append_wide(out, conversion, arguments.pointer<char16_t>());
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
      return append(out, conversion.host + conversion.type, arguments.real());
    case 0:
      return;
    default:
      out += conversion.type;  // %% and what nobody knows
  }
}

std::string format_all(std::string_view format, Slots arguments) {
  std::string out;
  while (!format.empty()) {
    const std::size_t plain = std::min(format.find('%'), format.size());
    out += format.substr(0, plain);
    format.remove_prefix(plain);
    if (take(format, "%")) convert(out, parse(format, arguments), arguments);
  }
  return out;
}

int _vsnprintf(char* buffer, SIZE_T size, const char* format, const std::uint64_t* arguments) {
  const std::string text = format_all(format, Slots(arguments));
  if (buffer != nullptr) std::memcpy(buffer, text.data(), std::min<SIZE_T>(text.size(), size));
  if (buffer != nullptr && text.size() < size) buffer[text.size()] = 0;
  return text.size() <= size || buffer == nullptr ? static_cast<int>(text.size()) : -1;
}

const Export kExports[] = {NATIVE(kNtdll, _vsnprintf)};

}  // namespace

std::span<const Export> ntcrt_printf_natives() { return kExports; }

}  // namespace bobbin::win32
