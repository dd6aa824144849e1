// Fibers as the processor sees them: the state that a switch exchanges, and the switch.
#pragma once

#include <cstdint>

#include "abi/types.hpp"
#include "arch/x86_64/gate.hpp"

namespace bobbin::arch {

/// What a fiber keeps while it does not run (specification 5.2): of the TEB, what belongs to the fiber and
/// not to its thread; the registers that a call preserves; and its gates. Known to fiber_switch.inc.
struct FiberState {
  void* data;  ///< what GetFiberData reads: the fiber's parameter
  void* exception_list;
  void* stack_base;
  void* stack_limit;
  void* deallocation_stack;
  void* fls_data;
  void* activation_context_stack;
  std::uint32_t guaranteed_stack_bytes;
  std::uint32_t mxcsr;
  std::uint64_t rbx, rbp, rsi, rdi, r12, r13, r14, r15, rsp, rip;
  std::uint32_t x87_control;
  std::uint32_t reserved;
  Gate* gate;  ///< innermost of those that were opened on the fiber's stack
  /// Who has it: 0 if nobody, so that any thread may switch to it; the TEB that it runs on; or something
  /// else, and then only `bobbin_switch_fiber`'s caller knows whether it may be switched to. Written by who
  /// runs it, when it has left its stack last.
  std::uint64_t owner;
  std::uint64_t owner_when_idle;  ///< what `owner` becomes when it is switched away from
  alignas(16) std::uint8_t xmm6_to_15[160];
};

extern "C" {

/// SwitchToFiber without its checks: the calling thread is a fiber, and `to` another one that nobody runs.
BOBBIN_MS_ABI void bobbin_switch_fiber(FiberState* to);

/// Where a new fiber begins: calls the guest routine in rbx with the fiber's data, then the function in r12
/// with 1, which does not return.
void bobbin_fiber_start();

/// Calls `routine(parameter)`, guest code, on another stack, and then `end` with its result, which does not
/// return. So nothing of the host's stands on that stack.
[[noreturn]] void bobbin_run_routine(void* stack_top, void* routine, void* parameter, void* end);

}  // extern "C"

}  // namespace bobbin::arch
