// A signal handler's view of the registers, as Windows lays them out.
#pragma once

#include <ucontext.h>

#include "abi/context.hpp"

namespace bobbin::thread {

/// Fills in the parts of `context` that its ContextFlags ask for.
void read_host_context(const ucontext_t& host, abi::CONTEXT& context) noexcept;
/// Takes over the parts of `context` that its ContextFlags name.
void write_host_context(ucontext_t& host, const abi::CONTEXT& context) noexcept;

}  // namespace bobbin::thread
