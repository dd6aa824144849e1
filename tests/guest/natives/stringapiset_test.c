// Text between code pages and UTF-16, comparison, character types; ntdll's converters.
#include "../check.h"

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

static void to_wide(void) {
  WCHAR out[32];
  CHECK(MultiByteToWideChar(CP_UTF8, 0, "caf\xC3\xA9", -1, NULL, 0) == 5);
  CHECK(MultiByteToWideChar(CP_UTF8, 0, "caf\xC3\xA9", -1, out, 32) == 5);
  CHECK(out[3] == 0xE9 && out[4] == 0);
  CHECK(MultiByteToWideChar(CP_UTF8, 0, "\xF0\x9F\xA7\xB5", 4, out, 32) == 2);
  CHECK(out[0] == 0xD83E && out[1] == 0xDDF5);
  CHECK(MultiByteToWideChar(1252, 0, "\x80\xE9", 2, out, 32) == 2);
  CHECK(out[0] == 0x20AC && out[1] == 0xE9);
  CHECK(MultiByteToWideChar(932, 0, "\x83\x65", 2, out, 32) == 1);
  CHECK(out[0] == 0x30C6);
  SetLastError(0);
  CHECK(MultiByteToWideChar(CP_UTF8, 0, "abc", 3, out, 2) == 0);
  CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "a\xFF", 2, out, 32) == 0);
  CHECK(GetLastError() == ERROR_NO_UNICODE_TRANSLATION);
  CHECK(MultiByteToWideChar(CP_UTF8, 0, "a\xFF", 2, out, 32) == 2);
  CHECK(out[1] == 0xFFFD);
  CHECK(MultiByteToWideChar(CP_UTF8, 0x10, "a", 1, out, 32) == 0);
  CHECK(GetLastError() == ERROR_INVALID_FLAGS);
  CHECK(MultiByteToWideChar(4711, 0, "a", 1, out, 32) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(MultiByteToWideChar(1252, MB_COMPOSITE, "\xE9", 1, out, 32) == 2);
  CHECK(out[0] == 'e' && out[1] == 0x301);
}

static void to_narrow(void) {
  char out[32];
  BOOL used = 7;
  CHECK(WideCharToMultiByte(CP_UTF8, 0, L"caf\xE9", -1, NULL, 0, NULL, NULL) == 6);
  CHECK(WideCharToMultiByte(CP_UTF8, 0, L"caf\xE9", -1, out, 32, NULL, NULL) == 6);
  CHECK(strcmp(out, "caf\xC3\xA9") == 0);
  CHECK(WideCharToMultiByte(1252, 0, L"\x20AC", -1, out, 32, NULL, &used) == 2);
  CHECK(strcmp(out, "\x80") == 0 && !used);
  CHECK(WideCharToMultiByte(1252, 0, L"\x101", -1, out, 32, NULL, &used) == 2);
  CHECK(strcmp(out, "a") == 0 && !used);
  CHECK(WideCharToMultiByte(1252, WC_NO_BEST_FIT_CHARS, L"\x101", -1, out, 32, "#", &used) == 2);
  CHECK(strcmp(out, "#") == 0 && used);
  CHECK(WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, L"a\xD800", -1, out, 32, NULL, NULL) == 0);
  CHECK(GetLastError() == ERROR_NO_UNICODE_TRANSLATION);
  CHECK(WideCharToMultiByte(CP_UTF8, 0, L"abc", 3, out, 2, NULL, NULL) == 0);
  CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(WideCharToMultiByte(CP_UTF8, 1, L"abc", 3, out, 32, NULL, NULL) == 0);
  CHECK(GetLastError() == ERROR_INVALID_FLAGS);
}

static void comparing(void) {
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, 0, L"apple", -1, L"Banana", -1) == CSTR_LESS_THAN);
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, 0, L"a", -1, L"A", -1) == CSTR_LESS_THAN);
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, NORM_IGNORECASE, L"HeLLo", -1, L"hEllO", -1) == CSTR_EQUAL);
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, 0, L"co-op", -1, L"cooq", -1) == CSTR_LESS_THAN);
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, 0, L"abc", 2, L"abd", 2) == CSTR_EQUAL);
  SetLastError(0);
  CHECK(CompareStringW(LOCALE_USER_DEFAULT, 0, NULL, 0, L"a", -1) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(CompareStringEx(L"en-US", LINGUISTIC_IGNORECASE, L"abc", -1, L"ABC", -1, NULL, NULL, 0) ==
        CSTR_EQUAL);
  CHECK(CompareStringEx(LOCALE_NAME_USER_DEFAULT, 0, L"b", -1, L"a", -1, NULL, NULL, 0) == CSTR_GREATER_THAN);
  CHECK(CompareStringEx(L"en-US", SORT_DIGITSASNUMBERS, L"a10", -1, L"a9", -1, NULL, NULL, 0) ==
        CSTR_GREATER_THAN);
  CHECK(CompareStringOrdinal(L"a", -1, L"B", -1, FALSE) == CSTR_GREATER_THAN);
  CHECK(CompareStringOrdinal(L"a", -1, L"B", -1, TRUE) == CSTR_LESS_THAN);
  CHECK(CompareStringOrdinal(L"KERNEL32.dll", -1, L"kernel32.DLL", -1, TRUE) == CSTR_EQUAL);
}

static void types(void) {
  WORD type[4] = {0};
  CHECK(GetStringTypeW(CT_CTYPE1, L"aF9 ", 4, type));
  CHECK(type[0] == (C1_DEFINED | C1_ALPHA | C1_LOWER | C1_XDIGIT));
  CHECK(type[1] == (C1_DEFINED | C1_ALPHA | C1_UPPER | C1_XDIGIT));
  CHECK(type[2] == (C1_DEFINED | C1_DIGIT | C1_XDIGIT));
  CHECK(type[3] == (C1_DEFINED | C1_SPACE | C1_BLANK));
  CHECK(GetStringTypeW(CT_CTYPE2, L"a\x5D0", 2, type));
  CHECK(type[0] == C2_LEFTTORIGHT && type[1] == C2_RIGHTTOLEFT);
  CHECK(GetStringTypeExW(LOCALE_USER_DEFAULT, CT_CTYPE3, L"\xE9", 1, type));
  CHECK((type[0] & C3_ALPHA) && (type[0] & C3_DIACRITIC));
  CHECK(!GetStringTypeW(99, L"a", 1, type));
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
}

static void ntdll(void) {
  NTDLL(LONG, RtlUnicodeToMultiByteN, (char*, ULONG, ULONG*, const WCHAR*, ULONG));
  NTDLL(LONG, RtlMultiByteToUnicodeN, (WCHAR*, ULONG, ULONG*, const char*, ULONG));
  NTDLL(LONG, RtlUnicodeToMultiByteSize, (ULONG*, const WCHAR*, ULONG));
  NTDLL(LONG, RtlMultiByteToUnicodeSize, (ULONG*, const char*, ULONG));
  NTDLL(LONG, RtlUnicodeToUTF8N, (char*, ULONG, ULONG*, const WCHAR*, ULONG));
  NTDLL(LONG, RtlUTF8ToUnicodeN, (WCHAR*, ULONG, ULONG*, const char*, ULONG));
  char narrow[16];
  WCHAR wide[16];
  ULONG size = 0;
  CHECK(RtlUnicodeToMultiByteN(narrow, 16, &size, L"abc", 6) == 0);
  CHECK(size == 3 && memcmp(narrow, "abc", 3) == 0);
  CHECK(RtlUnicodeToMultiByteN(narrow, 2, &size, L"xyz", 6) == 0);
  CHECK(size == 2 && memcmp(narrow, "xyc", 3) == 0);
  CHECK(RtlMultiByteToUnicodeN(wide, 32, &size, "abc", 3) == 0);
  CHECK(size == 6 && memcmp(wide, L"abc", 6) == 0);
  CHECK(RtlUnicodeToMultiByteSize(&size, L"abcd", 8) == 0);
  CHECK(size == 4);
  CHECK(RtlMultiByteToUnicodeSize(&size, "abcd", 4) == 0);
  CHECK(size == 8);
  CHECK(RtlUnicodeToUTF8N(narrow, 16, &size, L"\xE9", 2) == 0);
  CHECK(size == 2 && memcmp(narrow, "\xC3\xA9", 2) == 0);
  CHECK(RtlUnicodeToUTF8N(NULL, 0, &size, L"\xE9\xE9", 4) == 0);
  CHECK(size == 4);
  CHECK(RtlUnicodeToUTF8N(narrow, 1, &size, L"ab", 4) == (LONG)0xC0000023);
  CHECK(RtlUTF8ToUnicodeN(wide, 32, &size, "\xC3\xA9", 2) == 0);
  CHECK(size == 2 && wide[0] == 0xE9);
  CHECK(RtlUTF8ToUnicodeN(wide, 32, &size, "\xFF", 1) == 0x107);
  CHECK(wide[0] == 0xFFFD);
}

int main(void) {
  to_wide();
  to_narrow();
  comparing();
  types();
  ntdll();
  return DONE();
}
