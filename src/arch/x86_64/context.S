# Taking over a register set: see context.hpp.
#include "abi/asm_offsets.h"

#define USER_FLAGS 0x240DD5         /* those that a program may set: the status flags, TF, DF, AC, ID */
#define ALWAYS_FLAGS 0x202

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
    movl %ss, %eax
    pushq %rax
    pushq CONTEXT_RSP(%rdi)
    movl CONTEXT_EFLAGS(%rdi), %eax
    andl $USER_FLAGS, %eax
    orl $ALWAYS_FLAGS, %eax
    pushq %rax
    movl %cs, %eax
    pushq %rax
    pushq CONTEXT_RIP(%rdi)
    movq CONTEXT_RAX(%rdi), %rax
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
    movq CONTEXT_RDI(%rdi), %rdi
    iretq                           # rip, flags and rsp at once: nothing is written near the target's stack
    .cfi_endproc
    .size bobbin_restore_context, . - bobbin_restore_context

# void RtlCaptureContext(CONTEXT* context /*rcx, Windows convention*/): the caller's registers as they are at the
# return from this call. A leaf.
    .globl bobbin_capture_context
    .hidden bobbin_capture_context
    .type bobbin_capture_context, @function
    .p2align 4
bobbin_capture_context:
    .cfi_startproc
    movq %rax, CONTEXT_RAX(%rcx)
    movq %rcx, CONTEXT_RCX(%rcx)
    movq %rdx, CONTEXT_RDX(%rcx)
    movq %rbx, CONTEXT_RBX(%rcx)
    leaq 8(%rsp), %rax
    movq %rax, CONTEXT_RSP(%rcx)
    movq %rbp, CONTEXT_RBP(%rcx)
    movq %rsi, CONTEXT_RSI(%rcx)
    movq %rdi, CONTEXT_RDI(%rcx)
    movq %r8, CONTEXT_R8(%rcx)
    movq %r9, CONTEXT_R8+8(%rcx)
    movq %r10, CONTEXT_R8+16(%rcx)
    movq %r11, CONTEXT_R8+24(%rcx)
    movq %r12, CONTEXT_R8+32(%rcx)
    movq %r13, CONTEXT_R8+40(%rcx)
    movq %r14, CONTEXT_R8+48(%rcx)
    movq %r15, CONTEXT_R8+56(%rcx)
    movq (%rsp), %rax
    movq %rax, CONTEXT_RIP(%rcx)
    pushfq
    .cfi_adjust_cfa_offset 8
    popq %rax
    .cfi_adjust_cfa_offset -8
    movl %eax, CONTEXT_EFLAGS(%rcx)
    fxsave64 CONTEXT_FLTSAVE(%rcx)
    stmxcsr CONTEXT_MXCSR(%rcx)
    movl $CONTEXT_FULL, CONTEXT_FLAGS(%rcx)
    movw $0x33, CONTEXT_SEGCS(%rcx)
    movw $0x2B, CONTEXT_SEGSS(%rcx)
    movq CONTEXT_RAX(%rcx), %rax
    retq
    .cfi_endproc
    .size bobbin_capture_context, . - bobbin_capture_context

    .section .note.GNU-stack,"",@progbits
