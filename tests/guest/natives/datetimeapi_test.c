// Dates and times in words.
#include "../check.h"

int main(void) {
  SYSTEMTIME at = {2024, 2, 4, 29, 15, 4, 5, 678};
  char a[80];
  WCHAR w[80];
  int(WINAPI * GetDateFormatEx)(LPCWSTR, DWORD, const SYSTEMTIME*, LPCWSTR, LPWSTR, int, LPCWSTR) =
      (void*)GetProcAddress(GetModuleHandleA("kernel32.dll"), "GetDateFormatEx");
  int(WINAPI * GetTimeFormatEx)(LPCWSTR, DWORD, const SYSTEMTIME*, LPCWSTR, LPWSTR, int) =
      (void*)GetProcAddress(GetModuleHandleA("kernel32.dll"), "GetTimeFormatEx");

  CHECK(GetDateFormatA(0x409, 0, &at, "dddd, MMMM d, yyyy", a, 80) == 28);
  CHECK(strcmp(a, "Thursday, February 29, 2024") == 0);
  CHECK(GetDateFormatA(0x409, DATE_SHORTDATE, &at, NULL, a, 80) == 10);
  CHECK(strcmp(a, "2/29/2024") == 0);
  CHECK(GetDateFormatW(0x409, DATE_LONGDATE, &at, NULL, w, 80) == 28);
  CHECK(wcscmp(w, L"Thursday, February 29, 2024") == 0);
  CHECK(GetDateFormatW(LOCALE_INVARIANT, 0, &at, L"ddd dd MMM yy 'o''clock'", w, 80) == 22);
  CHECK(wcscmp(w, L"Thu 29 Feb 24 o'clock") == 0);
  CHECK(GetDateFormatEx(L"", 0, &at, NULL, w, 80, NULL) == 11);
  CHECK(wcscmp(w, L"02/29/2024") == 0);
  CHECK(GetDateFormatW(0x409, 0, NULL, L"yyyy", w, 80) == 5);
  SetLastError(0);
  CHECK(GetDateFormatW(0x409, DATE_SHORTDATE | DATE_LONGDATE, &at, NULL, w, 80) == 0);
  CHECK(GetLastError() == ERROR_INVALID_FLAGS);
  CHECK(GetDateFormatW(0x409, 0, &at, L"yyyy", w, 3) == 0);
  CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  at.wMonth = 13;
  CHECK(GetDateFormatW(0x409, 0, &at, L"yyyy", w, 80) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  at.wMonth = 2;

  CHECK(GetTimeFormatA(0x409, 0, &at, NULL, a, 80) == 11);
  CHECK(strcmp(a, "3:04:05 PM") == 0);
  CHECK(GetTimeFormatA(0x409, 0, &at, "HH'h'mm", a, 80) == 6);
  CHECK(strcmp(a, "15h04") == 0);
  CHECK(GetTimeFormatW(0x409, TIME_NOSECONDS, &at, NULL, w, 80) == 8);
  CHECK(wcscmp(w, L"3:04 PM") == 0);
  CHECK(GetTimeFormatW(0x409, TIME_FORCE24HOURFORMAT | TIME_NOTIMEMARKER, &at, NULL, w, 80) == 9);
  CHECK(wcscmp(w, L"15:04:05") == 0);
  CHECK(GetTimeFormatEx(L"en-US", TIME_NOMINUTESORSECONDS, &at, NULL, w, 80) == 5);
  CHECK(wcscmp(w, L"3 PM") == 0);
  CHECK(GetTimeFormatW(0x409, 0, &at, NULL, NULL, 0) == 11);
  at.wHour = 24;
  CHECK(GetTimeFormatW(0x409, 0, &at, NULL, w, 80) == 0);
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  return DONE();
}
