// The four hooks by which Wine's PE builds of the C runtimes write debug output. Every channel is off, so a
// well-behaved caller asks for the flags and goes no further.
#include <array>
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

/// A copy that lives until the thread has asked for enough others: callers print it and forget it.
const char* __wine_dbg_strdup(const char* text) {
  static thread_local std::array<char, 4096> ring;
  static thread_local std::size_t next = 0;
  const std::size_t size = std::min(std::strlen(text) + 1, ring.size());
  if (ring.size() - next < size) next = 0;
  char* copy = ring.data() + next;
  std::memcpy(copy, text, size);
  copy[size - 1] = 0;
  next += size;
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
