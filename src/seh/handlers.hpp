// Who wants to see exceptions before, and after, the frames of the thread that raised one: vectored handlers
// and the top-level filter. This is only the register; dispatch asks it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>

#include "os/os.hpp"

namespace bobbin::seh {

/// A guest's function of type PVECTORED_EXCEPTION_HANDLER or LPTOP_LEVEL_EXCEPTION_FILTER.
using GuestHandler = void*;

/// An ordered list of handlers; thread-safe. A handler that is there twice is called twice.
class HandlerList {
 public:
  /// Puts `handler` before or after all others. The answer names this entry for remove(); never nullptr.
  [[nodiscard]] void* add(GuestHandler handler, bool first);
  /// False if there is no such entry (any more).
  [[nodiscard]] bool remove(const void* entry);
  /// Where a walk through the handlers begins.
  static constexpr std::int64_t kFirst = INT64_MIN;
  /// The next handler after `position`, which moves on to it; nullptr if that was the last. Handlers may come
  /// and go between two calls. Allocates nothing.
  [[nodiscard]] GuestHandler next(std::int64_t& position) const noexcept;
  void clear();

 private:
  mutable os::Mutex mutex_;  // guards what follows
  std::map<std::int64_t, GuestHandler> entries_;
  /// The outermost positions ever given: none is given twice, for a walk may stand there.
  std::int64_t first_ = 0, last_ = 0;
};

[[nodiscard]] HandlerList& exception_handlers();  ///< AddVectoredExceptionHandler's
[[nodiscard]] HandlerList& continue_handlers();   ///< AddVectoredContinueHandler's

/// SetUnhandledExceptionFilter's; nullptr if the guest has set none.
[[nodiscard]] std::atomic<GuestHandler>& unhandled_filter();

}  // namespace bobbin::seh
