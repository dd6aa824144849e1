// Holding the loader lock.
#pragma once

#include "loader/loader.hpp"
#include "sync/critical_section.hpp"

namespace bobbin::loader {

/// Takes the loader lock for the calling (attached) thread; recursive.
class Loader::Guard {
 public:
  explicit Guard(Loader& loader) : lock_(loader.lock_) { held_ = sync::enter(lock_, thread::current_waiter()); }
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

}  // namespace bobbin::loader
