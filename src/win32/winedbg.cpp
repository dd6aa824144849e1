// The four hooks by which Wine's PE builds of the C runtimes write debug output. Every channel is off, so a
// well-behaved caller asks for the flags and goes no further.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>

#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

/// No class of any channel is enabled.
BOBBIN_MS_ABI unsigned char __wine_dbg_get_channel_flags(void*) { return 0; }

/// -1: print nothing.
BOBBIN_MS_ABI int __wine_dbg_header(int, void*, const char*) { return -1; }

int __wine_dbg_output(const char* text) {
  return std::fputs(text, stderr) < 0 ? -1 : static_cast<int>(std::strlen(text));
}

/// A copy that lives until 64 KiB more have been asked for: callers print it and forget it. One ring for all
/// threads: every one of them would pay for one of its own.
const char* __wine_dbg_strdup(const char* text) {
  static std::array<char, 64 << 10> ring;
  static std::atomic<std::size_t> used{0};
  const std::size_t size = std::min<std::size_t>(std::strlen(text) + 1, 4096);
  std::size_t at = 0;
  do {
    at = used.fetch_add(size, std::memory_order_relaxed) % ring.size();
  } while (ring.size() - at < size);
  char* copy = ring.data() + at;
  std::memcpy(copy, text, size);
  copy[size - 1] = 0;
  return copy;
}

const Export kExports[] = {
    HOT(kNtdll, __wine_dbg_get_channel_flags),
    HOT(kNtdll, __wine_dbg_header),
    NATIVE(kNtdll, __wine_dbg_output),
    NATIVE(kNtdll, __wine_dbg_strdup),
};

}  // namespace

std::span<const Export> winedbg_natives() { return kExports; }

}  // namespace bobbin::win32
