# The assembly of fibers: see fiber.hpp.
#include "arch/x86_64/fiber_switch.inc"

    .text

# void bobbin_switch_fiber(FiberState* to /*rcx, Windows convention*/)
    .globl bobbin_switch_fiber
    .hidden bobbin_switch_fiber
    .type bobbin_switch_fiber, @function
    .p2align 4
bobbin_switch_fiber:
    .cfi_startproc
    movq %gs:0x20, %rax
    fiber_switch
    .cfi_endproc
    .size bobbin_switch_fiber, . - bobbin_switch_fiber

# The first instruction of a new fiber.
    .globl bobbin_fiber_start
    .hidden bobbin_fiber_start
    .type bobbin_fiber_start, @function
    .p2align 4
bobbin_fiber_start:
    .cfi_startproc
    .cfi_undefined %rip
    movq %gs:0x20, %rcx
    movq (%rcx), %rcx
    callq *%rbx
    movl $1, %ecx
    callq *%r12
    ud2
    .cfi_endproc
    .globl bobbin_fiber_start_end
    .hidden bobbin_fiber_start_end
bobbin_fiber_start_end:
    .size bobbin_fiber_start, . - bobbin_fiber_start

# void bobbin_run_routine(void* stack_top /*rdi*/, void* routine /*rsi*/, void* parameter /*rdx*/, void* end /*rcx*/)
    .globl bobbin_run_routine
    .hidden bobbin_run_routine
    .type bobbin_run_routine, @function
    .p2align 4
bobbin_run_routine:
    .cfi_startproc
    .cfi_undefined %rip
    movq %rdi, %rsp
    andq $-16, %rsp
    subq $48, %rsp                  # room for the callee's four arguments, and a return address of zero above
    movq $0, 32(%rsp)
    movq $0, 40(%rsp)
    movq %rcx, %r12
    movq %rdx, %rcx
    callq *%rsi
    movl %eax, %ecx
    callq *%r12
    ud2
    .cfi_endproc
    .globl bobbin_run_routine_end
    .hidden bobbin_run_routine_end
bobbin_run_routine_end:
    .size bobbin_run_routine, . - bobbin_run_routine

# How the guest's unwinding leaves the two: 32 bytes, and a return address of zero, where it ends.
    .p2align 2
    .globl bobbin_outermost_rows
    .hidden bobbin_outermost_rows
bobbin_outermost_rows:
    .long bobbin_fiber_start - bobbin_switch_fiber, bobbin_fiber_start_end - bobbin_switch_fiber
    .long .Loutermost_info - bobbin_switch_fiber
    .long bobbin_run_routine - bobbin_switch_fiber, bobbin_run_routine_end - bobbin_switch_fiber
    .long .Loutermost_info - bobbin_switch_fiber
.Loutermost_info:
    .byte 1, 0, 1, 0                # version 1, one code
    .byte 0, 2 | 3 << 4             # UWOP_ALLOC_SMALL, 32 bytes
    .short 0

    .section .note.GNU-stack,"",@progbits
