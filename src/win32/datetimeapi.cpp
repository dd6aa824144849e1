// datetimeapi.h: dates and times in words.
#include <expected>
#include <optional>

#include "abi/status.hpp"
#include "nls/formats.hpp"
#include "nls/time_zone.hpp"
#include "nls/utf.hpp"
#include "os/os.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using SYSTEMTIME = nls::DateTime;

enum : DWORD {
  DATE_SHORTDATE = 0x1,
  DATE_LONGDATE = 0x2,
  DATE_YEARMONTH = 0x8,
  DATE_LTRREADING = 0x10,
  DATE_AUTOLAYOUT = 0x40,
  DATE_MONTHDAY = 0x80,
  TIME_NOMINUTESORSECONDS = 0x1,
  TIME_NOSECONDS = 0x2,
  TIME_NOTIMEMARKER = 0x4,
  TIME_FORCE24HOURFORMAT = 0x8,
  LOCALE_NOUSEROVERRIDE = 0x80000000,
  LOCALE_USE_CP_ACP = 0x40000000,
};
constexpr DWORD kCommonFlags = LOCALE_NOUSEROVERRIDE | LOCALE_USE_CP_ACP;

/// The answer, with its terminating zero; or the error.
using Formatted = std::expected<std::u16string, DWORD>;

SYSTEMTIME local_now() {
  const std::uint64_t now = os::system_time_now();
  const auto date = nls::date_from(now);
  const nls::TimeZone zone = nls::host_time_zone(date ? date->year : 2000u);
  return nls::date_from(nls::utc_to_local(zone, now)).value_or(SYSTEMTIME{});
}

const nls::Locale* locale_named(LPCWSTR name) {
  return name == nullptr ? &nls::user_locale() : nls::find_locale(std::u16string_view(name));
}

/// The locale's picture that the flags name; nothing if they name none, or two.
std::optional<std::uint32_t> date_picture(DWORD flags) {
  switch (flags & (DATE_SHORTDATE | DATE_LONGDATE | DATE_YEARMONTH | DATE_MONTHDAY)) {
    case 0:
    case DATE_SHORTDATE:
      return nls::LOCALE_SSHORTDATE;
    case DATE_LONGDATE:
      return nls::LOCALE_SLONGDATE;
    case DATE_YEARMONTH:
      return nls::LOCALE_SYEARMONTH;
    case DATE_MONTHDAY:
      return nls::LOCALE_SMONTHDAY;
    default:
      return std::nullopt;
  }
}

Formatted date_text(const nls::Locale* locale, DWORD flags, const SYSTEMTIME* date, const WCHAR* picture) {
  constexpr DWORD kKnown = DATE_SHORTDATE | DATE_LONGDATE | DATE_YEARMONTH | DATE_MONTHDAY | DATE_LTRREADING |
                           DATE_AUTOLAYOUT | kCommonFlags;
  if (locale == nullptr) return std::unexpected(ERROR_INVALID_PARAMETER);
  const auto named = date_picture(flags);
  const bool both = picture != nullptr && (flags & ~(kCommonFlags | DATE_LTRREADING | DATE_AUTOLAYOUT)) != 0;
  if ((flags & ~kKnown) || !named || both) return std::unexpected(ERROR_INVALID_FLAGS);
  SYSTEMTIME day = date != nullptr ? *date : local_now();
  day.hour = day.minute = day.second = day.millisecond = 0;
  const auto ticks = nls::ticks_from(day);
  if (!ticks) return std::unexpected(ERROR_INVALID_PARAMETER);
  const std::u16string_view used = picture != nullptr ? picture : *locale->text(*named);
  // The day of the week is worked out, not taken on trust.
  return nls::format_date(*locale, *nls::date_from(*ticks), used) + u'\0';
}

bool is_time_of_day(const SYSTEMTIME& time) {
  return time.hour < 24 && time.minute < 60 && time.second < 60 && time.millisecond < 1000;
}

Formatted time_text(const nls::Locale* locale, DWORD flags, const SYSTEMTIME* time, const WCHAR* picture) {
  constexpr DWORD kKnown =
      TIME_NOMINUTESORSECONDS | TIME_NOSECONDS | TIME_NOTIMEMARKER | TIME_FORCE24HOURFORMAT | kCommonFlags;
  if (locale == nullptr) return std::unexpected(ERROR_INVALID_PARAMETER);
  if (flags & ~kKnown) return std::unexpected(ERROR_INVALID_FLAGS);
  const SYSTEMTIME at = time != nullptr ? *time : local_now();
  if (!is_time_of_day(at)) return std::unexpected(ERROR_INVALID_PARAMETER);
  const nls::TimeParts parts{.minutes = (flags & TIME_NOMINUTESORSECONDS) == 0,
                             .seconds = (flags & (TIME_NOMINUTESORSECONDS | TIME_NOSECONDS)) == 0,
                             .marker = (flags & TIME_NOTIMEMARKER) == 0,
                             .hours_24 = (flags & TIME_FORCE24HOURFORMAT) != 0};
  const std::u16string_view used = picture != nullptr ? picture : *locale->text(nls::LOCALE_STIMEFORMAT);
  return nls::format_time(*locale, at, used, parts) + u'\0';
}

int answer(const Formatted& text, LPWSTR out, int room) {
  if (room < 0 || (room != 0 && out == nullptr)) return failed(ERROR_INVALID_PARAMETER);
  return text ? deliver(*text, out, room) : failed(text.error());
}

int answer(const Formatted& text, LPSTR out, int room) {
  if (room < 0 || (room != 0 && out == nullptr)) return failed(ERROR_INVALID_PARAMETER);
  return text ? deliver(nls::to_utf8(*text), out, room) : failed(text.error());
}

/// An A function's picture as a W function's.
struct WidePicture {
  explicit WidePicture(LPCSTR picture)
      : given(picture != nullptr), text(given ? nls::to_utf16(picture) : u"") {}
  [[nodiscard]] const WCHAR* get() const { return given ? text.c_str() : nullptr; }
  bool given;
  std::u16string text;
};

int GetDateFormatEx(LPCWSTR locale, DWORD flags, const SYSTEMTIME* date, LPCWSTR picture, LPWSTR out,
                    int room, LPCWSTR) {
  return answer(date_text(locale_named(locale), flags, date, picture), out, room);
}
int GetDateFormatW(LCID locale, DWORD flags, const SYSTEMTIME* date, LPCWSTR picture, LPWSTR out, int room) {
  return answer(date_text(nls::find_locale(locale), flags, date, picture), out, room);
}
int GetDateFormatA(LCID locale, DWORD flags, const SYSTEMTIME* date, LPCSTR picture, LPSTR out, int room) {
  return answer(date_text(nls::find_locale(locale), flags, date, WidePicture(picture).get()), out, room);
}

int GetTimeFormatEx(LPCWSTR locale, DWORD flags, const SYSTEMTIME* time, LPCWSTR picture, LPWSTR out,
                    int room) {
  return answer(time_text(locale_named(locale), flags, time, picture), out, room);
}
int GetTimeFormatW(LCID locale, DWORD flags, const SYSTEMTIME* time, LPCWSTR picture, LPWSTR out, int room) {
  return answer(time_text(nls::find_locale(locale), flags, time, picture), out, room);
}
int GetTimeFormatA(LCID locale, DWORD flags, const SYSTEMTIME* time, LPCSTR picture, LPSTR out, int room) {
  return answer(time_text(nls::find_locale(locale), flags, time, WidePicture(picture).get()), out, room);
}

const Export kExports[] = {
    NATIVE(kKernel32, GetDateFormatA), NATIVE(kKernel32, GetDateFormatEx), NATIVE(kKernel32, GetDateFormatW),
    NATIVE(kKernel32, GetTimeFormatA), NATIVE(kKernel32, GetTimeFormatEx), NATIVE(kKernel32, GetTimeFormatW),
};

}  // namespace

std::span<const Export> datetimeapi_natives() { return kExports; }

}  // namespace bobbin::win32
