// What all natives share: the services and the voice of partial functions.
#include <cstdio>
#include <mutex>
#include <set>
#include <string>

#include "win32/native.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {

namespace detail {
constinit Services* g_services = nullptr;
}

void install(Services* services) noexcept { detail::g_services = services; }

void report_partial(const char* name, const char* what_is_missing) {
  static std::mutex mutex;
  static std::set<std::string> reported;
  const std::scoped_lock lock(mutex);
  if (reported.insert(name).second) std::fprintf(stderr, "bobbin: %s: %s\n", name, what_is_missing);
}

}  // namespace bobbin::win32
