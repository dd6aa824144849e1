#define TLS_ALIGNMENT_CODE 7
#include "tls_directory.h"

PER_THREAD(char, before, 2);
__attribute__((aligned(64))) PER_THREAD(int, aligned, 0x53);

__declspec(dllexport) int aligned_here(void) {
  void* address = &MY(aligned);
  __asm__ volatile("" : "+r"(address));
  return (ULONG64)address % 64 == 0 && MY(aligned) == 0x53 && MY(before) == 2;
}

DLL_ENTRY() { return TRUE; }
