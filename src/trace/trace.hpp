// What Bobbin is doing, for those who ask. An event is a category and one line of text; it goes to a sink
// that the runtime installs. Off (the default) a trace point costs one predictable branch on a relaxed load.
//
//   trace::emit(trace::Category::loader, [&] { return fmt::format(...); });
#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <string_view>

namespace bobbin::trace {

enum class Category : std::uint32_t { loader = 1, tls = 2, thread = 4, exit = 8, native = 16, sync = 32 };

/// Receives events; called from any thread, possibly from several at once; must not call into the guest.
using Sink = void (*)(Category, std::string_view line);

inline constinit std::atomic<std::uint32_t> enabled_categories{0};

[[nodiscard]] inline bool on(Category category) {
  return (enabled_categories.load(std::memory_order_relaxed) & static_cast<std::uint32_t>(category)) != 0;
}

/// Installs a sink and the set of categories (bits) that it wants; nullptr and 0 turn tracing off.
void install(Sink sink, std::uint32_t categories) noexcept;

/// Gives the sink a line, whoever wants it or not.
void write(Category category, std::string_view line);

/// Gives the sink what make_line() returns, if the category is wanted and there is memory for a line.
template <class MakeLine>
void emit(Category category, MakeLine make_line) noexcept {
  if (!on(category)) [[likely]]
    return;
  try {
    write(category, make_line());
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): what is traced goes on all the same
  }
}

}  // namespace bobbin::trace
