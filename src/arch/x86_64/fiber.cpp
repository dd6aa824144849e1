// What fiber_switch.inc takes for granted, beside the TEB's offsets (abi/layout_check.cpp).
#include "arch/x86_64/fiber.hpp"

#include <cstddef>

#include "abi/teb.hpp"

namespace bobbin::arch {

static_assert(offsetof(FiberState, exception_list) == 0x08 && offsetof(FiberState, stack_base) == 0x10 &&
              offsetof(FiberState, stack_limit) == 0x18 && offsetof(FiberState, deallocation_stack) == 0x20 &&
              offsetof(FiberState, fls_data) == 0x28 &&
              offsetof(FiberState, activation_context_stack) == 0x30 &&
              offsetof(FiberState, guaranteed_stack_bytes) == 0x38 && offsetof(FiberState, mxcsr) == 0x3C);
static_assert(offsetof(FiberState, rbx) == 0x40 && offsetof(FiberState, rbp) == 0x48 &&
              offsetof(FiberState, rsi) == 0x50 && offsetof(FiberState, rdi) == 0x58 &&
              offsetof(FiberState, r12) == 0x60 && offsetof(FiberState, r15) == 0x78 &&
              offsetof(FiberState, rsp) == 0x80 && offsetof(FiberState, rip) == 0x88 &&
              offsetof(FiberState, x87_control) == 0x90 && offsetof(FiberState, gate) == 0x98 &&
              offsetof(FiberState, owner) == 0xA0 && offsetof(FiberState, owner_when_idle) == 0xA8 &&
              offsetof(FiberState, xmm6_to_15) == 0xB0);
static_assert(offsetof(abi::TEB, ExceptionList) == 0x000 && offsetof(abi::TEB, StackBase) == 0x008 &&
              offsetof(abi::TEB, StackLimit) == 0x010 && offsetof(abi::TEB, FiberData) == 0x020 &&
              offsetof(abi::TEB, Self) == 0x030 && offsetof(abi::TEB, BobbinThread) == 0x250 &&
              offsetof(abi::TEB, ActivationContextStackPointer) == 0x2C8 &&
              offsetof(abi::TEB, DeallocationStack) == 0x1478 &&
              offsetof(abi::TEB, GuaranteedStackBytes) == 0x1748 && offsetof(abi::TEB, FlsData) == 0x17C8);

}  // namespace bobbin::arch
