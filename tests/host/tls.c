// The smallest TLS directory: what a C runtime brings otherwise.
#include <windows.h>
ULONG _tls_index;
__attribute__((section(".tls"))) char _tls_start;
__attribute__((section(".tls$ZZZ"))) char _tls_end;
const IMAGE_TLS_DIRECTORY64 _tls_used = {
    (ULONG_PTR)&_tls_start, (ULONG_PTR)&_tls_end, (ULONG_PTR)&_tls_index, 0, 0, 0};
