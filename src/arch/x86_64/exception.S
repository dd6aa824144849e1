# The assembly of exceptions: see exception.hpp for what it is about. Offsets are asserted in exception.cpp.
#include "abi/asm_offsets.h"

#define FRAME_RECORD 0x4F0
#define FRAME_RBX 0x590
#define FRAME_RBP 0x598
#define FRAME_RSI 0x5A0
#define FRAME_RDI 0x5A8
#define FRAME_R12 0x5B0
#define FRAME_XMM6 0x5D0
#define FRAME_RIP 0x670
#define FRAME_CS 0x678
#define FRAME_EFLAGS 0x680
#define FRAME_RSP 0x688
#define FRAME_SS 0x690
#define FRAME_SIZE 0x6A0
#define STATE_SIZE 0x140
#define STATE_FUNCTION 0x00
#define STATE_ARGUMENTS 0x08
#define STATE_RESULT 0x28
#define STATE_WALK 0x30
#define STATE_TARGET 0x38
#define STATE_ENTRY 0x40
#define WALK_SIZE 0x590
#define ACTION_CALL 0
#define ACTION_EXTEND 1
#define ACTION_LEAVE 3
#define FRAME_UPPER 0x698
#define UPPER_OF_YMM 2
#define CONTEXT_VECTORS 0x300
#define SCOPE_ANSWER 0
#define SCOPE_CALL 1
#define PLACE_SIGNAL_STACK 0x10
#define SIGNAL_STACK_SIZE 0x10000
#define ENTRY_NEEDS (24 + 16 + FRAME_SIZE + STATE_SIZE + 32)
#define CONTEXT_ALL_PARTS 0x10000F
#define CODE_SEGMENT 0x33
#define DATA_SEGMENT 0x2B

# UNWIND_CODE: offset in the prologue, operation, operand.
#define PUSH_NONVOLATILE 0
#define ALLOCATE_LARGE 1
#define ALLOCATE_SMALL 2
#define SET_FRAME_REGISTER 3
#define SAVE_NONVOLATILE 4
#define SAVE_XMM 8
#define PUSH_MACHINE_FRAME 10
    .macro unwind_code offset, operation, operand
    .byte \offset, \operation | \operand << 4
    .endm

    .text
    .p2align 4
    .globl bobbin_exception_rows_base
    .hidden bobbin_exception_rows_base
bobbin_exception_rows_base:

# ---- dispatch ------------------------------------------------------------------------------------------------
    .globl bobbin_dispatch_begin
    .hidden bobbin_dispatch_begin
bobbin_dispatch_begin:

    .macro exception_entry name, number
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    movb $0, -ENTRY_NEEDS(%rsp)     # where the stack ends, this faults, and nothing has been done yet
    pushfq
    pushq %rbx
    pushq %rax
    movl $\number, %eax
    jmp .Lcapture
    .size \name, . - \name
    .endm

    exception_entry bobbin_RaiseException, 0
    exception_entry bobbin_RtlRaiseException, 1
    exception_entry bobbin_NtRaiseException, 2
    exception_entry bobbin_RtlUnwindEx, 3
    exception_entry bobbin_RtlUnwind, 3
    exception_entry bobbin_RtlRestoreContext, 4
    exception_entry bobbin_NtContinue, 5
    exception_entry bobbin_RtlCaptureStackBackTrace, 6

    .globl bobbin_exception_captures
    .hidden bobbin_exception_captures
bobbin_exception_captures:
# On the stack: rax, rbx, flags, return address. eax: why. All registers are captured as they are once the call
# has returned.
.Lcapture:
    leaq -FRAME_SIZE(%rsp), %rbx
    andq $-16, %rbx
    movq %rcx, CONTEXT_RCX(%rbx)
    movq %rdx, CONTEXT_RDX(%rbx)
    movq %rbp, CONTEXT_RBP(%rbx)
    movq %rbp, FRAME_RBP(%rbx)
    movq %rsi, CONTEXT_RSI(%rbx)
    movq %rsi, FRAME_RSI(%rbx)
    movq %rdi, CONTEXT_RDI(%rbx)
    movq %rdi, FRAME_RDI(%rbx)
    movq %r8, CONTEXT_R8(%rbx)
    movq %r9, CONTEXT_R8+8(%rbx)
    movq %r10, CONTEXT_R8+16(%rbx)
    movq %r11, CONTEXT_R8+24(%rbx)
    movq %r12, CONTEXT_R8+32(%rbx)
    movq %r12, FRAME_R12(%rbx)
    movq %r13, CONTEXT_R8+40(%rbx)
    movq %r13, FRAME_R12+8(%rbx)
    movq %r14, CONTEXT_R8+48(%rbx)
    movq %r14, FRAME_R12+16(%rbx)
    movq %r15, CONTEXT_R8+56(%rbx)
    movq %r15, FRAME_R12+24(%rbx)
    fxsave64 CONTEXT_FLTSAVE(%rbx)
    stmxcsr CONTEXT_MXCSR(%rbx)
    movaps %xmm6, FRAME_XMM6(%rbx)
    movaps %xmm7, FRAME_XMM6+16(%rbx)
    movaps %xmm8, FRAME_XMM6+32(%rbx)
    movaps %xmm9, FRAME_XMM6+48(%rbx)
    movaps %xmm10, FRAME_XMM6+64(%rbx)
    movaps %xmm11, FRAME_XMM6+80(%rbx)
    movaps %xmm12, FRAME_XMM6+96(%rbx)
    movaps %xmm13, FRAME_XMM6+112(%rbx)
    movaps %xmm14, FRAME_XMM6+128(%rbx)
    movaps %xmm15, FRAME_XMM6+144(%rbx)
    movl %eax, %r12d
    movq (%rsp), %rax
    movq %rax, CONTEXT_RAX(%rbx)
    movq 8(%rsp), %rax
    movq %rax, CONTEXT_RBX(%rbx)
    movq %rax, FRAME_RBX(%rbx)
    movl 16(%rsp), %eax
    movl %eax, CONTEXT_EFLAGS(%rbx)
    movq %rax, FRAME_EFLAGS(%rbx)
    movq 24(%rsp), %rax
    movq %rax, CONTEXT_RIP(%rbx)
    movq %rax, FRAME_RIP(%rbx)
    leaq 32(%rsp), %rax
    movq %rax, CONTEXT_RSP(%rbx)
    movq %rax, FRAME_RSP(%rbx)
    movq $CODE_SEGMENT, FRAME_CS(%rbx)
    movq $DATA_SEGMENT, FRAME_SS(%rbx)
    movl $CONTEXT_ALL_PARTS, CONTEXT_FLAGS(%rbx)
    movw $CODE_SEGMENT, CONTEXT_SEGCS(%rbx)
    movw $DATA_SEGMENT, CONTEXT_SEGCS+2(%rbx)
    movw $DATA_SEGMENT, CONTEXT_SEGCS+4(%rbx)
    movw $0x53, CONTEXT_SEGCS+6(%rbx)
    movw $DATA_SEGMENT, CONTEXT_SEGCS+8(%rbx)
    movw $DATA_SEGMENT, CONTEXT_SEGSS(%rbx)
    cld
    jmp .Lbegin

    .globl bobbin_exception_entry
    .hidden bobbin_exception_entry
    .type bobbin_exception_entry, @function
bobbin_exception_entry:
    movl $7, %r12d
    .size bobbin_exception_entry, . - bobbin_exception_entry

.Lbegin:
    leaq -(STATE_SIZE + 32)(%rbx), %rsp
    movq %r12, STATE_ENTRY-STATE_SIZE(%rbx)     # and `begun` is 0
    movq %rsp, %r12
    leaq -STATE_SIZE(%rbx), %r13

# rbx: the ExceptionFrame; r12: the stack pointer to call the guest with; r13: the state.
    .globl bobbin_exception_steps_begin
    .hidden bobbin_exception_steps_begin
bobbin_exception_steps_begin:
.Lstep:
    movq %gs:TEB_BOBBIN_THREAD, %rax
    movq PLACE_SIGNAL_STACK(%rax), %rax
    movq %rax, %rdx
    subq %rsp, %rdx
    cmpq $SIGNAL_STACK_SIZE, %rdx   # on the signal stack already: a guest's function is called from a step
    jb 1f
    movq %rax, %rsp
1:  andq $-16, %rsp
    subq $32, %rsp
    movq %r13, %rcx
    callq *bobbin_exception_steps(%rip)
    cmpl $ACTION_EXTEND, %eax
    je .Lextend
    ja .Lgo
    movq %r12, %rsp
    movq STATE_ARGUMENTS(%r13), %rcx
    movq STATE_ARGUMENTS+8(%r13), %rdx
    movq STATE_ARGUMENTS+16(%r13), %r8
    movq STATE_ARGUMENTS+24(%r13), %r9
    callq *STATE_FUNCTION(%r13)
    movq %rax, STATE_RESULT(%r13)
    jmp .Lstep
.Lextend:
    subq $WALK_SIZE, %r12
    movq %r12, %rsp
    movb $0, (%rsp)                 # where the stack ends, this faults rather than a step
    leaq 32(%r12), %rax
    movq %rax, STATE_WALK(%r13)
    jmp .Lstep
.Lgo:
    movq STATE_TARGET(%r13), %rdi
    cmpl $ACTION_LEAVE, %eax
    jb bobbin_restore_context
    je bobbin_gate_leave
    vzeroupper
    cmpq $UPPER_OF_YMM, FRAME_UPPER(%rbx)
    jb bobbin_restore_context
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vinsertf128 $1, CONTEXT_VECTORS+16*\number(%rbx), %ymm\number, %ymm\number
    .endr
    je bobbin_restore_context
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vinsertf64x4 $1, FRAME_SIZE+32*\number(%rbx), %zmm\number, %zmm\number
    .endr
    jmp bobbin_restore_context

    .globl bobbin_dispatch_end
    .hidden bobbin_dispatch_end
bobbin_dispatch_end:

# ---- __C_specific_handler(record, frame, context, dispatcher) --------------------------------------------------
#define SCOPES_SIZE 0x90
#define SCOPES_STATE 0x30
#define DISPATCHER_SCOPE_INDEX 0x48
    .p2align 4
    .globl bobbin_C_specific_handler
    .hidden bobbin_C_specific_handler
    .type bobbin_C_specific_handler, @function
bobbin_C_specific_handler:
    pushq %rbx
.Lscopes_pushed:
    subq $SCOPES_SIZE, %rsp
.Lscopes_allocated:
    movq %rcx, SCOPES_STATE(%rsp)
    movq %rdx, SCOPES_STATE+8(%rsp)
    movq %r8, SCOPES_STATE+16(%rsp)
    movq %r9, SCOPES_STATE+24(%rsp)
    movl $0, SCOPES_STATE+0x50(%rsp)
.Lscopes_step:
    movq SCOPES_STATE(%rsp), %rax   # what is not there faults here rather than in a step
    testb $0, (%rax)
    movq SCOPES_STATE+24(%rsp), %rax
    testb $0, (%rax)
    orb $0, DISPATCHER_SCOPE_INDEX(%rax)
    leaq SCOPES_STATE(%rsp), %rcx
    movq %rsp, %rbx
    movq %gs:TEB_BOBBIN_THREAD, %rax
    movq PLACE_SIGNAL_STACK(%rax), %rax
    movq %rax, %rdx
    subq %rsp, %rdx
    cmpq $SIGNAL_STACK_SIZE, %rdx
    jb 1f
    movq %rax, %rsp
1:  andq $-16, %rsp
    subq $32, %rsp
    callq *bobbin_exception_steps+8(%rip)
    movq %rbx, %rsp
    cmpl $SCOPE_CALL, %eax
    jb .Lscopes_answer
    ja .Lscopes_unwind
    movq SCOPES_STATE+0x28(%rsp), %rcx
    movq SCOPES_STATE+0x30(%rsp), %rdx
    callq *SCOPES_STATE+0x20(%rsp)
    movq %rax, SCOPES_STATE+0x38(%rsp)
    jmp .Lscopes_step
.Lscopes_unwind:
    movq SCOPES_STATE+8(%rsp), %rcx
    movq SCOPES_STATE+0x20(%rsp), %rdx
    movq SCOPES_STATE(%rsp), %r8
    movq SCOPES_STATE+0x28(%rsp), %r9
    movq $0, 0x20(%rsp)
    movq $0, 0x28(%rsp)
    callq bobbin_RtlUnwindEx
    ud2
.Lscopes_answer:
    movl SCOPES_STATE+0x38(%rsp), %eax
    addq $SCOPES_SIZE, %rsp
    popq %rbx
    retq
.Lscopes_end:
    .size bobbin_C_specific_handler, . - bobbin_C_specific_handler

# ---- their rows ----------------------------------------------------------------------------------------------
    .p2align 2
    .globl bobbin_dispatch_row
    .hidden bobbin_dispatch_row
bobbin_dispatch_row:
    .long bobbin_dispatch_begin - bobbin_exception_rows_base
    .long bobbin_dispatch_end - bobbin_exception_rows_base
    .long .Ldispatch_info - bobbin_exception_rows_base
    .globl bobbin_scopes_row
    .hidden bobbin_scopes_row
bobbin_scopes_row:
    .long bobbin_C_specific_handler - bobbin_exception_rows_base
    .long .Lscopes_end - bobbin_exception_rows_base
    .long .Lscopes_info - bobbin_exception_rows_base
    .globl bobbin_host_row
    .hidden bobbin_host_row
bobbin_host_row:
    .long 0, 0
    .long .Lhost_info - bobbin_exception_rows_base
.Ldispatch_info:
    .byte 1, 0, 40, 3               # version 1; the frame register is rbx
    unwind_code 0, SET_FRAME_REGISTER, 0
    .irp saved, 3, 5, 6, 7, 12, 13, 14, 15
    unwind_code 0, SAVE_NONVOLATILE, \saved
    .if \saved == 3
    .short FRAME_RBX / 8
    .elseif \saved < 12
    .short FRAME_RBP / 8 + \saved - 5
    .else
    .short FRAME_R12 / 8 + \saved - 12
    .endif
    .endr
    .irp saved, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    unwind_code 0, SAVE_XMM, \saved
    .short FRAME_XMM6 / 16 + \saved - 6
    .endr
    unwind_code 0, ALLOCATE_LARGE, 0
    .short FRAME_RIP / 8
    unwind_code 0, PUSH_MACHINE_FRAME, 0
.Lscopes_info:
    .byte 1, .Lscopes_allocated - bobbin_C_specific_handler, 3, 0
    unwind_code (.Lscopes_allocated-bobbin_C_specific_handler), ALLOCATE_LARGE, 0
    .short SCOPES_SIZE / 8
    unwind_code (.Lscopes_pushed-bobbin_C_specific_handler), PUSH_NONVOLATILE, 3
    .short 0
.Lhost_info:
    .byte 1, 0, 0, 0

# ---- memory that may not be there ----------------------------------------------------------------------------
# A fault in these leaves is answered by going on at bobbin_guest_failed.
# bool bobbin_guest_copy(void* to /*rdi*/, const void* from /*rsi*/, size_t size /*rdx*/)
    .p2align 4
    .globl bobbin_guest_copy
    .hidden bobbin_guest_copy
    .type bobbin_guest_copy, @function
bobbin_guest_copy:
    cmpq $8, %rdx
    jne 6f
    movq (%rsi), %rax
    movq %rax, (%rdi)
    movl $1, %eax
    retq
6:  cmpq $256, %rdx
    ja 4f
    movl %edx, %ecx                 # rep movsb would take longer to begin than most copies take
    shrl $3, %ecx
    jz 2f
1:  movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    decl %ecx
    jnz 1b
2:  testl $4, %edx
    jz 3f
    movl (%rsi), %eax
    movl %eax, (%rdi)
    addq $4, %rsi
    addq $4, %rdi
3:  andl $3, %edx
    jnz 5f
    movl $1, %eax
    retq
4:  movq %rdx, %rcx
    cld
    rep movsb
    movl $1, %eax
    retq
5:  movb (%rsi), %al
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decl %edx
    jnz 5b
    movl $1, %eax
    retq
    .size bobbin_guest_copy, . - bobbin_guest_copy

# RUNTIME_FUNCTION* bobbin_guest_find_row(RUNTIME_FUNCTION* rows /*rdi*/, size_t count /*rsi*/, uint32_t rva /*edx*/)
    .p2align 4
    .globl bobbin_guest_find_row
    .hidden bobbin_guest_find_row
    .type bobbin_guest_find_row, @function
bobbin_guest_find_row:
    xorl %eax, %eax                 # the last row so far that begins at rva or before
    jmp 3f
1:  movq %rsi, %rcx
    shrq $1, %rcx
    leaq (%rcx,%rcx,2), %r8
    leaq (%rdi,%r8,4), %r8          # the one in the middle
    cmpl (%r8), %edx
    jb 2f
    movq %r8, %rax
    leaq 12(%r8), %rdi
    notq %rcx
    addq %rcx, %rsi
    jmp 3f
2:  movq %rcx, %rsi
3:  testq %rsi, %rsi
    jnz 1b
    testq %rax, %rax
    jz 4f
    cmpl 4(%rax), %edx
    jae bobbin_guest_failed
4:  retq
    .size bobbin_guest_find_row, . - bobbin_guest_find_row
    .globl bobbin_guest_end
    .hidden bobbin_guest_end
bobbin_guest_end:
    .globl bobbin_guest_failed
    .hidden bobbin_guest_failed
bobbin_guest_failed:
    xorl %eax, %eax
    retq

    .section .note.GNU-stack,"",@progbits
