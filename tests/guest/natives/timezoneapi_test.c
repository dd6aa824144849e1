// Clocks, dates, time zones; ntdll's twins; DOS dates.
#include "../check.h"

#define FROM(dll, type, name, arguments) \
  type(WINAPI* name) arguments = (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA(dll), #name)

static ULONGLONG ticks(FILETIME time) { return (ULONGLONG)time.dwHighDateTime << 32 | time.dwLowDateTime; }

static const ULONGLONG kSecond = 10000000;

static void now(void) {
  FROM("kernel32.dll", void, GetSystemTimePreciseAsFileTime, (FILETIME*));
  FROM("kernel32.dll", BOOL, QueryUnbiasedInterruptTime, (ULONGLONG*));
  FROM("ntdll.dll", LONG, NtQuerySystemTime, (LARGE_INTEGER*));
  FROM("ntdll.dll", LONGLONG, RtlGetSystemTimePrecise, (void));
  FILETIME file, precise, from_date;
  SYSTEMTIME utc, local;
  LARGE_INTEGER native;
  GetSystemTimeAsFileTime(&file);
  GetSystemTimePreciseAsFileTime(&precise);
  CHECK(ticks(file) > 132000000000000000ull);  // 2019
  CHECK(ticks(precise) + kSecond > ticks(file));
  CHECK(NtQuerySystemTime(&native) == 0);
  CHECK((ULONGLONG)native.QuadPart + kSecond > ticks(file));
  if (RtlGetSystemTimePrecise) CHECK((ULONGLONG)RtlGetSystemTimePrecise() + kSecond > ticks(file));
  GetSystemTime(&utc);
  CHECK(SystemTimeToFileTime(&utc, &from_date));
  CHECK(ticks(from_date) + kSecond > ticks(file));
  GetLocalTime(&local);
  CHECK(local.wYear >= 2019 && local.wMonth >= 1 && local.wMonth <= 12 && local.wHour < 24);

  DWORD low = GetTickCount();
  ULONGLONG wide = GetTickCount64();
  CHECK((DWORD)wide - low < 10000);
  Sleep(30);
  CHECK(GetTickCount64() - wide >= 10);
  ULONGLONG unbiased = 0, later = 0;
  CHECK(QueryUnbiasedInterruptTime(&unbiased) && unbiased != 0);
  CHECK(QueryUnbiasedInterruptTime(&later) && later >= unbiased);

  DWORD adjustment = 0, increment = 0;
  BOOL disabled = FALSE;
  CHECK(GetSystemTimeAdjustment(&adjustment, &increment, &disabled));
  CHECK(increment != 0 && adjustment != 0);
  if (!running_under_wine()) {  // which may have the privilege
    CHECK(!SetSystemTime(&utc) && GetLastError() == ERROR_PRIVILEGE_NOT_HELD);
    CHECK(!SetLocalTime(&local) && GetLastError() == ERROR_PRIVILEGE_NOT_HELD);
  }
}

static void conversions(void) {
  SYSTEMTIME leap = {2024, 2, 0, 29, 15, 4, 6, 678}, back, bad = {2023, 2, 0, 29, 0, 0, 0, 0};
  FILETIME time, other, local;
  CHECK(SystemTimeToFileTime(&leap, &time));
  CHECK(ticks(time) == (1709219046ull * 1000 + 678) * 10000 + 116444736000000000ull);
  CHECK(FileTimeToSystemTime(&time, &back));
  CHECK(back.wYear == 2024 && back.wMonth == 2 && back.wDay == 29 && back.wDayOfWeek == 4 &&
        back.wMilliseconds == 678);
  if (!running_under_wine()) {  // which takes it for the 1st of March
    CHECK(!SystemTimeToFileTime(&bad, &other));
    CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  }
  bad.wMonth = 13;
  CHECK(!SystemTimeToFileTime(&bad, &other));
  FILETIME late = {0, 0x80000000};
  CHECK(!FileTimeToSystemTime(&late, &back));
  CHECK(FileTimeToLocalFileTime(&time, &local));
  CHECK(LocalFileTimeToFileTime(&local, &other));
  CHECK(CompareFileTime(&time, &other) == 0);
  other.dwHighDateTime++;
  CHECK(CompareFileTime(&time, &other) == -1);
  CHECK(CompareFileTime(&other, &time) == 1);

  WORD date = 0, clock = 0;
  leap.wMilliseconds = 0;
  CHECK(SystemTimeToFileTime(&leap, &time));
  CHECK(FileTimeToDosDateTime(&time, &date, &clock));
  CHECK(date == 0x585D && clock == 0x7883);
  CHECK(DosDateTimeToFileTime(date, clock, &other));
  CHECK(CompareFileTime(&time, &other) == 0);
  CHECK(!DosDateTimeToFileTime(0, 0, &other));
}

static void zones(void) {
  FROM("kernel32.dll", DWORD, GetDynamicTimeZoneInformation, (void*));
  FROM("kernel32.dll", BOOL, GetTimeZoneInformationForYear, (USHORT, void*, TIME_ZONE_INFORMATION*));
  FROM("kernel32.dll", BOOL, TzSpecificLocalTimeToSystemTime,
       (const TIME_ZONE_INFORMATION*, const SYSTEMTIME*, SYSTEMTIME*));
  TIME_ZONE_INFORMATION host, dated;
  struct {
    TIME_ZONE_INFORMATION zone;
    WCHAR key[128];
    BOOLEAN disabled;
  } dynamic;
  DWORD season = GetTimeZoneInformation(&host);
  CHECK(season <= TIME_ZONE_ID_DAYLIGHT);
  CHECK(host.Bias >= -14 * 60 && host.Bias <= 12 * 60);
  CHECK(GetDynamicTimeZoneInformation(&dynamic) == season);
  CHECK(dynamic.zone.Bias == host.Bias && dynamic.key[0] != 0);
  CHECK(GetTimeZoneInformationForYear(2020, NULL, &dated));
  CHECK(dated.Bias >= -14 * 60 && dated.Bias <= 12 * 60);

  // Central Europe, whatever the host's zone is.
  TIME_ZONE_INFORMATION berlin = {0};
  berlin.Bias = -60;
  berlin.DaylightBias = -60;
  berlin.DaylightDate = (SYSTEMTIME){0, 3, 0, 5, 2, 0, 0, 0};
  berlin.StandardDate = (SYSTEMTIME){0, 10, 0, 5, 3, 0, 0, 0};
  SYSTEMTIME winter = {2024, 1, 1, 1, 12, 0, 0, 0}, summer = {2024, 7, 1, 1, 12, 0, 0, 0}, local, utc;
  CHECK(SystemTimeToTzSpecificLocalTime(&berlin, &winter, &local) && local.wHour == 13);
  CHECK(SystemTimeToTzSpecificLocalTime(&berlin, &summer, &local) && local.wHour == 14);
  CHECK(TzSpecificLocalTimeToSystemTime(&berlin, &local, &utc) && utc.wHour == 12);
  CHECK(SystemTimeToTzSpecificLocalTime(NULL, &winter, &local));
  CHECK(TzSpecificLocalTimeToSystemTime(NULL, &local, &utc) && utc.wHour == 12);
}

static void ntdll(void) {
  FROM("ntdll.dll", BOOLEAN, RtlTimeToSecondsSince1970, (const LARGE_INTEGER*, ULONG*));
  FROM("ntdll.dll", void, RtlSecondsSince1970ToTime, (ULONG, LARGE_INTEGER*));
  FROM("ntdll.dll", void, RtlTimeToTimeFields, (const LARGE_INTEGER*, SHORT*));
  FROM("ntdll.dll", BOOLEAN, RtlTimeFieldsToTime, (const SHORT*, LARGE_INTEGER*));
  LARGE_INTEGER time, back;
  ULONG seconds = 0;
  RtlSecondsSince1970ToTime(1709219046, &time);
  CHECK(RtlTimeToSecondsSince1970(&time, &seconds) && seconds == 1709219046);
  SHORT fields[8] = {0};
  RtlTimeToTimeFields(&time, fields);
  CHECK(fields[0] == 2024 && fields[1] == 2 && fields[2] == 29 && fields[3] == 15 && fields[7] == 4);
  CHECK(RtlTimeFieldsToTime(fields, &back) && back.QuadPart == time.QuadPart);
  fields[1] = 13;
  CHECK(!RtlTimeFieldsToTime(fields, &back));
  time.QuadPart = 0;
  CHECK(!RtlTimeToSecondsSince1970(&time, &seconds));
}

int main(void) {
  now();
  conversions();
  zones();
  ntdll();
  return DONE();
}
