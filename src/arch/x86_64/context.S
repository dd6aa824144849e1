# Taking over a register set: see context.hpp.
#include "abi/asm_offsets.h"

    .text

# void bobbin_restore_context(const CONTEXT* context /*rdi*/)
    .globl bobbin_restore_context
    .hidden bobbin_restore_context
    .type bobbin_restore_context, @function
    .p2align 4
bobbin_restore_context:
    .cfi_startproc
    .cfi_undefined %rip
    fxrstor64 CONTEXT_FLTSAVE(%rdi)
    # The target's rip, flags and rdi are put below its stack pointer, and taken from there last.
    movq CONTEXT_RSP(%rdi), %rax
    movq CONTEXT_RIP(%rdi), %rcx
    movq %rcx, -8(%rax)
    movq CONTEXT_RDI(%rdi), %rcx
    movq %rcx, -16(%rax)
    movl CONTEXT_EFLAGS(%rdi), %ecx
    pushq %rcx
    popfq
    movq CONTEXT_RBX(%rdi), %rbx
    movq CONTEXT_RDX(%rdi), %rdx
    movq CONTEXT_RCX(%rdi), %rcx
    movq CONTEXT_RBP(%rdi), %rbp
    movq CONTEXT_RSI(%rdi), %rsi
    movq CONTEXT_R8(%rdi), %r8
    movq CONTEXT_R8+8(%rdi), %r9
    movq CONTEXT_R8+16(%rdi), %r10
    movq CONTEXT_R8+24(%rdi), %r11
    movq CONTEXT_R8+32(%rdi), %r12
    movq CONTEXT_R8+40(%rdi), %r13
    movq CONTEXT_R8+48(%rdi), %r14
    movq CONTEXT_R8+56(%rdi), %r15
    leaq -16(%rax), %rsp
    movq CONTEXT_RAX(%rdi), %rax
    popq %rdi
    retq
    .cfi_endproc
    .size bobbin_restore_context, . - bobbin_restore_context

    .section .note.GNU-stack,"",@progbits
