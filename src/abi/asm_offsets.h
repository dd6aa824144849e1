/* Offsets that assembly uses. layout_check.cpp asserts each against the C++ struct, so neither can drift. */
#pragma once

#define TEB_STACK_BASE 0x008
#define TEB_STACK_LIMIT 0x010
#define TEB_FIBER_DATA 0x020
#define TEB_SELF 0x030
#define TEB_LAST_ERROR 0x068
#define TEB_BOBBIN_FLS_INDICES 0x248
#define TEB_BOBBIN_THREAD 0x250
#define TEB_DEALLOCATION_STACK 0x1478
#define TEB_TLS_SLOTS 0x1480
#define TEB_TLS_EXPANSION 0x1780
#define TEB_FLS_DATA 0x17C8

#define CONTEXT_FULL 0x10000B /* CONTROL | INTEGER | FLOATING_POINT */
#define CONTEXT_FLAGS 0x030
#define CONTEXT_MXCSR 0x034
#define CONTEXT_SEGCS 0x038
#define CONTEXT_SEGSS 0x042
#define CONTEXT_EFLAGS 0x044
#define CONTEXT_RAX 0x078
#define CONTEXT_RCX 0x080
#define CONTEXT_RDX 0x088
#define CONTEXT_RBX 0x090
#define CONTEXT_RSP 0x098
#define CONTEXT_RBP 0x0A0
#define CONTEXT_RSI 0x0A8
#define CONTEXT_RDI 0x0B0
#define CONTEXT_R8 0x0B8
#define CONTEXT_RIP 0x0F8
#define CONTEXT_FLTSAVE 0x100
