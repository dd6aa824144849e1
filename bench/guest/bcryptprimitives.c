// bcryptprimitives.dll for reference runs under Wine 8, which has none: language runtimes ask it for random
// bytes.
#include <windows.h>

#define RtlGenRandom SystemFunction036
BOOLEAN NTAPI RtlGenRandom(void* out, ULONG size);

__declspec(dllexport) BOOL ProcessPrng(BYTE* out, SIZE_T size) { return RtlGenRandom(out, (ULONG)size); }

BOOL start(HINSTANCE instance, DWORD reason, void* reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
