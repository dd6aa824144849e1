// The old string functions, MulDiv, FormatMessage.
#include "../check.h"

static void strings(void) {
  char a[16];
  WCHAR w[16];
  CHECK(lstrlenA("hello") == 5);
  CHECK(lstrlenA(NULL) == 0);
  CHECK(lstrlenW(L"hello") == 5);
  CHECK(lstrcpyA(a, "abc") == a && strcmp(a, "abc") == 0);
  CHECK(lstrcpyW(w, L"abc") == w && wcscmp(w, L"abc") == 0);
  CHECK(lstrcatA(a, "def") == a && strcmp(a, "abcdef") == 0);
  CHECK(lstrcatW(w, L"def") == w && wcscmp(w, L"abcdef") == 0);
  CHECK(lstrcpynA(a, "abcdef", 4) == a && strcmp(a, "abc") == 0);
  CHECK(lstrcpynW(w, L"abcdef", 4) == w && wcscmp(w, L"abc") == 0);
  CHECK(lstrcmpA("a", "b") == -1);
  CHECK(lstrcmpA("a", "A") == -1);
  CHECK(lstrcmpW(L"b", L"a") == 1);
  CHECK(lstrcmpiA("HELLO", "hello") == 0);
  CHECK(lstrcmpiW(L"HELLO", L"hellp") == -1);
}

static void mul_div(void) {
  CHECK(MulDiv(10, 20, 3) == 67);
  CHECK(MulDiv(-10, 20, 3) == -67);
  CHECK(MulDiv(1, 1, 2) == 1);
  CHECK(MulDiv(1, 1, 0) == -1);
  CHECK(MulDiv(0x7FFFFFFF, 2, 1) == -1);
}

static DWORD format(char* out, DWORD room, const char* text, ...) {
  va_list values;
  va_start(values, text);
  DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_STRING, text, 0, 0, out, room, &values);
  va_end(values);
  return length;
}

static void messages(void) {
  char out[128];
  WCHAR wide[128];
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, ERROR_FILE_NOT_FOUND, 0x409, out, 128, NULL) > 0);
  if (!running_under_wine()) {  // Wine words it differently
    CHECK(strcmp(out, "The system cannot find the file specified.\r\n") == 0);
  }
  CHECK(FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, ERROR_ACCESS_DENIED,
                       0, wide, 128, NULL) > 0);
  CHECK(wcsncmp(wide, L"Access", 6) == 0);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 0x0ABCDEF0, 0, out, 128, NULL) == 0);
  CHECK(GetLastError() == ERROR_MR_MID_NOT_FOUND);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_STRING, "too long", 0, 0, out, 4, NULL) == 0);
  CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);

  CHECK(format(out, 128, "%1 is %2!d!, %3!08X!%%%n", "answer", 42, 0xBEEF) == 25);
  CHECK(strcmp(out, "answer is 42, 0000BEEF%\r\n") == 0);
  DWORD_PTR array[] = {(DWORD_PTR)L"one", (DWORD_PTR)L"two"};
  CHECK(FormatMessageW(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ARGUMENT_ARRAY, L"%2-%1!5s!", 0, 0, wide,
                       128, (va_list*)array) == 9);
  CHECK(wcscmp(wide, L"two-  one") == 0);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_IGNORE_INSERTS, "%1!s! stays", 0, 0, out,
                       128, NULL) == 11);
  CHECK(strcmp(out, "%1!s! stays") == 0);

  char* made = NULL;
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ALLOCATE_BUFFER, "made%nof two", 0, 0,
                       (LPSTR)&made, 0, NULL) == 12);
  CHECK(made != NULL && strcmp(made, "made\r\nof two") == 0);
  CHECK(LocalFree(made) == NULL);
}

int main(void) {
  strings();
  mul_div();
  messages();
  return DONE();
}
