// The process's thread pool, for the natives that put work in it.
#pragma once

#include "process/thread_pool.hpp"

namespace bobbin::win32 {

/// The pool that callbacks go to unless they name another; made when it is first asked for.
[[nodiscard]] process::ThreadPool& default_pool();
/// At the end of the guest, on its last thread: no pool does anything any more, whether the guest has closed
/// it or not.
void stop_pools() noexcept;

}  // namespace bobbin::win32
