#include "trace/trace.hpp"

namespace bobbin::trace {
namespace {
constinit std::atomic<Sink> g_sink{nullptr};
}

void install(Sink sink, std::uint32_t categories) noexcept {
  g_sink = sink;
  enabled_categories = sink != nullptr ? categories : 0;
}

void write(Category category, std::string_view line) {
  if (const Sink sink = g_sink.load()) sink(category, line);
}

}  // namespace bobbin::trace
