// winnls.h: code pages, locales, case mapping, and the A forms of comparison and character types.
//
// The A forms take their text in the code page of the locale that they are given (1252 for English), as
// Windows has it, or in the ANSI code page if LOCALE_USE_CP_ACP says so.
#include <cstring>

#include "abi/status.hpp"
#include "nls/characters.hpp"
#include "nls/code_pages.hpp"
#include "nls/collation.hpp"
#include "nls/locale.hpp"
#include "nls/utf.hpp"
#include "win32/guest_callback.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD {
  LOCALE_NOUSEROVERRIDE = 0x80000000,
  LOCALE_USE_CP_ACP = 0x40000000,
  LOCALE_RETURN_NUMBER = 0x20000000,
  LOCALE_RETURN_GENITIVE_NAMES = 0x10000000,
  LOCALE_ALLOW_NEUTRAL_NAMES = 0x08000000,
  LOCALE_FIELD = 0x0000FFFF,
  LOCALE_FONTSIGNATURE = 0x58,
  LOCALE_IDEFAULTANSICODEPAGE = 0x1004,
};
enum : DWORD {
  LCMAP_LOWERCASE = 0x100,
  LCMAP_UPPERCASE = 0x200,
  LCMAP_SORTKEY = 0x400,
  LCMAP_LINGUISTIC_CASING = 0x01000000,
};
enum : DWORD { LCID_INSTALLED = 1, LCID_SUPPORTED = 2 };
enum : DWORD { LOCALE_ALL = 0, LOCALE_WINDOWS = 1 };
constexpr int kLocaleNameMax = 85;

const nls::Locale* locale_named(LPCWSTR name) {
  return name == nullptr ? &nls::user_locale() : nls::find_locale(std::u16string_view(name));
}

// ---- code pages ------------------------------------------------------------------------------------------

BOBBIN_MS_ABI UINT GetACP() { return nls::kUtf8CodePage; }
BOBBIN_MS_ABI UINT GetOEMCP() { return nls::kUtf8CodePage; }

BOOL IsValidCodePage(UINT number) { return number > 3 && nls::code_page(number) != nullptr; }

struct CPINFO {
  UINT MaxCharSize;
  BYTE DefaultChar[2];
  BYTE LeadByte[12];
};
template <class Char>
struct CPINFOEX {
  UINT MaxCharSize;
  BYTE DefaultChar[2];
  BYTE LeadByte[12];
  WCHAR UnicodeDefaultChar;  // at 18: where CPINFO, were it a member, would have padding
  UINT CodePage;
  Char CodePageName[260];
};
static_assert(sizeof(CPINFOEX<char>) == 284 && sizeof(CPINFOEX<WCHAR>) == 544);

/// Ranges of lead bytes as first and last, ended by two zeros.
void list_lead_bytes(const nls::CodePage& page, BYTE (&ranges)[12]) {
  std::size_t end = 0;
  for (unsigned byte = 0; byte < 256 && end < 10; ++byte) {
    if (!page.is_lead_byte(static_cast<BYTE>(byte))) continue;
    const bool continues = end > 0 && ranges[end - 1] + 1u == byte;
    if (!continues) {
      ranges[end] = static_cast<BYTE>(byte);
      end += 2;
    }
    ranges[end - 1] = static_cast<BYTE>(byte);
  }
}

CPINFO describe(const nls::CodePage& page) {
  CPINFO info{page.max_char_size(), {'?', 0}, {}};
  list_lead_bytes(page, info.LeadByte);
  return info;
}

BOOL GetCPInfo(UINT number, CPINFO* info) {
  const nls::CodePage* page = nls::code_page(number);
  if (page == nullptr || info == nullptr) return failed(ERROR_INVALID_PARAMETER);
  *info = describe(*page);
  return TRUE;
}

template <class Char, class Name>
BOOL describe_more(UINT number, DWORD flags, CPINFOEX<Char>* info, Name name_of) {
  const nls::CodePage* page = nls::code_page(number);
  if (page == nullptr || info == nullptr || flags != 0) return failed(ERROR_INVALID_PARAMETER);
  const CPINFO plain = describe(*page);
  *info = {};
  info->MaxCharSize = plain.MaxCharSize;
  std::ranges::copy(plain.DefaultChar, info->DefaultChar);
  std::ranges::copy(plain.LeadByte, info->LeadByte);
  info->UnicodeDefaultChar = page->default_wide();
  info->CodePage = page->number();
  const auto name = name_of(nls::code_page_name(*page));
  std::ranges::copy(name, info->CodePageName);
  return TRUE;
}

BOOL GetCPInfoExW(UINT number, DWORD flags, CPINFOEX<WCHAR>* info) {
  return describe_more(number, flags, info, [](std::u16string name) { return name; });
}

BOOL GetCPInfoExA(UINT number, DWORD flags, CPINFOEX<char>* info) {
  return describe_more(number, flags, info, [](const std::u16string& name) { return nls::to_utf8(name); });
}

BOOL IsDBCSLeadByteEx(UINT number, BYTE byte) {
  const nls::CodePage* page = nls::code_page(number);
  return page != nullptr && page->is_lead_byte(byte);
}

BOOL IsDBCSLeadByte(BYTE) { return FALSE; }  // the ANSI code page is UTF-8, which has none

// ---- which locale ----------------------------------------------------------------------------------------

LCID user_id() { return nls::user_locale().id; }

BOBBIN_MS_ABI LCID GetUserDefaultLCID() { return nls::kLocaleEnglishUs; }
BOBBIN_MS_ABI LCID GetSystemDefaultLCID() { return nls::kLocaleEnglishUs; }
BOBBIN_MS_ABI LANGID GetUserDefaultLangID() { return nls::kLocaleEnglishUs; }
BOBBIN_MS_ABI LANGID GetSystemDefaultLangID() { return nls::kLocaleEnglishUs; }
BOBBIN_MS_ABI LANGID GetUserDefaultUILanguage() { return nls::kLocaleEnglishUs; }
BOBBIN_MS_ABI LANGID GetSystemDefaultUILanguage() { return nls::kLocaleEnglishUs; }

LCID GetThreadLocale() {
  const LCID chosen = current_teb()->CurrentLocale;
  return chosen != 0 ? chosen : user_id();
}

BOOL SetThreadLocale(LCID id) {
  const nls::Locale* locale = nls::find_locale(id);
  if (locale == nullptr) return failed(ERROR_INVALID_PARAMETER);
  current_teb()->CurrentLocale = locale->id;
  return TRUE;
}

LCID ConvertDefaultLocale(LCID id) {
  const nls::Locale* locale = nls::find_locale(id);
  return locale != nullptr ? locale->id : id;
}

BOOL IsValidLocale(LCID id, DWORD) { return nls::find_locale(id) != nullptr; }

BOOL IsValidLocaleName(LPCWSTR name) {
  return name != nullptr && nls::find_locale(std::u16string_view(name)) != nullptr;
}

int deliver_name(std::u16string_view name, LPWSTR out, int room) {
  return deliver(std::u16string(name) + u'\0', out, room);
}

int GetUserDefaultLocaleName(LPWSTR out, int room) {
  return deliver_name(nls::user_locale().name, out, room);
}
int GetSystemDefaultLocaleName(LPWSTR out, int room) {
  return deliver_name(nls::user_locale().name, out, room);
}

int LCIDToLocaleName(LCID id, LPWSTR out, int room, DWORD flags) {
  const nls::Locale* locale = nls::find_locale(id);
  if (locale == nullptr || (room != 0 && out == nullptr)) return failed(ERROR_INVALID_PARAMETER);
  if (flags & ~DWORD{LOCALE_ALLOW_NEUTRAL_NAMES}) return failed(ERROR_INVALID_PARAMETER);
  return deliver_name(locale->name, out, room);
}

LCID LocaleNameToLCID(LPCWSTR name, DWORD flags) {
  const nls::Locale* locale = locale_named(name);
  if (locale == nullptr || (flags & ~DWORD{LOCALE_ALLOW_NEUTRAL_NAMES})) {
    return static_cast<LCID>(failed(ERROR_INVALID_PARAMETER));
  }
  return locale->id;
}

// ---- what a locale says ----------------------------------------------------------------------------------

/// Which characters fonts must have for English, as bits: Unicode ranges, code pages.
constexpr std::u16string_view kFontSignature(u"\u002F\0\0\0\0\0\0\0\u0001\0\u8000\0\u0001\0\u8000\0", 16);

int deliver_number(DWORD number, LPWSTR out, int room) {
  constexpr int kUnits = sizeof(DWORD) / sizeof(WCHAR);
  if (room == 0) return kUnits;
  if (room < kUnits) return failed(ERROR_INSUFFICIENT_BUFFER);
  std::memcpy(out, &number, sizeof number);
  return kUnits;
}

int locale_info(const nls::Locale* locale, DWORD type, LPWSTR out, int room) {
  if (locale == nullptr || room < 0 || (room != 0 && out == nullptr)) return failed(ERROR_INVALID_PARAMETER);
  const DWORD field = type & LOCALE_FIELD;
  if (type & LOCALE_RETURN_NUMBER) {
    const auto number = locale->number(field);
    return number ? deliver_number(*number, out, room) : failed(ERROR_INVALID_FLAGS);
  }
  if (field == LOCALE_FONTSIGNATURE) return deliver(kFontSignature, out, room);
  const auto text = locale->text(field);
  if (!text) return failed(ERROR_INVALID_FLAGS);
  return deliver_name(*text, out, room);
}

int GetLocaleInfoEx(LPCWSTR name, DWORD type, LPWSTR out, int room) {
  return locale_info(locale_named(name), type, out, room);
}

int GetLocaleInfoW(LCID id, DWORD type, LPWSTR out, int room) {
  return locale_info(nls::find_locale(id), type, out, room);
}

/// The code page of an A function's text.
const nls::CodePage& page_of(const nls::Locale& locale, DWORD flags) {
  const auto number = locale.number(LOCALE_IDEFAULTANSICODEPAGE);
  const nls::CodePage* page = (flags & LOCALE_USE_CP_ACP) || !number ? nullptr : nls::code_page(*number);
  return page != nullptr ? *page : nls::ansi_code_page();
}

int GetLocaleInfoA(LCID id, DWORD type, LPSTR out, int room) {
  WCHAR wide[128];  // no field is longer
  const bool is_binary = (type & LOCALE_RETURN_NUMBER) || (type & LOCALE_FIELD) == LOCALE_FONTSIGNATURE;
  const int units = GetLocaleInfoW(id, type, wide, 128);
  if (units == 0) return 0;
  if (is_binary) {
    return deliver(std::string_view(reinterpret_cast<const char*>(wide), static_cast<std::size_t>(units) * 2),
                   out, room);
  }
  const auto& page = page_of(*nls::find_locale(id), type);
  return deliver(page.to_narrow({wide, static_cast<std::size_t>(units)}).text, out, room);
}

// ---- mapping ---------------------------------------------------------------------------------------------

bool has_case(DWORD flags) { return (flags & (LCMAP_LOWERCASE | LCMAP_UPPERCASE)) != 0; }

/// Sort key, or one of the two cases. The other mappings (kana, width, byte order, traditional Chinese) are
/// not here, and say so.
bool can_map(DWORD flags) {
  if (flags & LCMAP_SORTKEY) return (flags & ~(LCMAP_SORTKEY | nls::kAllCompareFlags)) == 0;
  const bool both = (flags & LCMAP_LOWERCASE) && (flags & LCMAP_UPPERCASE);
  return has_case(flags) && !both &&
         (flags & ~(LCMAP_LOWERCASE | LCMAP_UPPERCASE | LCMAP_LINGUISTIC_CASING)) == 0;
}

std::u16string map_case(std::u16string_view text, DWORD flags) {
  std::u16string out(text);
  std::ranges::transform(out, out.begin(), (flags & LCMAP_UPPERCASE) ? nls::to_upper : nls::to_lower);
  return out;
}

int map_string(const nls::Locale* locale, DWORD flags, LPCWSTR text, int length, LPWSTR out, int room) {
  if (locale == nullptr || text == nullptr || length == 0 || room < 0 || (room != 0 && out == nullptr)) {
    return failed(ERROR_INVALID_PARAMETER);
  }
  flags &= ~DWORD{LOCALE_USE_CP_ACP};
  if (!can_map(flags) || (out == text && !has_case(flags))) return failed(ERROR_INVALID_FLAGS);
  if (flags & LCMAP_SORTKEY) {
    return deliver(nls::sort_key(text_of(text, length), flags), reinterpret_cast<char*>(out), room);
  }
  return deliver(map_case(text_with_end(text, length), flags), out, room);
}

int LCMapStringEx(LPCWSTR name, DWORD flags, LPCWSTR text, int length, LPWSTR out, int room, PVOID, PVOID,
                  LONG_PTR) {
  return map_string(locale_named(name), flags, text, length, out, room);
}

int LCMapStringW(LCID id, DWORD flags, LPCWSTR text, int length, LPWSTR out, int room) {
  return map_string(nls::find_locale(id), flags, text, length, out, room);
}

int LCMapStringA(LCID id, DWORD flags, LPCSTR text, int length, LPSTR out, int room) {
  const nls::Locale* locale = nls::find_locale(id);
  if (locale == nullptr || text == nullptr || length == 0 || room < 0 || (room != 0 && out == nullptr)) {
    return failed(ERROR_INVALID_PARAMETER);
  }
  const nls::CodePage& page = page_of(*locale, flags);
  flags &= ~DWORD{LOCALE_USE_CP_ACP};
  if (!can_map(flags)) return failed(ERROR_INVALID_FLAGS);
  if (flags & LCMAP_SORTKEY)
    return deliver(nls::sort_key(page.to_wide(text_of(text, length)).text, flags), out, room);
  const auto mapped = map_case(page.to_wide(text_with_end(text, length)).text, flags);
  return deliver(page.to_narrow(mapped).text, out, room);
}

int CompareStringA(LCID id, DWORD flags, LPCSTR a, int a_length, LPCSTR b, int b_length) {
  const nls::Locale* locale = nls::find_locale(id);
  if (locale == nullptr || a == nullptr || b == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (flags & ~(nls::kAllCompareFlags | LOCALE_USE_CP_ACP)) return failed(ERROR_INVALID_FLAGS);
  const nls::CodePage& page = page_of(*locale, flags);
  const int order =
      nls::compare(page.to_wide(text_of(a, a_length)).text, page.to_wide(text_of(b, b_length)).text, flags);
  return order < 0 ? 1 : order == 0 ? 2 : 3;
}

BOOL GetStringTypeExA(LCID id, DWORD kind, LPCSTR text, int length, WORD* types) {
  const nls::Locale* locale = nls::find_locale(id);
  if (locale == nullptr || text == nullptr || length == 0) return failed(ERROR_INVALID_PARAMETER);
  const auto wide = page_of(*locale, 0).to_wide(text_with_end(text, length)).text;
  return string_types(kind, wide, types);
}

BOOL GetStringTypeA(LCID id, DWORD kind, LPCSTR text, int length, WORD* types) {
  return GetStringTypeExA(id, kind, text, length, types);
}

// ---- listing ---------------------------------------------------------------------------------------------

using LocaleEnumProcEx = BOBBIN_MS_ABI BOOL (*)(LPWSTR, DWORD, LONG_PTR);
using LocaleEnumProcW = BOBBIN_MS_ABI BOOL (*)(LPWSTR);
using LocaleEnumProcA = BOBBIN_MS_ABI BOOL (*)(LPSTR);

BOOL EnumSystemLocalesEx(LocaleEnumProcEx callback, DWORD flags, LONG_PTR parameter, PVOID reserved) {
  if (callback == nullptr || reserved != nullptr) return failed(ERROR_INVALID_PARAMETER);
  const bool windows = flags == LOCALE_ALL || (flags & LOCALE_WINDOWS) != 0;
  for (const nls::Locale& locale : nls::all_locales()) {
    WCHAR name[kLocaleNameMax] = {};
    std::ranges::copy(locale.name, name);
    if (windows && !call_guest(callback, name, DWORD{LOCALE_WINDOWS}, parameter)) break;
  }
  return TRUE;
}

/// Numbers in eight hexadecimal digits, of locales that have a country.
template <class Char>
BOOL enumerate_ids(BOBBIN_MS_ABI BOOL (*callback)(Char*), DWORD flags) {
  if (callback == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if (flags != LCID_INSTALLED && flags != LCID_SUPPORTED) return failed(ERROR_INVALID_FLAGS);
  for (const nls::Locale& locale : nls::all_locales()) {
    if (locale.id == nls::kLocaleInvariant) continue;
    Char digits[9] = {};
    for (unsigned i = 0; i < 8; ++i)
      digits[i] = static_cast<Char>("0123456789abcdef"[locale.id >> (28 - 4 * i) & 15]);
    if (!call_guest(callback, digits)) break;
  }
  return TRUE;
}

BOOL EnumSystemLocalesW(LocaleEnumProcW callback, DWORD flags) {
  return enumerate_ids<WCHAR>(callback, flags);
}
BOOL EnumSystemLocalesA(LocaleEnumProcA callback, DWORD flags) {
  return enumerate_ids<char>(callback, flags);
}

const Export kExports[] = {
    NATIVE(kKernel32, CompareStringA),
    NATIVE(kKernel32, ConvertDefaultLocale),
    NATIVE(kKernel32, EnumSystemLocalesA),
    NATIVE(kKernel32, EnumSystemLocalesEx),
    NATIVE(kKernel32, EnumSystemLocalesW),
    HOT(kKernel32, GetACP),
    NATIVE(kKernel32, GetCPInfo),
    NATIVE(kKernel32, GetCPInfoExA),
    NATIVE(kKernel32, GetCPInfoExW),
    NATIVE(kKernel32, GetLocaleInfoA),
    NATIVE(kKernel32, GetLocaleInfoEx),
    NATIVE(kKernel32, GetLocaleInfoW),
    HOT(kKernel32, GetOEMCP),
    NATIVE(kKernel32, GetStringTypeA),
    NATIVE(kKernel32, GetStringTypeExA),
    HOT(kKernel32, GetSystemDefaultLCID),
    HOT(kKernel32, GetSystemDefaultLangID),
    NATIVE(kKernel32, GetSystemDefaultLocaleName),
    HOT(kKernel32, GetSystemDefaultUILanguage),
    NATIVE(kKernel32, GetThreadLocale),
    HOT(kKernel32, GetUserDefaultLCID),
    HOT(kKernel32, GetUserDefaultLangID),
    NATIVE(kKernel32, GetUserDefaultLocaleName),
    HOT(kKernel32, GetUserDefaultUILanguage),
    NATIVE(kKernel32, IsDBCSLeadByte),
    NATIVE(kKernel32, IsDBCSLeadByteEx),
    NATIVE(kKernel32, IsValidCodePage),
    NATIVE(kKernel32, IsValidLocale),
    NATIVE(kKernel32, IsValidLocaleName),
    NATIVE(kKernel32, LCIDToLocaleName),
    NATIVE(kKernel32, LCMapStringA),
    NATIVE(kKernel32, LCMapStringEx),
    NATIVE(kKernel32, LCMapStringW),
    NATIVE(kKernel32, LocaleNameToLCID),
    NATIVE(kKernel32, SetThreadLocale),
};

}  // namespace

std::span<const Export> winnls_natives() { return kExports; }

}  // namespace bobbin::win32
