// Implicit TLS written out by hand: the directory (data directory 9), the template, the callbacks, the index.
//
// The linker points the TLS data directory at the symbol _tls_used. A CRT usually defines it; here the
// program does, so that a test decides every field. Set before including this file, where the default will
// not do:
//
//     TLS_INDEX_BEFORE     what the index word holds in the file                         (default 0)
//     TLS_ZERO_FILL        SizeOfZeroFill                                                (default 0)
//     TLS_ALIGNMENT_CODE   alignment bits: code n asks for 2^(n-1) bytes                 (default 0: heap's)
//     TLS_CALLBACKS        0 for a directory without callback array                      (default 1)
//     TLS_NO_DATA          for a template of length zero
//
// A thread-local variable is the same source for both compilers:
//
//     PER_THREAD(int, counter, 42);      // template value 42
//     MY(counter) = 7;                   // this thread's copy
//
// clang compiles it to native accesses (gs:[58h]); GCC, whose own thread_local is emulated, gets the same
// sequence written out, which also shows that the directory works when GNU ld laid it out.
#pragma once

#include "guest.h"

#ifndef TLS_INDEX_BEFORE
#define TLS_INDEX_BEFORE 0
#endif
#ifndef TLS_ZERO_FILL
#define TLS_ZERO_FILL 0
#endif
#ifndef TLS_ALIGNMENT_CODE
#define TLS_ALIGNMENT_CODE 0
#endif
#ifndef TLS_CALLBACKS
#define TLS_CALLBACKS 1
#endif

#define SECTION(name) __attribute__((section(name), used))

// The linkers sort by what follows '$', so these two enclose every variable.
SECTION(".tls") char _tls_start[8] = {0};
SECTION(".tls$ZZZ") char _tls_end[8] = {0};
volatile ULONG _tls_index = TLS_INDEX_BEFORE;

// Likewise the callback array: XLA opens it, the NULL in XLZ ends it, TLS_CALLBACK's stand in between.
SECTION(".CRT$XLA") PIMAGE_TLS_CALLBACK tls_callbacks_start = NULL;
SECTION(".CRT$XLZ") PIMAGE_TLS_CALLBACK tls_callbacks_end = NULL;
#define TLS_CALLBACK(function, place) SECTION(".CRT$XL" place) PIMAGE_TLS_CALLBACK function##_entry = function

SECTION(".rdata$T")
const IMAGE_TLS_DIRECTORY64 _tls_used = {
    .StartAddressOfRawData = (ULONG64)_tls_start,
#ifdef TLS_NO_DATA
    .EndAddressOfRawData = (ULONG64)_tls_start,
#else
    .EndAddressOfRawData = (ULONG64)_tls_end,
#endif
    .AddressOfIndex = (ULONG64)&_tls_index,
    .AddressOfCallBacks = TLS_CALLBACKS ? (ULONG64)(&tls_callbacks_start + 1) : 0,
    .SizeOfZeroFill = TLS_ZERO_FILL,
    .Characteristics = (DWORD)TLS_ALIGNMENT_CODE << 20,
};

// This thread's block of this module: vector[index].
static inline char* tls_block(void) { return ((char**)teb_read(0x58))[_tls_index]; }

#ifdef __clang__
#define PER_THREAD(type, name, value) static __thread __attribute__((used)) type name = value
#define MY(name) (name)
#else
#define PER_THREAD(type, name, value) static __attribute__((section(".tls$M"), used)) type name = value
#define MY(name) (*(__typeof__(name)*)(tls_block() + ((char*)&(name) - _tls_start)))
#endif
