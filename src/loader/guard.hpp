// Holding the loader lock, and a module with it.
#pragma once

#include <utility>

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
  Guard(Guard&& other) noexcept : lock_(other.lock_), held_(std::exchange(other.held_, false)) {}
  Guard& operator=(Guard&&) = delete;
  /// False if the thread was stopped while it waited: it is to return to its native's end.
  [[nodiscard]] bool held() const { return held_; }

 private:
  abi::RTL_CRITICAL_SECTION& lock_;
  bool held_ = false;
};

/// A module that was looked for, and the loader lock as long as this lives: so nobody frees it meanwhile.
/// Empty if there is no such module, or if the thread was stopped while it waited for the lock.
class Loader::Found {
 public:
  template <class Look>
  Found(Loader& loader, Look look) : guard_(loader), module_(guard_.held() ? look() : nullptr) {}
  explicit operator bool() const { return module_ != nullptr; }
  [[nodiscard]] Module& operator*() const { return *module_; }
  [[nodiscard]] Module* operator->() const { return module_; }

 private:
  Guard guard_;
  Module* module_;
};

/// What a function answers whose guard is not held.
[[nodiscard]] inline std::unexpected<Error> interrupted() {
  return fail({.kind = ErrorKind::guest_ended,
               .status = abi::STATUS_THREAD_IS_TERMINATING,
               .what = "the thread was stopped while it waited for the loader lock"});
}

}  // namespace bobbin::loader
