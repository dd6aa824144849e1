// What libloaderapi_delay.dll remembers of the failure hooks' calls. The types are delayloadhandler.h's,
// which mingw does not have.
#pragma once

#include <windows.h>

typedef struct {
  ULONG Size;
  const void* DelayloadDescriptor;
  PVOID ThunkAddress;
  LPCSTR TargetDllName;
  struct {
    ULONG ImportDescribedByName;
    union {
      LPCSTR Name;
      ULONG Ordinal;
    } Description;
  } TargetApiDescriptor;
  PVOID TargetModuleBase;
  PVOID Unused;
  ULONG LastError;
} DelayLoadInfo;

typedef PVOID(WINAPI* FailureDllHook)(ULONG, const DelayLoadInfo*);
typedef PVOID(WINAPI* FailureSystemHook)(LPCSTR, LPCSTR);
PVOID WINAPI ResolveDelayLoadedAPI(PVOID, const void*, FailureDllHook, FailureSystemHook, PVOID, ULONG);

typedef struct {
  ULONG reason, last_error;
  DelayLoadInfo info;
  LPCSTR system_dll, system_function;
} Seen;
