// The C functions that ntdll exports.
#include "check.h"

#include <stdarg.h>

static FARPROC ntdll(const char* name) {
  FARPROC function = GetProcAddress(GetModuleHandleA("ntdll.dll"), name);
  if (!function) printf("ntdll has no %s\n", name), ++g_failures;
  return function;
}
#define IMPORT(result, name, ...) result (*nt_##name)(__VA_ARGS__) = (void*)ntdll(#name)
#define SIGN(n) (((n) > 0) - ((n) < 0))

static void bytes(void) {
  IMPORT(void*, memchr, const void*, int, size_t);
  IMPORT(int, memcmp, const void*, const void*, size_t);
  IMPORT(void*, memcpy, void*, const void*, size_t);
  IMPORT(void*, memmove, void*, const void*, size_t);
  IMPORT(void*, memset, void*, int, size_t);
  char text[] = "0123456789";
  CHECK(nt_memchr(text, '4', 10) == text + 4 && nt_memchr(text, '4', 4) == NULL);
  CHECK(SIGN(nt_memcmp("abc", "abd", 3)) == -1 && nt_memcmp("abc", "abd", 2) == 0);
  CHECK(SIGN(nt_memcmp("\xff", "a", 1)) == 1);
  CHECK(nt_memmove(text + 1, text, 5) == text + 1 && !strcmp(text, "0012346789"));
  CHECK(nt_memcpy(text, "ab", 2) == text && !strcmp(text, "ab12346789"));
  CHECK(nt_memset(text, 'x', 4) == text && !strcmp(text, "xxxx346789"));
}

static void strings(void) {
  IMPORT(size_t, strlen, const char*);
  IMPORT(int, strcmp, const char*, const char*);
  IMPORT(int, strncmp, const char*, const char*, size_t);
  IMPORT(char*, strcpy, char*, const char*);
  IMPORT(char*, strncpy, char*, const char*, size_t);
  IMPORT(char*, strcat, char*, const char*);
  IMPORT(char*, strchr, const char*, int);
  IMPORT(char*, strrchr, const char*, int);
  IMPORT(char*, strstr, const char*, const char*);
  char text[20] = "";
  CHECK(nt_strlen("") == 0 && nt_strlen("four") == 4);
  CHECK(SIGN(nt_strcmp("a", "b")) == -1 && nt_strcmp("a", "a") == 0 && SIGN(nt_strcmp("ab", "a")) == 1);
  CHECK(nt_strncmp("abc", "abd", 2) == 0 && SIGN(nt_strncmp("abc", "abd", 3)) == -1);
  CHECK(nt_strcpy(text, "hello") == text && nt_strcat(text, " you") == text && !strcmp(text, "hello you"));
  CHECK(nt_strncpy(text, "ab", 4) == text && !memcmp(text, "ab\0\0o you", 10));
  CHECK(nt_strncpy(text, "wxyz", 2) == text && text[1] == 'x' && text[2] == 0);
  nt_strcpy(text, "banana");
  CHECK(nt_strchr(text, 'n') == text + 2 && nt_strrchr(text, 'n') == text + 4 && !nt_strchr(text, 'x'));
  CHECK(nt_strchr(text, 0) == text + 6 && !nt_strrchr(text, 'x'));
  CHECK(nt_strstr(text, "nan") == text + 2 && !nt_strstr(text, "nab") && nt_strstr(text, "") == text);
}

static void letters(void) {
  IMPORT(int, tolower, int);
  IMPORT(int, toupper, int);
  IMPORT(int, _stricmp, const char*, const char*);
  IMPORT(int, _strnicmp, const char*, const char*, size_t);
  IMPORT(int, _wcsicmp, const WCHAR*, const WCHAR*);
  IMPORT(int, _wcsnicmp, const WCHAR*, const WCHAR*, size_t);
  CHECK(nt_tolower('A') == 'a' && nt_tolower('z') == 'z' && nt_tolower('@') == '@' && nt_tolower('[') == '[');
  CHECK(nt_toupper('a') == 'A' && nt_toupper('Z') == 'Z' && nt_toupper('{') == '{');
  CHECK(nt__stricmp("Hello", "hELLO") == 0 && SIGN(nt__stricmp("a", "B")) == -1 &&
        SIGN(nt__stricmp("b", "A")) == 1);
  CHECK(SIGN(nt__stricmp("ab", "A")) == 1);
  CHECK(nt__strnicmp("HelloX", "helloY", 5) == 0 && SIGN(nt__strnicmp("HelloX", "helloY", 6)) == -1);
  CHECK(nt__wcsicmp(L"Hello", L"hELLO") == 0 && SIGN(nt__wcsicmp(L"a", L"B")) == -1);
  CHECK(nt__wcsnicmp(L"HelloX", L"helloY", 5) == 0 && SIGN(nt__wcsnicmp(L"HelloX", L"helloY", 6)) == -1);
}

static void wide_strings(void) {
  IMPORT(size_t, wcslen, const WCHAR*);
  IMPORT(int, wcscmp, const WCHAR*, const WCHAR*);
  IMPORT(WCHAR*, wcscpy, WCHAR*, const WCHAR*);
  IMPORT(WCHAR*, wcscat, WCHAR*, const WCHAR*);
  IMPORT(WCHAR*, wcschr, const WCHAR*, WCHAR);
  IMPORT(WCHAR*, wcsrchr, const WCHAR*, WCHAR);
  IMPORT(WCHAR*, wcsstr, const WCHAR*, const WCHAR*);
  WCHAR text[20];
  CHECK(nt_wcslen(L"") == 0 && nt_wcslen(L"four") == 4);
  CHECK(SIGN(nt_wcscmp(L"a", L"b")) == -1 && nt_wcscmp(L"a", L"a") == 0 && SIGN(nt_wcscmp(L"ab", L"a")) == 1);
  CHECK(nt_wcscpy(text, L"ban") == text && nt_wcscat(text, L"ana") == text &&
        nt_wcscmp(text, L"banana") == 0);
  CHECK(nt_wcschr(text, L'n') == text + 2 && nt_wcsrchr(text, L'n') == text + 4 && !nt_wcschr(text, L'x'));
  CHECK(nt_wcschr(text, 0) == text + 6 && !nt_wcsrchr(text, L'x') && nt_wcsrchr(text, 0) == text + 6);
  CHECK(nt_wcsstr(text, L"nan") == text + 2 && !nt_wcsstr(text, L"nab"));
  CHECK(!nt_wcsstr(L"a", L"longer"));
}

static int g_size;
static const char* formatted(const char* format, ...) {
  static char buffer[200];
  IMPORT(int, _vsnprintf, char*, size_t, const char*, va_list);
  va_list arguments;
  va_start(arguments, format);
  memset(buffer, '?', sizeof buffer);
  g_size = nt__vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}
#define PRINTS(text, ...) check_text(formatted(__VA_ARGS__), text, __LINE__)
static void check_text(const char* got, const char* expected, int line) {
  if (!strcmp(got, expected) && g_size == (int)strlen(expected)) return;
  printf("line %d: \"%s\" (%d), not \"%s\"\n", line, got, g_size, expected);
  ++g_failures;
}

static int cut(char* buffer, size_t size, const char* format, ...) {
  IMPORT(int, _vsnprintf, char*, size_t, const char*, va_list);
  va_list arguments;
  va_start(arguments, format);
  int result = nt__vsnprintf(buffer, size, format, arguments);
  va_end(arguments);
  return result;
}

static void printing(void) {
  PRINTS("plain 100%", "plain %d%%", 100);
  PRINTS("-5 4294967291 fffffffb 37777777773", "%d %u %x %o", -5, -5, -5, -5);
  PRINTS("-5 18446744073709551611 FFFFFFFFFFFFFFFB", "%I64d %I64u %I64X", -5ll, -5ll, -5ll);
  PRINTS("-5 -5 -5", "%ld %I32d %hd", -5l, -5, 0x1FFFB);
  PRINTS("[   42][42   ][00042][+42][0x2a]", "[%5d][%-5d][%05d][%+d][%#x]", 42, 42, 42, 42, 42);
  PRINTS("[   42][  042]", "[%*d][%*.*d]", 5, 42, 5, 3, 42);
  PRINTS("text te [  text] (null)", "%s %.2s [%6s] %s", "text", "text", "text", (char*)NULL);
  PRINTS("wide wide wi x", "%S %ls %.2S %c", L"wide", L"wide", L"wide", 'x');
  PRINTS("00000000DEADBEEF", "%p", (void*)0xDEADBEEF);
  char buffer[8] = "???????";
  CHECK(cut(buffer, 8, "%s", "1234567") == 7 && !strcmp(buffer, "1234567"));
  memset(buffer, '?', 8);
  CHECK(cut(buffer, 4, "%s", "1234") == 4 && !memcmp(buffer, "1234????", 8));
  memset(buffer, '?', 8);
  CHECK(cut(buffer, 4, "%s", "12345") == -1 && !memcmp(buffer, "1234????", 8));
}

int main(void) {
  bytes();
  strings();
  letters();
  wide_strings();
  printing();
  return DONE();
}
