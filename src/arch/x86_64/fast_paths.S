# Fast paths of natives that programs call all the time: see fast_paths.hpp for where they run and how they
# end. Each is a size and so many bytes of code that refer to nothing by address. TEB offsets are asserted in
# fast_paths.cpp. In: the Windows convention; only rax, rcx, rdx, r8-r11 may change, and what the whole
# function will look at (its arguments) must be as it was when a path runs off its end.

#include "arch/x86_64/fiber_switch.inc"

#define TEB_FIBER_DATA 0x20
#define TEB_SELF 0x30
#define TEB_THREAD_ID 0x48
#define TEB_LAST_ERROR 0x68
#define TEB_BEYOND_SLOTS 0x70
#define TEB_FLS_INDICES 0x248
#define TEB_SLOTS 0x1480
#define TEB_EXPANSION 0x1780
#define TEB_FLS_DATA 0x17C8
#define SLOTS 64
#define EXPANSION_SLOTS 1024

    .section .rodata
    .macro fast_path name
    .globl bobbin_fast_\name
    .hidden bobbin_fast_\name
    .type bobbin_fast_\name, @object
    .p2align 4
bobbin_fast_\name:
    .quad .Lend_\name - .Lcode_\name
.Lcode_\name:
    .endm
    .macro end_fast_path name
.Lend_\name:
    .size bobbin_fast_\name, . - bobbin_fast_\name
    .endm

# void* TlsGetValue(DWORD /*ecx*/). A branch to another part for the slots from 64 on would cost those as much again
# as the rest, so what is chosen is where the slots are counted from: the TEB, or what stands for it there (cells of
# a thread that has none read as zeros). Not asked whether the index is allocated, as Windows does not.
    .macro tls_cell
    movl %ecx, %eax
    cmpl $SLOTS + EXPANSION_SLOTS, %ecx
    jae 2f
    movq %gs:TEB_SELF, %rdx
    cmpl $SLOTS, %ecx
    cmovaeq %gs:TEB_BEYOND_SLOTS, %rdx
    movq TEB_SLOTS(%rdx,%rax,8), %rax
    .endm

    fast_path TlsGetValue
    tls_cell
    movl $0, %gs:TEB_LAST_ERROR
    retq
2:
    end_fast_path TlsGetValue

# void* TlsGetValue2(DWORD /*ecx*/): the same, and last error stays.
    fast_path TlsGetValue2
    tls_cell
    retq
2:
    end_fast_path TlsGetValue2

# BOOL TlsSetValue(DWORD /*ecx*/, void* /*rdx*/): a thread's first store beyond slot 63 is the slow one.
    fast_path TlsSetValue
    cmpl $SLOTS, %ecx
    jae 1f
    movl %ecx, %eax
    movq %rdx, %gs:TEB_SLOTS(,%rax,8)
    movl $1, %eax
    retq
1:  leal -SLOTS(%rcx), %eax
    cmpl $EXPANSION_SLOTS, %eax
    jae 2f
    movq %gs:TEB_EXPANSION, %r8
    testq %r8, %r8
    jz 2f
    movq %rdx, (%r8,%rax,8)
    movl $1, %eax
    retq
2:
    end_fast_path TlsSetValue

# The address of an FLS cell, less 8, into r8 + 8 * rax, for the index in ecx: chunk i of the block holds the
# indices + 16 whose highest bit is bit i + 4. To label 2 if the index is out of range (0 among those), or if
# block or chunk are still to be made. Changes r9.
    .macro fls_cell
    leal -1(%rcx), %eax
    cmpl %gs:TEB_FLS_INDICES, %eax
    jae 2f
    movq %gs:TEB_FLS_DATA, %r8
    testq %r8, %r8
    jz 2f
    addl $17, %eax
    bsrl %eax, %r9d
    movq 16 - 4 * 8(%r8,%r9,8), %r8
    testq %r8, %r8
    jz 2f
    btrl %r9d, %eax
    .endm

# void* FlsGetValue(DWORD /*ecx*/)
    fast_path FlsGetValue
    fls_cell
    movq 8(%r8,%rax,8), %rax
    movl $0, %gs:TEB_LAST_ERROR
    retq
2:
    end_fast_path FlsGetValue

# void* FlsGetValue2(DWORD /*ecx*/): the same, and last error stays.
    fast_path FlsGetValue2
    fls_cell
    movq 8(%r8,%rax,8), %rax
    retq
2:
    end_fast_path FlsGetValue2

# BOOL FlsSetValue(DWORD /*ecx*/, void* /*rdx*/)
    fast_path FlsSetValue
    fls_cell
    movq %rdx, 8(%r8,%rax,8)
    movl $1, %eax
    retq
2:
    end_fast_path FlsSetValue

# void SwitchToFiber(void* /*rcx*/): from a thread that is a fiber to another fiber that nobody runs.
    fast_path SwitchToFiber
    movq %gs:TEB_FIBER_DATA, %rax
    testq %rax, %rax
    jz 2f
    cmpq $0, FIBER_OWNER(%rcx)      # not the running one's either
    jne 2f
    fiber_switch
2:
    end_fast_path SwitchToFiber

# DWORD GetLastError(void)
    fast_path GetLastError
    movl %gs:TEB_LAST_ERROR, %eax
    retq
    end_fast_path GetLastError

# void SetLastError(DWORD /*ecx*/)
    fast_path SetLastError
    movl %ecx, %gs:TEB_LAST_ERROR
    retq
    end_fast_path SetLastError

# DWORD GetCurrentThreadId(void)
    fast_path GetCurrentThreadId
    movl %gs:TEB_THREAD_ID, %eax
    retq
    end_fast_path GetCurrentThreadId

    .section .note.GNU-stack,"",@progbits
