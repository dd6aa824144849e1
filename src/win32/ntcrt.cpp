// The C functions that ntdll exports. Letters are ASCII's, as in ntdll's own ("C" locale), and a wide
// character is 16 bits, so the host's wcs... functions are of no use.
//
// They are leaves: no lock, no memory taken, so a thread may be stopped in them as in guest code, and a bad
// pointer faults as it would there. _vsnprintf and _snprintf are not, and stand in ntcrt_printf.cpp.
#include <cstring>

#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- bytes and strings of char ---------------------------------------------------------------------------

BOBBIN_MS_ABI void* memchr(const void* bytes, int byte, SIZE_T size) {
  return const_cast<void*>(std::memchr(bytes, byte, size));
}
BOBBIN_MS_ABI int memcmp(const void* a, const void* b, SIZE_T size) { return std::memcmp(a, b, size); }
// Guests rely on memcpy moving overlapping bytes rightly: Microsoft's does.
BOBBIN_MS_ABI void* memcpy(void* to, const void* from, SIZE_T size) { return std::memmove(to, from, size); }
BOBBIN_MS_ABI void* memmove(void* to, const void* from, SIZE_T size) { return std::memmove(to, from, size); }
BOBBIN_MS_ABI void* memset(void* to, int byte, SIZE_T size) { return std::memset(to, byte, size); }

BOBBIN_MS_ABI char* strcat(char* to, const char* from) { return std::strcat(to, from); }
BOBBIN_MS_ABI char* strchr(const char* text, int c) { return const_cast<char*>(std::strchr(text, c)); }
BOBBIN_MS_ABI int strcmp(const char* a, const char* b) { return std::strcmp(a, b); }
BOBBIN_MS_ABI char* strcpy(char* to, const char* from) { return std::strcpy(to, from); }
BOBBIN_MS_ABI SIZE_T strlen(const char* text) { return std::strlen(text); }
BOBBIN_MS_ABI int strncmp(const char* a, const char* b, SIZE_T size) { return std::strncmp(a, b, size); }
BOBBIN_MS_ABI char* strrchr(const char* text, int c) { return const_cast<char*>(std::strrchr(text, c)); }
BOBBIN_MS_ABI char* strstr(const char* text, const char* part) {
  return const_cast<char*>(std::strstr(text, part));
}
BOBBIN_MS_ABI char* strncpy(char* to, const char* from, SIZE_T size) {
  const SIZE_T length = ::strnlen(from, size);
  std::memcpy(to, from, length);
  std::memset(to + length, 0, size - length);
  return to;
}

// ---- letters ---------------------------------------------------------------------------------------------

constexpr int lower(int c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }
constexpr int upper(int c) { return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c; }
constexpr int as_number(char c) { return static_cast<unsigned char>(c); }
constexpr int as_number(char16_t c) { return c; }

BOBBIN_MS_ABI int tolower(int c) { return lower(c); }
BOBBIN_MS_ABI int toupper(int c) { return upper(c); }

/// Below, at, or above 0, as `a` stands before, with, or after `b`; at most `size` characters are looked at.
template <class Char>
int compare_folded(const Char* a, const Char* b, SIZE_T size) {
  for (SIZE_T i = 0; i < size; ++i) {
    const int left = lower(as_number(a[i]));
    const int right = lower(as_number(b[i]));
    if (left != right || left == 0) return left - right;
  }
  return 0;
}

BOBBIN_MS_ABI int _stricmp(const char* a, const char* b) { return compare_folded(a, b, ~SIZE_T{0}); }
BOBBIN_MS_ABI int _strnicmp(const char* a, const char* b, SIZE_T size) { return compare_folded(a, b, size); }
BOBBIN_MS_ABI int _wcsicmp(const WCHAR* a, const WCHAR* b) { return compare_folded(a, b, ~SIZE_T{0}); }
BOBBIN_MS_ABI int _wcsnicmp(const WCHAR* a, const WCHAR* b, SIZE_T size) {
  return compare_folded(a, b, size);
}

// ---- strings of 16-bit characters ------------------------------------------------------------------------

SIZE_T length(const WCHAR* text) {
  const WCHAR* end = text;
  while (*end != 0) ++end;
  return static_cast<SIZE_T>(end - text);
}

BOBBIN_MS_ABI SIZE_T wcslen(const WCHAR* text) { return length(text); }

BOBBIN_MS_ABI WCHAR* wcscpy(WCHAR* to, const WCHAR* from) {
  std::memcpy(to, from, (length(from) + 1) * sizeof(WCHAR));
  return to;
}

BOBBIN_MS_ABI WCHAR* wcscat(WCHAR* to, const WCHAR* from) {
  std::memcpy(to + length(to), from, (length(from) + 1) * sizeof(WCHAR));
  return to;
}

BOBBIN_MS_ABI int wcscmp(const WCHAR* a, const WCHAR* b) {
  while (*a == *b && *a != 0) ++a, ++b;
  return *a < *b ? -1 : *a > *b;
}

BOBBIN_MS_ABI WCHAR* wcschr(const WCHAR* text, WCHAR c) {
  for (; *text != c; ++text) {
    if (*text == 0) return nullptr;
  }
  return const_cast<WCHAR*>(text);
}

BOBBIN_MS_ABI WCHAR* wcsrchr(const WCHAR* text, WCHAR c) {
  const WCHAR* last = nullptr;
  for (;; ++text) {
    if (*text == c) last = text;
    if (*text == 0) return const_cast<WCHAR*>(last);
  }
}

BOBBIN_MS_ABI WCHAR* wcsstr(const WCHAR* text, const WCHAR* part) {
  const SIZE_T size = length(part);
  for (SIZE_T left = length(text); left >= size; --left, ++text) {
    if (std::memcmp(text, part, size * sizeof(WCHAR)) == 0) return const_cast<WCHAR*>(text);
  }
  return nullptr;
}

const Export kExports[] = {
    HOT(kNtdll, _stricmp), HOT(kNtdll, _strnicmp), HOT(kNtdll, _wcsicmp), HOT(kNtdll, _wcsnicmp),
    HOT(kNtdll, memchr),   HOT(kNtdll, memcmp),    HOT(kNtdll, memcpy),   HOT(kNtdll, memmove),
    HOT(kNtdll, memset),   HOT(kNtdll, strcat),    HOT(kNtdll, strchr),   HOT(kNtdll, strcmp),
    HOT(kNtdll, strcpy),   HOT(kNtdll, strlen),    HOT(kNtdll, strncmp),  HOT(kNtdll, strncpy),
    HOT(kNtdll, strrchr),  HOT(kNtdll, strstr),    HOT(kNtdll, tolower),  HOT(kNtdll, toupper),
    HOT(kNtdll, wcscat),   HOT(kNtdll, wcschr),    HOT(kNtdll, wcscmp),   HOT(kNtdll, wcscpy),
    HOT(kNtdll, wcslen),   HOT(kNtdll, wcsrchr),   HOT(kNtdll, wcsstr),
};

}  // namespace

std::span<const Export> ntcrt_natives() { return kExports; }

}  // namespace bobbin::win32
