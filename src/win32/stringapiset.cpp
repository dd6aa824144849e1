// stringapiset.h: text between code pages and UTF-16, comparison, character types; and ntdll's converters.
#include "abi/status.hpp"
#include "nls/characters.hpp"
#include "nls/code_pages.hpp"
#include "nls/collation.hpp"
#include "nls/locale.hpp"
#include "nls/normalization.hpp"
#include "nls/utf.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD {
  MB_PRECOMPOSED = 0x1,
  MB_COMPOSITE = 0x2,
  MB_ERR_INVALID_CHARS = 0x8,
  WC_DISCARDNS = 0x10,
  WC_SEPCHARS = 0x20,
  WC_DEFAULTCHAR = 0x40,
  WC_ERR_INVALID_CHARS = 0x80,
  WC_COMPOSITECHECK = 0x200,
  WC_NO_BEST_FIT_CHARS = 0x400,
};
enum : int { CSTR_LESS_THAN = 1, CSTR_EQUAL = 2, CSTR_GREATER_THAN = 3 };
enum : DWORD { LOCALE_USE_CP_ACP = 0x40000000, SORT_FLAG_IGNORED = 0x10000000 };

bool is_pair_wrong(const void* from, int length, const void* to, int room) {
  return from == nullptr || length == 0 || room < 0 || (room != 0 && (to == nullptr || to == from));
}

// The ANSI code page is UTF-8, so flags and default characters that only make sense elsewhere are accepted
// for it and change nothing: programs pass them along with CP_ACP. (Windows refuses some of them for
// CP_UTF8.)

int MultiByteToWideChar(UINT code_page, DWORD flags, LPCSTR text, INT length, LPWSTR out, INT room) {
  if (is_pair_wrong(text, length, out, room)) return failed(ERROR_INVALID_PARAMETER);
  const nls::CodePage* page = nls::code_page(code_page);
  if (page == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (flags & ~(MB_PRECOMPOSED | MB_COMPOSITE | MB_ERR_INVALID_CHARS)) return failed(ERROR_INVALID_FLAGS);
  auto wide = page->to_wide(text_with_end(text, length));
  if ((flags & MB_ERR_INVALID_CHARS) && wide.lossy) return failed(ERROR_NO_UNICODE_TRANSLATION);
  if ((flags & MB_COMPOSITE) && !page->is_utf8()) wide.text = nls::decompose(wide.text);
  return deliver(wide.text, out, room);
}

int WideCharToMultiByte(UINT code_page, DWORD flags, LPCWSTR text, INT length, LPSTR out, INT room,
                        LPCSTR default_char, BOOL* used_default) {
  constexpr DWORD kKnown = WC_DISCARDNS | WC_SEPCHARS | WC_DEFAULTCHAR | WC_ERR_INVALID_CHARS |
                           WC_COMPOSITECHECK | WC_NO_BEST_FIT_CHARS;
  if (is_pair_wrong(text, length, out, room)) return failed(ERROR_INVALID_PARAMETER);
  const nls::CodePage* page = nls::code_page(code_page);
  if (page == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (flags & ~kKnown) return failed(ERROR_INVALID_FLAGS);
  const std::u16string_view given = text_with_end(text, length);
  const bool compose = (flags & WC_COMPOSITECHECK) != 0 && !page->is_utf8();
  const auto narrow = page->to_narrow(compose ? nls::compose(given) : std::u16string(given),
                                      {.best_fit = (flags & WC_NO_BEST_FIT_CHARS) == 0,
                                       .replacement = default_char != nullptr ? default_char : "?"});
  if (page->is_utf8() && (flags & WC_ERR_INVALID_CHARS) && narrow.lossy) {
    return failed(ERROR_NO_UNICODE_TRANSLATION);
  }
  if (used_default != nullptr) *used_default = narrow.lossy;
  return deliver(narrow.text, out, room);
}

int as_cstr(int order) { return order < 0 ? CSTR_LESS_THAN : order == 0 ? CSTR_EQUAL : CSTR_GREATER_THAN; }

int compare_in(const nls::Locale* locale, DWORD flags, std::u16string_view a, std::u16string_view b) {
  if (locale == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (flags & ~(nls::kAllCompareFlags | LOCALE_USE_CP_ACP | SORT_FLAG_IGNORED))
    return failed(ERROR_INVALID_FLAGS);
  return as_cstr(nls::compare(a, b, flags));
}

int CompareStringEx(LPCWSTR locale, DWORD flags, LPCWSTR a, INT a_length, LPCWSTR b, INT b_length, PVOID,
                    PVOID, LONG_PTR) {
  if (a == nullptr || b == nullptr) return failed(ERROR_INVALID_PARAMETER);
  const nls::Locale* found = locale != nullptr ? nls::find_locale(locale) : &nls::user_locale();
  return compare_in(found, flags, text_of(a, a_length), text_of(b, b_length));
}

int CompareStringW(LCID locale, DWORD flags, LPCWSTR a, INT a_length, LPCWSTR b, INT b_length) {
  if (a == nullptr || b == nullptr) return failed(ERROR_INVALID_PARAMETER);
  return compare_in(nls::find_locale(locale), flags, text_of(a, a_length), text_of(b, b_length));
}

int CompareStringOrdinal(LPCWSTR a, INT a_length, LPCWSTR b, INT b_length, BOOL ignore_case) {
  if (a == nullptr || b == nullptr || a_length < -1 || b_length < -1) return failed(ERROR_INVALID_PARAMETER);
  return as_cstr(nls::compare_ordinal(text_of(a, a_length), text_of(b, b_length), ignore_case != 0));
}

BOOL GetStringTypeW(DWORD kind, LPCWSTR text, INT length, WORD* types) {
  if (text == nullptr || length == 0) return failed(ERROR_INVALID_PARAMETER);
  return string_types(kind, text_with_end(text, length), types);
}

BOOL GetStringTypeExW(LCID, DWORD kind, LPCWSTR text, INT length, WORD* types) {
  return GetStringTypeW(kind, text, length, types);
}

// ---- ntdll: sizes in bytes, strings counted, the ANSI code page ------------------------------------------

std::u16string_view wide(LPCWSTR text, ULONG bytes) { return {text, bytes / sizeof(WCHAR)}; }

/// Copies what fits and says how many bytes that were.
template <class Char>
void deliver_bytes(const std::basic_string<Char>& text, void* out, ULONG room, ULONG* written) {
  const auto bytes =
      static_cast<ULONG>(std::min<std::size_t>(text.size(), room / sizeof(Char)) * sizeof(Char));
  std::copy_n(reinterpret_cast<const char*>(text.data()), bytes, static_cast<char*>(out));
  if (written != nullptr) *written = bytes;
}

NTSTATUS RtlUnicodeToMultiByteN(LPSTR out, ULONG room, ULONG* written, LPCWSTR text, ULONG bytes) {
  deliver_bytes(nls::to_utf8(wide(text, bytes)), out, room, written);
  return STATUS_SUCCESS;
}

NTSTATUS RtlMultiByteToUnicodeN(LPWSTR out, ULONG room, ULONG* written, LPCSTR text, ULONG bytes) {
  deliver_bytes(nls::to_utf16({text, bytes}), out, room, written);
  return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeToMultiByteSize(ULONG* size, LPCWSTR text, ULONG bytes) {
  *size = static_cast<ULONG>(nls::to_utf8(wide(text, bytes)).size());
  return STATUS_SUCCESS;
}

NTSTATUS RtlMultiByteToUnicodeSize(ULONG* size, LPCSTR text, ULONG bytes) {
  *size = static_cast<ULONG>(nls::to_utf16({text, bytes}).size() * sizeof(WCHAR));
  return STATUS_SUCCESS;
}

/// The end of RtlUnicodeToUTF8N and RtlUTF8ToUnicodeN: without a buffer they tell the size only.
template <class Char>
NTSTATUS deliver_converted(const std::basic_string<Char>& text, bool lossy, void* out, ULONG room,
                           ULONG* written) {
  const auto size = static_cast<ULONG>(text.size() * sizeof(Char));
  if (out == nullptr) {
    *written = size;
    return lossy ? NTSTATUS{STATUS_SOME_NOT_MAPPED} : NTSTATUS{STATUS_SUCCESS};
  }
  deliver_bytes(text, out, room, written);
  if (size > room) return static_cast<NTSTATUS>(STATUS_BUFFER_TOO_SMALL);
  return lossy ? NTSTATUS{STATUS_SOME_NOT_MAPPED} : NTSTATUS{STATUS_SUCCESS};
}

NTSTATUS RtlUnicodeToUTF8N(LPSTR out, ULONG room, ULONG* written, LPCWSTR text, ULONG bytes) {
  if (text == nullptr) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER_4);
  if (written == nullptr || (out != nullptr && bytes % sizeof(WCHAR) != 0)) {
    return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  }
  const auto narrow = nls::ansi_code_page().to_narrow(wide(text, bytes));
  return deliver_converted(narrow.text, narrow.lossy, out, room, written);
}

NTSTATUS RtlUTF8ToUnicodeN(LPWSTR out, ULONG room, ULONG* written, LPCSTR text, ULONG bytes) {
  if (text == nullptr) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER_4);
  if (written == nullptr) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  const auto found = nls::ansi_code_page().to_wide({text, bytes});
  return deliver_converted(found.text, found.lossy, out, room, written);
}

const Export kExports[] = {
    NATIVE(kKernel32, CompareStringEx),
    NATIVE(kKernel32, CompareStringOrdinal),
    NATIVE(kKernel32, CompareStringW),
    NATIVE(kKernel32, GetStringTypeExW),
    NATIVE(kKernel32, GetStringTypeW),
    NATIVE(kKernel32, MultiByteToWideChar),
    NATIVE(kKernel32, WideCharToMultiByte),
    NT_NATIVE(kNtdll, RtlMultiByteToUnicodeN),
    NT_NATIVE(kNtdll, RtlMultiByteToUnicodeSize),
    NT_NATIVE(kNtdll, RtlUTF8ToUnicodeN),
    NT_NATIVE(kNtdll, RtlUnicodeToMultiByteN),
    NT_NATIVE(kNtdll, RtlUnicodeToMultiByteSize),
    NT_NATIVE(kNtdll, RtlUnicodeToUTF8N),
};

}  // namespace

BOOL string_types(DWORD kind, std::u16string_view text, WORD* types) {
  constexpr DWORD kType = 1, kDirection = 2, kProcessing = 4;  // CT_CTYPE1, 2, 3
  if (types == nullptr) return failed(ERROR_INVALID_PARAMETER);
  switch (kind) {
    case kType:
      std::ranges::transform(text, types, nls::character_type);
      return TRUE;
    case kDirection:
      std::ranges::transform(text, types, nls::character_direction);
      return TRUE;
    case kProcessing:
      std::ranges::transform(text, types, nls::character_processing);
      return TRUE;
    default:
      return failed(ERROR_INVALID_PARAMETER);
  }
}

std::span<const Export> stringapiset_natives() { return kExports; }

}  // namespace bobbin::win32
