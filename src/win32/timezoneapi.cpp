// timezoneapi.h and the time half of sysinfoapi.h: clocks, dates, time zones; ntdll's twins; DOS dates
// (winbase.h).
#include <algorithm>
#include <mutex>

#include "abi/status.hpp"
#include "nls/calendar.hpp"
#include "nls/time_zone.hpp"
#include "os/os.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using nls::DateTime;
using nls::TimeZone;
using SYSTEMTIME = nls::DateTime;
static_assert(sizeof(SYSTEMTIME) == 16);

struct TIME_ZONE_INFORMATION {
  LONG Bias;
  WCHAR StandardName[32];
  SYSTEMTIME StandardDate;
  LONG StandardBias;
  WCHAR DaylightName[32];
  SYSTEMTIME DaylightDate;
  LONG DaylightBias;
};
static_assert(sizeof(TIME_ZONE_INFORMATION) == 172);

struct DYNAMIC_TIME_ZONE_INFORMATION {
  TIME_ZONE_INFORMATION zone;
  WCHAR TimeZoneKeyName[128];
  BOOLEAN DynamicDaylightTimeDisabled;
};
static_assert(sizeof(DYNAMIC_TIME_ZONE_INFORMATION) == 432);

/// ntdll's SYSTEMTIME.
struct TIME_FIELDS {
  SHORT Year, Month, Day, Hour, Minute, Second, Milliseconds, Weekday;
};

std::uint64_t ticks(const FILETIME& time) {
  return std::uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
}

FILETIME file_time(std::uint64_t ticks) {
  return {static_cast<DWORD>(ticks), static_cast<DWORD>(ticks >> 32)};
}

/// The host's rules for a year; reading them takes a walk through its days, so the last one is kept.
TimeZone zone_of_year(unsigned year) {
  static std::mutex mutex;  // guards the two below
  static unsigned kept_year = 0;
  static TimeZone kept;
  const std::scoped_lock lock(mutex);
  if (kept_year != year) {
    kept = nls::host_time_zone(year);
    kept_year = year;
  }
  return kept;
}

TimeZone zone_at(std::uint64_t ticks) {
  const auto date = nls::date_from(ticks);
  return zone_of_year(date ? date->year : 2000u);
}

TimeZone current_zone() { return zone_at(os::system_time_now()); }

TimeZone from_guest(const TIME_ZONE_INFORMATION& given) {
  TimeZone zone;
  zone.bias = given.Bias;
  zone.standard_bias = given.StandardBias;
  zone.daylight_bias = given.DaylightBias;
  zone.standard_date = given.StandardDate;
  zone.daylight_date = given.DaylightDate;
  return zone;
}

TIME_ZONE_INFORMATION to_guest(const TimeZone& zone) {
  TIME_ZONE_INFORMATION out{};
  out.Bias = zone.bias;
  out.StandardBias = zone.standard_bias;
  out.DaylightBias = zone.daylight_bias;
  out.StandardDate = zone.standard_date;
  out.DaylightDate = zone.daylight_date;
  std::ranges::copy(zone.standard_name.substr(0, 31), out.StandardName);
  std::ranges::copy(zone.daylight_name.substr(0, 31), out.DaylightName);
  return out;
}

// ---- now -------------------------------------------------------------------------------------------------

BOBBIN_MS_ABI void GetSystemTimeAsFileTime(FILETIME* out) { *out = file_time(os::system_time_now()); }
BOBBIN_MS_ABI void GetSystemTimePreciseAsFileTime(FILETIME* out) { *out = file_time(os::system_time_now()); }

BOBBIN_MS_ABI NTSTATUS NtQuerySystemTime(LARGE_INTEGER* out) {
  if (out == nullptr) return static_cast<NTSTATUS>(STATUS_ACCESS_VIOLATION);
  out->QuadPart = static_cast<LONGLONG>(os::system_time_now());
  return STATUS_SUCCESS;
}

BOBBIN_MS_ABI LONGLONG RtlGetSystemTimePrecise() { return static_cast<LONGLONG>(os::system_time_now()); }

BOBBIN_MS_ABI ULONGLONG GetTickCount64() { return os::monotonic_now() / 1'000'000; }
BOBBIN_MS_ABI DWORD GetTickCount() { return static_cast<DWORD>(GetTickCount64()); }

BOBBIN_MS_ABI BOOL QueryUnbiasedInterruptTime(ULONGLONG* out) {
  if (out == nullptr) return FALSE;
  *out = os::monotonic_now() / 100;
  return TRUE;
}

void GetSystemTime(SYSTEMTIME* out) { *out = nls::date_from(os::system_time_now()).value_or(SYSTEMTIME{}); }

void GetLocalTime(SYSTEMTIME* out) {
  const std::uint64_t now = os::system_time_now();
  *out = nls::date_from(nls::utc_to_local(zone_at(now), now)).value_or(SYSTEMTIME{});
}

// The host's clock is not a guest's to set: as for a user without that privilege.
BOOL SetSystemTime(const SYSTEMTIME*) { return failed(ERROR_PRIVILEGE_NOT_HELD); }
BOOL SetLocalTime(const SYSTEMTIME*) { return failed(ERROR_PRIVILEGE_NOT_HELD); }

/// The clock advances 15.625 ms a tick, and nobody slews it.
BOOL GetSystemTimeAdjustment(DWORD* adjustment, DWORD* increment, BOOL* disabled) {
  *adjustment = *increment = 156'250;
  *disabled = TRUE;
  return TRUE;
}

// ---- conversions -----------------------------------------------------------------------------------------

BOOL FileTimeToSystemTime(const FILETIME* time, SYSTEMTIME* out) {
  const auto date = nls::date_from(ticks(*time));
  if (!date) return failed(ERROR_INVALID_PARAMETER);
  *out = *date;
  return TRUE;
}

BOOL SystemTimeToFileTime(const SYSTEMTIME* date, FILETIME* out) {
  const auto found = nls::ticks_from(*date);
  if (!found) return failed(ERROR_INVALID_PARAMETER);
  *out = file_time(*found);
  return TRUE;
}

/// By the offset that holds now, whatever held at that time: that is what Windows does here.
int current_bias() {
  const std::uint64_t now = os::system_time_now();
  const TimeZone zone = zone_at(now);
  return nls::bias_in(zone, nls::season_at(zone, now));
}

BOOL shift(const FILETIME* time, std::int64_t minutes, FILETIME* out) {
  const auto there =
      static_cast<std::int64_t>(ticks(*time)) + minutes * static_cast<std::int64_t>(nls::kTicksPerMinute);
  if (there < 0) return failed(ERROR_INVALID_PARAMETER);
  *out = file_time(static_cast<std::uint64_t>(there));
  return TRUE;
}

BOOL FileTimeToLocalFileTime(const FILETIME* time, FILETIME* out) {
  return shift(time, -current_bias(), out);
}
BOOL LocalFileTimeToFileTime(const FILETIME* time, FILETIME* out) { return shift(time, current_bias(), out); }

LONG CompareFileTime(const FILETIME* a, const FILETIME* b) {
  return ticks(*a) < ticks(*b) ? -1 : ticks(*a) > ticks(*b);
}

BOOL FileTimeToDosDateTime(const FILETIME* time, WORD* date, WORD* clock) {
  // FAT counts in steps of two seconds; Windows rounds up, so that a copy never seems older.
  const auto found = nls::date_from(ticks(*time) + 2 * nls::kTicksPerSecond - 1);
  const auto packed = found ? nls::dos_from(*found) : std::nullopt;
  if (!packed) return failed(ERROR_INVALID_PARAMETER);
  *date = static_cast<WORD>(*packed >> 16);
  *clock = static_cast<WORD>(*packed);
  return TRUE;
}

BOOL DosDateTimeToFileTime(WORD date, WORD clock, FILETIME* out) {
  const auto found = nls::date_from_dos(date, clock);
  if (!found) return failed(ERROR_INVALID_PARAMETER);
  return SystemTimeToFileTime(&*found, out);
}

// ---- zones -----------------------------------------------------------------------------------------------

DWORD GetTimeZoneInformation(TIME_ZONE_INFORMATION* out) {
  const TimeZone zone = current_zone();
  *out = to_guest(zone);
  return static_cast<DWORD>(nls::season_at(zone, os::system_time_now()));
}

DWORD GetDynamicTimeZoneInformation(DYNAMIC_TIME_ZONE_INFORMATION* out) {
  *out = {};
  const DWORD season = GetTimeZoneInformation(&out->zone);
  const std::u16string name = current_zone().standard_name;
  std::ranges::copy(name == u"Coordinated Universal Time" ? u"UTC" : name.substr(0, 127),
                    out->TimeZoneKeyName);
  return season;
}

BOOL GetTimeZoneInformationForYear(USHORT year, DYNAMIC_TIME_ZONE_INFORMATION* dynamic,
                                   TIME_ZONE_INFORMATION* out) {
  if (dynamic != nullptr) return failed(ERROR_NOT_SUPPORTED);  // zones by their registry key are not known
  if (year < 1601 || year > 30827) return failed(ERROR_INVALID_PARAMETER);
  *out = to_guest(zone_of_year(year));
  return TRUE;
}

TimeZone zone_or_hosts(const TIME_ZONE_INFORMATION* given, std::uint64_t ticks) {
  return given != nullptr ? from_guest(*given) : zone_at(ticks);
}

BOOL convert(const TIME_ZONE_INFORMATION* zone, const SYSTEMTIME* from, SYSTEMTIME* to, auto direction) {
  const auto there = nls::ticks_from(*from);
  const auto back = there ? nls::date_from(direction(zone_or_hosts(zone, *there), *there)) : std::nullopt;
  if (!back) return failed(ERROR_INVALID_PARAMETER);
  *to = *back;
  return TRUE;
}

BOOL SystemTimeToTzSpecificLocalTime(const TIME_ZONE_INFORMATION* zone, const SYSTEMTIME* utc,
                                     SYSTEMTIME* local) {
  return convert(zone, utc, local, nls::utc_to_local);
}

BOOL TzSpecificLocalTimeToSystemTime(const TIME_ZONE_INFORMATION* zone, const SYSTEMTIME* local,
                                     SYSTEMTIME* utc) {
  return convert(zone, local, utc, nls::local_to_utc);
}

// ---- ntdll -----------------------------------------------------------------------------------------------

BOOLEAN RtlTimeToSecondsSince1970(const LARGE_INTEGER* time, ULONG* seconds) {
  const std::int64_t since = time->QuadPart / static_cast<std::int64_t>(nls::kTicksPerSecond) -
                             static_cast<std::int64_t>(nls::kUnixEpoch / nls::kTicksPerSecond);
  if (since < 0 || since > 0xFFFFFFFFll) return FALSE;
  *seconds = static_cast<ULONG>(since);
  return TRUE;
}

void RtlSecondsSince1970ToTime(ULONG seconds, LARGE_INTEGER* time) {
  time->QuadPart = static_cast<LONGLONG>(seconds * nls::kTicksPerSecond + nls::kUnixEpoch);
}

void RtlTimeToTimeFields(const LARGE_INTEGER* time, TIME_FIELDS* out) {
  const DateTime date = nls::date_from(static_cast<std::uint64_t>(time->QuadPart)).value_or(DateTime{});
  const auto word = [](auto value) { return static_cast<SHORT>(value); };
  *out = {word(date.year),   word(date.month),  word(date.day),         word(date.hour),
          word(date.minute), word(date.second), word(date.millisecond), word(date.day_of_week)};
}

BOOLEAN RtlTimeFieldsToTime(const TIME_FIELDS* fields, LARGE_INTEGER* time) {
  const auto word = [](auto value) { return static_cast<std::uint16_t>(value); };
  const auto found =
      nls::ticks_from({word(fields->Year), word(fields->Month), 0, word(fields->Day), word(fields->Hour),
                       word(fields->Minute), word(fields->Second), word(fields->Milliseconds)});
  if (!found) return FALSE;
  time->QuadPart = static_cast<LONGLONG>(*found);
  return TRUE;
}

const Export kExports[] = {
    NATIVE(kKernel32, CompareFileTime),
    NATIVE(kKernel32, DosDateTimeToFileTime),
    NATIVE(kKernel32, FileTimeToDosDateTime),
    NATIVE(kKernel32, FileTimeToLocalFileTime),
    NATIVE(kKernel32, FileTimeToSystemTime),
    NATIVE(kKernel32, GetDynamicTimeZoneInformation),
    NATIVE(kKernel32, GetLocalTime),
    NATIVE(kKernel32, GetSystemTime),
    NATIVE(kKernel32, GetSystemTimeAdjustment),
    HOT(kKernel32, GetSystemTimeAsFileTime),
    HOT(kKernel32, GetSystemTimePreciseAsFileTime),
    HOT(kKernel32, GetTickCount),
    HOT(kKernel32, GetTickCount64),
    NATIVE(kKernel32, GetTimeZoneInformation),
    NATIVE(kKernel32, GetTimeZoneInformationForYear),
    NATIVE(kKernel32, LocalFileTimeToFileTime),
    HOT(kKernel32, QueryUnbiasedInterruptTime),
    NATIVE(kKernel32, SetLocalTime),
    NATIVE(kKernel32, SetSystemTime),
    NATIVE(kKernel32, SystemTimeToFileTime),
    NATIVE(kKernel32, SystemTimeToTzSpecificLocalTime),
    NATIVE(kKernel32, TzSpecificLocalTimeToSystemTime),
    HOT(kNtdll, NtQuerySystemTime),
    HOT(kNtdll, RtlGetSystemTimePrecise),
    NATIVE(kNtdll, RtlSecondsSince1970ToTime),
    NATIVE(kNtdll, RtlTimeFieldsToTime),
    NATIVE(kNtdll, RtlTimeToSecondsSince1970),
    NATIVE(kNtdll, RtlTimeToTimeFields),
};

}  // namespace

std::span<const Export> timezoneapi_natives() { return kExports; }

}  // namespace bobbin::win32
