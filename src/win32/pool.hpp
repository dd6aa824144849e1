// The process's thread pool, for the natives that put work in it.
#pragma once

#include <memory>

#include "process/thread_pool.hpp"

namespace bobbin::win32 {

/// The pool that callbacks go to unless they name another; made when it is first asked for.
[[nodiscard]] process::ThreadPool& default_pool();
/// Another one, for CreateThreadpool.
[[nodiscard]] std::shared_ptr<process::ThreadPool> make_pool();

}  // namespace bobbin::win32
