// What Windows calls what the processor reports.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "abi/exception.hpp"

namespace bobbin::seh {

/// The exception that a fault is. May step back in `context` to the instruction itself (int3).
[[nodiscard]] abi::EXCEPTION_RECORD exception_of(int signal, const siginfo_t& info, abi::CONTEXT& context,
                                                 const ucontext_t& host) noexcept;

}  // namespace bobbin::seh
