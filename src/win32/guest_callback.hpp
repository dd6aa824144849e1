// How a native calls a function that the guest gave it (an enumeration's callback, an exception filter).
#pragma once

#include "win32/native.hpp"

namespace bobbin::win32 {

/// Calls `callback` in the guest and answers what it returned. While it runs, the thread is in guest code: it
/// may be stopped there, so the caller holds no lock and owns nothing that only it can give back.
template <class R, class... A, class... B>
R call_guest(BOBBIN_MS_ABI R (*callback)(A...), B... arguments) {
  thread::Place& place = thread::current_place();
  const thread::Where before = place.where.exchange(thread::Where::guest, std::memory_order_relaxed);
  const R result = callback(arguments...);
  place.where.store(before, std::memory_order_relaxed);
  return result;
}

}  // namespace bobbin::win32
