// How a native calls a function that the guest gave it (an enumeration's callback, an exception filter).
#pragma once

#include "thread/guest_call.hpp"
#include "win32/native.hpp"

namespace bobbin::win32 {

/// Calls `callback` in the guest and answers what it returned, or a zero if the guest ended meanwhile (the
/// native then returns at once, and its scope's end goes on with the leaving). The caller holds no lock.
template <class R, class... A, class... B>
R call_guest(BOBBIN_MS_ABI R (*callback)(A...), B... arguments) {
  return thread::call_guest<R(A...)>(reinterpret_cast<void*>(callback), arguments...).value_or(R{});
}

}  // namespace bobbin::win32
