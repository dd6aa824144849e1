/* Offsets that assembly uses. layout_check.cpp asserts each against the C++ struct, so neither can drift. */
#pragma once

#define TEB_STACK_BASE 0x008
#define TEB_STACK_LIMIT 0x010
#define TEB_FIBER_DATA 0x020
#define TEB_SELF 0x030
#define TEB_LAST_ERROR 0x068
#define TEB_BOBBIN_THREAD 0x250
#define TEB_DEALLOCATION_STACK 0x1478
#define TEB_TLS_SLOTS 0x1480
#define TEB_TLS_EXPANSION 0x1780
