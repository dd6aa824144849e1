// Dates and times in words, by the pictures of GetDateFormat and GetTimeFormat ("dddd, MMMM d", "h:mm tt").
#pragma once

#include <string>
#include <string_view>

#include "nls/calendar.hpp"
#include "nls/locale.hpp"

namespace bobbin::nls {

/// d dd ddd dddd, M MM MMM MMMM, y yy yyyy, g gg (A.D.); 'quoted' text and all other characters stand for
/// themselves. `date.day_of_week` must be right.
[[nodiscard]] std::u16string format_date(const Locale& locale, const DateTime& date,
                                         std::u16string_view picture);

/// What GetTimeFormat may be asked to leave out.
struct TimeParts {
  bool minutes = true;
  bool seconds = true;
  bool marker = true;     ///< AM, PM
  bool hours_24 = false;  ///< h as H
};

/// h hh, H HH, m mm, s ss, t tt. A part that is left out takes the separators before it with it.
[[nodiscard]] std::u16string format_time(const Locale& locale, const DateTime& date,
                                         std::u16string_view picture, TimeParts parts = {});

}  // namespace bobbin::nls
