// Code pages, locales, case mapping, listings.
#include "../check.h"

static void code_pages(void) {
  CPINFO info;
  CPINFOEXA more;
  CPINFOEXW more_wide;
  if (!running_under_wine()) {  // there it is the Unix locale's
    CHECK(GetACP() == CP_UTF8);
    CHECK(GetOEMCP() == CP_UTF8);
  }
  CHECK(IsValidCodePage(1252) && IsValidCodePage(CP_UTF8) && IsValidCodePage(437));
  CHECK(!IsValidCodePage(4711));
  CHECK(GetCPInfo(1252, &info));
  CHECK(info.MaxCharSize == 1 && info.DefaultChar[0] == '?' && info.LeadByte[0] == 0);
  CHECK(GetCPInfo(932, &info));
  CHECK(info.MaxCharSize == 2 && info.LeadByte[0] == 0x81 && info.LeadByte[1] == 0x9F &&
        info.LeadByte[2] == 0xE0);
  CHECK(GetCPInfo(CP_UTF8, &info));
  CHECK(info.MaxCharSize == 4);
  CHECK(!GetCPInfo(4711, &info));
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(GetCPInfoExW(CP_UTF8, 0, &more_wide));
  CHECK(more_wide.CodePage == CP_UTF8 && more_wide.UnicodeDefaultChar == 0xFFFD);
  CHECK(GetCPInfoExA(1252, 0, &more));
  CHECK(more.CodePage == 1252 && more.MaxCharSize == 1 && more.CodePageName[0] != 0);
  CHECK(IsDBCSLeadByteEx(932, 0x81));
  CHECK(!IsDBCSLeadByteEx(932, 'a'));
  CHECK(!IsDBCSLeadByte('a'));
}

static void which_locale(void) {
  WCHAR name[LOCALE_NAME_MAX_LENGTH];
  CHECK(GetUserDefaultLCID() == 0x409);
  CHECK(GetSystemDefaultLCID() == 0x409);
  CHECK(GetUserDefaultLangID() == 0x409);
  CHECK(GetSystemDefaultLangID() == 0x409);
  CHECK(GetUserDefaultUILanguage() == 0x409);
  CHECK(GetSystemDefaultUILanguage() == 0x409);
  CHECK(GetUserDefaultLocaleName(name, LOCALE_NAME_MAX_LENGTH) == 6 && wcscmp(name, L"en-US") == 0);
  CHECK(GetSystemDefaultLocaleName(name, LOCALE_NAME_MAX_LENGTH) == 6 && wcscmp(name, L"en-US") == 0);
  CHECK(LCIDToLocaleName(0x409, name, LOCALE_NAME_MAX_LENGTH, 0) == 6 && wcscmp(name, L"en-US") == 0);
  CHECK(LCIDToLocaleName(LOCALE_INVARIANT, name, LOCALE_NAME_MAX_LENGTH, 0) == 1 && name[0] == 0);
  CHECK(LocaleNameToLCID(L"EN-us", 0) == 0x409);
  CHECK(LocaleNameToLCID(L"", 0) == LOCALE_INVARIANT);
  SetLastError(0);
  CHECK(LocaleNameToLCID(L"xx-YY", 0) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(ConvertDefaultLocale(LOCALE_USER_DEFAULT) == 0x409);
  CHECK(IsValidLocale(0x409, LCID_INSTALLED));
  CHECK(!IsValidLocale(0xABCD, LCID_INSTALLED));
  CHECK(IsValidLocaleName(L"en-US"));
  CHECK(!IsValidLocaleName(L"xx-YY"));
  CHECK(GetThreadLocale() == 0x409);
  CHECK(SetThreadLocale(LOCALE_INVARIANT));
  CHECK(GetThreadLocale() == LOCALE_INVARIANT);
  CHECK(SetThreadLocale(0x409));
}

static void locale_info(void) {
  WCHAR wide[80];
  char narrow[80];
  DWORD number = 0;
  CHECK(GetLocaleInfoW(LOCALE_USER_DEFAULT, LOCALE_SDECIMAL, wide, 80) == 2 && wide[0] == '.');
  CHECK(GetLocaleInfoA(LOCALE_USER_DEFAULT, LOCALE_SMONTHNAME3, narrow, 80) == 6 &&
        strcmp(narrow, "March") == 0);
  CHECK(GetLocaleInfoEx(L"en-US", LOCALE_SLONGDATE, wide, 80) == 19);
  CHECK(wcscmp(wide, L"dddd, MMMM d, yyyy") == 0);
  CHECK(GetLocaleInfoEx(L"", LOCALE_SSHORTDATE, wide, 80) == 11 && wcscmp(wide, L"MM/dd/yyyy") == 0);
  CHECK(GetLocaleInfoW(0x409, LOCALE_RETURN_NUMBER | LOCALE_ILANGUAGE, (WCHAR*)&number, 2) == 2);
  CHECK(number == 0x409);
  CHECK(GetLocaleInfoA(0x409, LOCALE_RETURN_NUMBER | LOCALE_IDEFAULTANSICODEPAGE, (char*)&number, 4) == 4);
  CHECK(number == 1252);
  CHECK(GetLocaleInfoW(0x409, LOCALE_SCURRENCY, NULL, 0) == 2);
  CHECK(GetLocaleInfoW(0x409, LOCALE_SDAYNAME1, wide, 3) == 0);
  CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(GetLocaleInfoW(0x409, 0xFFF, wide, 80) == 0);
  CHECK(GetLastError() == ERROR_INVALID_FLAGS);
  CHECK(GetLocaleInfoW(0x9999, LOCALE_SDECIMAL, wide, 80) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
}

static void mapping(void) {
  WCHAR wide[32];
  char narrow[64];
  char other[64];
  CHECK(LCMapStringW(LOCALE_USER_DEFAULT, LCMAP_UPPERCASE, L"caf\xE9", -1, wide, 32) == 5);
  CHECK(wcscmp(wide, L"CAF\xC9") == 0);
  CHECK(LCMapStringEx(L"en-US", LCMAP_LOWERCASE, L"ABC", 3, wide, 32, NULL, NULL, 0) == 3);
  CHECK(wcsncmp(wide, L"abc", 3) == 0);
  CHECK(LCMapStringA(LOCALE_USER_DEFAULT, LCMAP_UPPERCASE, "abc", -1, narrow, 64) == 4);
  CHECK(strcmp(narrow, "ABC") == 0);
  CHECK(LCMapStringW(LOCALE_USER_DEFAULT, LCMAP_UPPERCASE, L"abc", -1, NULL, 0) == 4);
  CHECK(LCMapStringW(LOCALE_USER_DEFAULT, LCMAP_HIRAGANA | LCMAP_KATAKANA, L"abc", -1, wide, 32) == 0);
  CHECK(GetLastError() == ERROR_INVALID_FLAGS);
  CHECK(LCMapStringW(LOCALE_USER_DEFAULT, LCMAP_SORTKEY, L"apple", -1, (WCHAR*)narrow, 64) > 0);
  CHECK(LCMapStringW(LOCALE_USER_DEFAULT, LCMAP_SORTKEY, L"Banana", -1, (WCHAR*)other, 64) > 0);
  CHECK(strcmp(narrow, other) < 0);

  WORD type = 0;
  CHECK(CompareStringA(LOCALE_USER_DEFAULT, NORM_IGNORECASE, "Abc", -1, "aBC", -1) == CSTR_EQUAL);
  CHECK(CompareStringA(LOCALE_USER_DEFAULT, 0, "b", -1, "a", -1) == CSTR_GREATER_THAN);
  CHECK(GetStringTypeA(LOCALE_USER_DEFAULT, CT_CTYPE1, "7", 1, &type));
  CHECK((type & C1_DIGIT) && !(type & C1_ALPHA));
  CHECK(GetStringTypeExA(LOCALE_USER_DEFAULT, CT_CTYPE1, "Z", 1, &type));
  CHECK((type & C1_UPPER) && (type & C1_ALPHA));
}

static int g_english;

static BOOL CALLBACK on_name(LPWSTR name, DWORD flags, LPARAM parameter) {
  if (wcscmp(name, L"en-US") == 0) ++*(int*)parameter;
  return TRUE;
}
static BOOL CALLBACK on_id_wide(LPWSTR id) {
  g_english += wcscmp(id, L"00000409") == 0;
  return TRUE;
}
static BOOL CALLBACK on_id(LPSTR id) {
  g_english += strcmp(id, "00000409") == 0;
  return TRUE;
}

static void listing(void) {
  int found = 0;
  CHECK(EnumSystemLocalesEx(on_name, LOCALE_ALL, (LPARAM)&found, NULL));
  CHECK(found == 1);
  CHECK(EnumSystemLocalesW(on_id_wide, LCID_SUPPORTED));
  CHECK(EnumSystemLocalesA(on_id, LCID_INSTALLED));
  CHECK(g_english == 2);
}

int main(void) {
  code_pages();
  which_locale();
  locale_info();
  mapping();
  listing();
  return DONE();
}
