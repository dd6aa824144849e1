// Fast paths: the few instructions that answer most calls of a native.
//
// A call is dearer when caller and callee stand more than 4 GiB apart: branch predictors keep the far half of
// a target elsewhere (here 2.0 ns against 1.3). Our code stands where the host's linker put it, guest images
// stand low. So code that needs nothing but its arguments and gs: is copied into the synthetic image of the
// DLL that exports it, which stands among the guest's images (loader/native_modules.hpp).
//
// A path either returns, or runs off its end with the arguments as they came: there the image has a jump to
// the whole function. So a path may leave out whatever is rare, and the whole function is always right alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bobbin::arch {

/// Position-independent code; lies in read-only data and never runs there.
struct FastPath {
  std::uint64_t size;  ///< of the code that follows this
  [[nodiscard]] std::span<const std::byte> code() const {
    return {reinterpret_cast<const std::byte*>(this + 1), size};
  }
};

extern "C" {
extern const FastPath bobbin_fast_TlsGetValue;
extern const FastPath bobbin_fast_TlsGetValue2;
extern const FastPath bobbin_fast_TlsSetValue;
extern const FastPath bobbin_fast_FlsGetValue;
extern const FastPath bobbin_fast_FlsGetValue2;
extern const FastPath bobbin_fast_FlsSetValue;
extern const FastPath bobbin_fast_GetLastError;
extern const FastPath bobbin_fast_SetLastError;
extern const FastPath bobbin_fast_GetCurrentThreadId;
extern const FastPath bobbin_fast_SwitchToFiber;
}

}  // namespace bobbin::arch
