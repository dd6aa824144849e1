// Undoing a frame of the host's own code, by the tables that its compilers write (.eh_frame).
//
// A native that meets a bad pointer is left as if it had never been called: what counts is what the guest's
// registers were at the call. Those that a call preserves stand in the frames of the native, wherever the
// compiler has put them, and the tables say where, for every instruction: the same that exceptions of C++ go
// by, but with xmm6 to xmm15, which functions with the Windows convention save. (libgcc's unwinder reads them
// and passes those over, so it cannot be asked.)
//
//     CIE  what functions have in common: factors, and the rules at a function's first instruction
//     FDE  one function: its addresses, and instructions that change the rules as the code goes on
//
// The rules say where the frame begins (its CFA: the stack pointer before the call), and for each register at
// which distance from there it is saved. Code that aligns its stack anew says it by expressions. Of those
// only what it needs is known here; stubs of the dynamic linker say more, and are left out.
#pragma once

#include "unwind/unwind.hpp"

namespace bobbin::unwind {

/// Undoes the frame in which `context` stands, which is the host's; `called` if its Rip is a return address.
/// Afterwards `context` is the caller's. Where the function begins that is left; 0 if it cannot be: then
/// `context` is as it was.
[[nodiscard]] std::uint64_t unwind_host_frame(const Memory& memory, abi::CONTEXT& context,
                                              bool called) noexcept;

}  // namespace bobbin::unwind
