# The assembly of gates: see gate.hpp for what they are. Field offsets of struct Gate are asserted in gate.cpp.

#define GATE_RBX 0
#define GATE_RBP 8
#define GATE_R12 16
#define GATE_R13 24
#define GATE_R14 32
#define GATE_R15 40
#define GATE_RSP 48
#define GATE_RIP 56
#define GATE_MXCSR 64
#define GATE_X87 68

    .text

# bool bobbin_gate_run(Gate* gate /*rdi*/, void (*body)(void*) /*rsi*/, void* context /*rdx*/)
    .globl bobbin_gate_run
    .hidden bobbin_gate_run
    .type bobbin_gate_run, @function
    .p2align 4
bobbin_gate_run:
    .cfi_startproc
    movq %rbx, GATE_RBX(%rdi)
    movq %rbp, GATE_RBP(%rdi)
    movq %r12, GATE_R12(%rdi)
    movq %r13, GATE_R13(%rdi)
    movq %r14, GATE_R14(%rdi)
    movq %r15, GATE_R15(%rdi)
    leaq 8(%rsp), %rax              # the caller's rsp once this call has returned
    movq %rax, GATE_RSP(%rdi)
    movq (%rsp), %rax
    movq %rax, GATE_RIP(%rdi)
    stmxcsr GATE_MXCSR(%rdi)
    fnstcw GATE_X87(%rdi)
    subq $8, %rsp                   # the ABI wants 16-byte alignment at a call
    .cfi_adjust_cfa_offset 8
    movq %rdx, %rdi
    callq *%rsi
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    movl $1, %eax
    retq
    .cfi_endproc
    .size bobbin_gate_run, . - bobbin_gate_run

# void bobbin_gate_leave(Gate* gate /*rdi*/): the registers come back, everything below the gate is forgotten.
    .globl bobbin_gate_leave
    .hidden bobbin_gate_leave
    .type bobbin_gate_leave, @function
    .p2align 4
bobbin_gate_leave:
    .cfi_startproc
    movq GATE_RBX(%rdi), %rbx
    movq GATE_RBP(%rdi), %rbp
    movq GATE_R12(%rdi), %r12
    movq GATE_R13(%rdi), %r13
    movq GATE_R14(%rdi), %r14
    movq GATE_R15(%rdi), %r15
    cld
    fninit                          # the guest may have left values on the x87 stack
    fldcw GATE_X87(%rdi)
    ldmxcsr GATE_MXCSR(%rdi)
    movq GATE_RSP(%rdi), %rsp
    xorl %eax, %eax
    jmpq *GATE_RIP(%rdi)
    .cfi_endproc
    .size bobbin_gate_leave, . - bobbin_gate_leave

# void bobbin_call_on_stack(void* stack_top /*rdi*/, void (*body)(void*) /*rsi*/, void* context /*rdx*/)
    .globl bobbin_call_on_stack
    .hidden bobbin_call_on_stack
    .type bobbin_call_on_stack, @function
    .p2align 4
bobbin_call_on_stack:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rdi, %rsp
    andq $-16, %rsp
    movq %rdx, %rdi
    callq *%rsi
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa %rsp, 8
    retq
    .cfi_endproc
    .size bobbin_call_on_stack, . - bobbin_call_on_stack

# Where every callback thunk jumps: a guest calls a host function. In: Windows convention, r10 = Callback*.
# All arguments are put where C++ finds them by number: integers in the four home cells that the Windows
# convention keeps above the return address (the stack arguments follow them), floating ones beside.
#   dispatch(Callback*, const uint64_t* cells, const double* floats, CallbackResult* result)
    .globl bobbin_callback_entry
    .hidden bobbin_callback_entry
    .type bobbin_callback_entry, @function
    .p2align 4
bobbin_callback_entry:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rcx, 16(%rbp)
    movq %rdx, 24(%rbp)
    movq %r8, 32(%rbp)
    movq %r9, 40(%rbp)
    subq $224, %rsp                 # 16 rdi rsi, 160 xmm6-15, 32 xmm0-3, 16 result
    movq %rdi, 208(%rsp)            # callee-saved for the guest, not for us
    movq %rsi, 216(%rsp)
    movaps %xmm6, 48(%rsp)
    movaps %xmm7, 64(%rsp)
    movaps %xmm8, 80(%rsp)
    movaps %xmm9, 96(%rsp)
    movaps %xmm10, 112(%rsp)
    movaps %xmm11, 128(%rsp)
    movaps %xmm12, 144(%rsp)
    movaps %xmm13, 160(%rsp)
    movaps %xmm14, 176(%rsp)
    movaps %xmm15, 192(%rsp)
    movsd %xmm0, 16(%rsp)
    movsd %xmm1, 24(%rsp)
    movsd %xmm2, 32(%rsp)
    movsd %xmm3, 40(%rsp)
    movq %r10, %rdi
    leaq 16(%rbp), %rsi
    leaq 16(%rsp), %rdx
    movq %rsp, %rcx
    callq *(%r10)                   # Callback::dispatch
    movq 0(%rsp), %rax              # CallbackResult::integer
    movsd 8(%rsp), %xmm0            # CallbackResult::floating
    movaps 48(%rsp), %xmm6
    movaps 64(%rsp), %xmm7
    movaps 80(%rsp), %xmm8
    movaps 96(%rsp), %xmm9
    movaps 112(%rsp), %xmm10
    movaps 128(%rsp), %xmm11
    movaps 144(%rsp), %xmm12
    movaps 160(%rsp), %xmm13
    movaps 176(%rsp), %xmm14
    movaps 192(%rsp), %xmm15
    movq 208(%rsp), %rdi
    movq 216(%rsp), %rsi
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa %rsp, 8
    retq
    .cfi_endproc
    .size bobbin_callback_entry, . - bobbin_callback_entry

    .section .note.GNU-stack,"",@progbits
