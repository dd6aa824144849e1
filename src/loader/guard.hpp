// Holding the loader lock.
#pragma once

#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "sync/critical_section.hpp"

namespace bobbin::loader {

/// Takes the loader lock for the calling (attached) thread; recursive.
class Loader::Guard {
 public:
  explicit Guard(Loader& loader) : lock_(loader.lock_) {
    held_ = sync::enter(lock_, thread::current_waiter());
  }
  ~Guard() {
    if (held_) sync::leave(lock_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  /// False if the thread was stopped while it waited: it is to return to its native's end.
  [[nodiscard]] bool held() const { return held_; }

 private:
  abi::RTL_CRITICAL_SECTION& lock_;
  bool held_ = false;
};

/// What a function answers whose guard is not held.
[[nodiscard]] inline std::unexpected<Error> interrupted() {
  return fail({.kind = ErrorKind::guest_ended,
               .status = abi::STATUS_THREAD_IS_TERMINATING,
               .what = "the thread was stopped while it waited for the loader lock"});
}

}  // namespace bobbin::loader
