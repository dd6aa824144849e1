// Random numbers, for every interface that has them.
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstddef>

namespace bobbin::win32 {

/// Fills `out` from the host's generator; false if that fails.
[[nodiscard]] inline bool fill_random(void* out, std::size_t size) {
  auto* at = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;  // a long one, by a signal
    if (got < 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace bobbin::win32
