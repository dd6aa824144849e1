// The TLS directory that a C runtime would bring: included once by each image with a thread-local variable.
// An image with callbacks defines TLS_CALLBACKS before. The linker sorts .tls, .tls$ (the variables) and
// .tls$ZZZ, and points the header at _tls_used.
#pragma once

#include <windows.h>

ULONG _tls_index;
__attribute__((section(".tls"))) char _tls_start = 0;
__attribute__((section(".tls$ZZZ"))) char _tls_end = 0;
#ifndef TLS_CALLBACKS
#define TLS_CALLBACKS {NULL}
#endif
static const PIMAGE_TLS_CALLBACK kCallbacks[] = TLS_CALLBACKS;
const IMAGE_TLS_DIRECTORY64 _tls_used = {
    (ULONGLONG)&_tls_start, (ULONGLONG)&_tls_end, (ULONGLONG)&_tls_index, (ULONGLONG)&kCallbacks[0], 0, 0,
};
