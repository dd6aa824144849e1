// Case 77's DLL: native thread_local objects with destructors, and a DllMain that tells when it is called.
#include <windows.h>

#include "native.hpp"

static thread_local Noted g_first("the DLL's first"), g_second("the DLL's second");

extern "C" __declspec(dllexport) void use_objects() { g_first.used = g_second.used = true; }

BOOL WINAPI DllMain(HINSTANCE, DWORD reason, void*) {
  if (reason == DLL_THREAD_DETACH) std::printf("  DllMain, THREAD_DETACH\n");
  if (reason == DLL_PROCESS_DETACH) std::printf("  DllMain, PROCESS_DETACH\n");
  return TRUE;
}
