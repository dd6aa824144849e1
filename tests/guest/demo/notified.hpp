// Counts what Windows tells this module: every image that includes this has a TLS callback of its own.
#pragma once

#include <windows.h>

#include <atomic>

namespace notified {

inline std::atomic<int> attached{0}, detached{0};

inline void NTAPI count(void*, DWORD reason, void*) {
  if (reason == DLL_THREAD_ATTACH) ++attached;
  if (reason == DLL_THREAD_DETACH) ++detached;
}

// The linker gathers .CRT$XL* into the array that the TLS directory points at.
__attribute__((section(".CRT$XLC"), used)) static PIMAGE_TLS_CALLBACK const entry = count;

}  // namespace notified
