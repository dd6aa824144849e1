// winbase.h: the old string functions, and MulDiv. They take NULL where C's would crash.
#include <cstdlib>
#include <cstring>

#include "nls/collation.hpp"
#include "nls/utf.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

template <class Char>
int length(const Char* text) {
  return text == nullptr ? 0 : static_cast<int>(std::char_traits<Char>::length(text));
}

int lstrlenA(LPCSTR text) { return length(text); }
int lstrlenW(LPCWSTR text) { return length(text); }

/// NULL sorts before everything else.
int compare_nulls(const void* a, const void* b) { return a == b ? 0 : a == nullptr ? -1 : 1; }

int sign(int order) { return (order > 0) - (order < 0); }

int compare(LPCWSTR a, LPCWSTR b, std::uint32_t flags) {
  if (a == nullptr || b == nullptr) return compare_nulls(a, b);
  return sign(nls::compare(a, b, flags));
}

int compare(LPCSTR a, LPCSTR b, std::uint32_t flags) {
  if (a == nullptr || b == nullptr) return compare_nulls(a, b);
  return sign(nls::compare(nls::to_utf16(a), nls::to_utf16(b), flags));
}

int lstrcmpA(LPCSTR a, LPCSTR b) { return compare(a, b, 0); }
int lstrcmpW(LPCWSTR a, LPCWSTR b) { return compare(a, b, 0); }
int lstrcmpiA(LPCSTR a, LPCSTR b) { return compare(a, b, nls::NORM_IGNORECASE); }
int lstrcmpiW(LPCWSTR a, LPCWSTR b) { return compare(a, b, nls::NORM_IGNORECASE); }

template <class Char>
Char* copy(Char* to, const Char* from) {
  if (to == nullptr || from == nullptr) return nullptr;
  std::memmove(to, from, (std::char_traits<Char>::length(from) + 1) * sizeof(Char));
  return to;
}

LPSTR lstrcpyA(LPSTR to, LPCSTR from) { return copy(to, from); }
LPWSTR lstrcpyW(LPWSTR to, LPCWSTR from) { return copy(to, from); }

/// At most `room` characters with the terminating zero.
template <class Char>
Char* copy_some(Char* to, const Char* from, int room) {
  if (to == nullptr || from == nullptr) return nullptr;
  Char* end = to;
  while (room > 1 && *from != 0) {
    *end++ = *from++;
    --room;
  }
  if (room > 0) *end = 0;
  return to;
}

LPSTR lstrcpynA(LPSTR to, LPCSTR from, int room) { return copy_some(to, from, room); }
LPWSTR lstrcpynW(LPWSTR to, LPCWSTR from, int room) { return copy_some(to, from, room); }

template <class Char>
Char* append(Char* to, const Char* from) {
  if (to == nullptr || from == nullptr) return nullptr;
  copy(to + std::char_traits<Char>::length(to), from);
  return to;
}

LPSTR lstrcatA(LPSTR to, LPCSTR from) { return append(to, from); }
LPWSTR lstrcatW(LPWSTR to, LPCWSTR from) { return append(to, from); }

/// number * numerator / denominator, rounded half away from zero; -1 when there is no such int.
int MulDiv(int number, int numerator, int denominator) {
  if (denominator == 0) return -1;
  const std::int64_t product = static_cast<std::int64_t>(number) * numerator;
  const std::int64_t divisor = std::abs(static_cast<std::int64_t>(denominator));
  const std::int64_t size = (std::abs(product) + divisor / 2) / divisor;
  const std::int64_t result = (product < 0) != (denominator < 0) ? -size : size;
  return result == static_cast<int>(result) ? static_cast<int>(result) : -1;
}

const Export kExports[] = {
    NATIVE(kKernel32, MulDiv),    NATIVE(kKernel32, lstrcatA),  NATIVE(kKernel32, lstrcatW),
    NATIVE(kKernel32, lstrcmpA),  NATIVE(kKernel32, lstrcmpW),  NATIVE(kKernel32, lstrcmpiA),
    NATIVE(kKernel32, lstrcmpiW), NATIVE(kKernel32, lstrcpyA),  NATIVE(kKernel32, lstrcpyW),
    NATIVE(kKernel32, lstrcpynA), NATIVE(kKernel32, lstrcpynW), NATIVE(kKernel32, lstrlenA),
    NATIVE(kKernel32, lstrlenW),
};

}  // namespace

std::span<const Export> winbase_strings_natives() { return kExports; }

}  // namespace bobbin::win32
