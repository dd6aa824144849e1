// A signal handler's view of the registers, as Windows lays them out.
#pragma once

#include <ucontext.h>

#include "abi/context.hpp"
#include "arch/x86_64/exception.hpp"

namespace bobbin::thread {

/// Fills in the parts of `context` that its ContextFlags ask for.
void read_host_context(const ucontext_t& host, abi::CONTEXT& context) noexcept;
/// The upper halves of ymm0 to ymm15 (16 bytes each) and zmm0 to zmm15 (32 bytes each): which of them are
/// there.
[[nodiscard]] arch::ExceptionFrame::Upper read_upper_halves(const ucontext_t& host, void* of_ymm,
                                                            void* of_zmm) noexcept;
/// Takes over the parts of `context` that its ContextFlags name.
void write_host_context(ucontext_t& host, const abi::CONTEXT& context) noexcept;

}  // namespace bobbin::thread
