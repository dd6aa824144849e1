// The stack that signals are handled on, and on which the steps of exceptions run
// (arch/x86_64/exception.hpp): a guest's stack may have overflowed, or be so small that nothing may be put
// there but what Windows does.
#pragma once

#include <cstddef>

#include "arch/x86_64/exception.hpp"
#include "base/error.hpp"

namespace bobbin::thread {

/// Makes the kSignalStackSize bytes at `area` the calling host thread's, or memory of its own if that is
/// nullptr; hands back their end. What the thread had before is kept for release. Once per host thread.
[[nodiscard]] Result<std::byte*> use_signal_stack(std::byte* area);
/// The thread has what it had before, again.
void release_signal_stack() noexcept;

}  // namespace bobbin::thread
