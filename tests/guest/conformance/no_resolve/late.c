#define NOTING_NAME "late"
#define TLS_INDEX_BEFORE 0x29292929
#include "noting_dll.h"

__declspec(dllexport) int late_value(void) { return MY(value); }

// The index word itself, for a reader who must not call into this DLL.
extern __declspec(dllexport) volatile ULONG index_word __attribute__((alias("_tls_index")));
