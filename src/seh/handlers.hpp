// Who wants to see exceptions before, and after, the frames of the thread that raised one: vectored handlers
// and the top-level filter. This is only the register; dispatch asks it.
#pragma once

#include <atomic>
#include <list>
#include <vector>

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
  /// The handlers in the order in which to call them. One that is removed meanwhile may still be called, as
  /// on Windows when its removal races with an exception.
  [[nodiscard]] std::vector<GuestHandler> in_order() const;
  void clear();

 private:
  mutable os::Mutex mutex_;  // guards entries_
  std::list<GuestHandler> entries_;
};

[[nodiscard]] HandlerList& exception_handlers();  ///< AddVectoredExceptionHandler's
[[nodiscard]] HandlerList& continue_handlers();   ///< AddVectoredContinueHandler's

/// SetUnhandledExceptionFilter's; nullptr if the guest has set none.
[[nodiscard]] std::atomic<GuestHandler>& unhandled_filter();

}  // namespace bobbin::seh
