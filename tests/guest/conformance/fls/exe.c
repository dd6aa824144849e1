// Cases 44-47 and 8: what FLS indices and values are to one thread.
#include "guest.h"

typedef LONG(WINAPI* RtlFlsAlloc)(PFLS_CALLBACK_FUNCTION, ULONG*);

static void basics(void) {
  DWORD index = FlsAlloc(NULL);
  case_line(44, "an index that is not 0: %b", index != 0 && index != FLS_OUT_OF_INDEXES);
  // A thread that has set nothing yet has no block, and is answered 87; so something is set first.
  DWORD other = FlsAlloc(NULL);
  FlsSetValue(other, &other);
  SetLastError(1234);
  void* value = FlsGetValue(index);
  case_line(44, "not set: %p, last error %u", (ULONG64)value, GetLastError());
  SetLastError(1234);
  BOOL set = FlsSetValue(index, (void*)0x44);
  case_line(44, "set: %u, last error %u", set, GetLastError());
  value = FlsGetValue(index);
  case_line(44, "then: %p, last error %u", (ULONG64)value, GetLastError());
  case_line(44, "freed: %u, %u", FlsFree(index), FlsFree(other));
  case_line(8, "the PEB's words for FLS: %p", *(ULONG64*)(teb_read(0x60) + 0x320));
}

static void invalid(void) {
  static const DWORD kIndices[] = {0, 127, 4080, 0xFFFFFFFF};
  for (int i = 0; i < 4; ++i) {
    SetLastError(0);
    BOOL set = FlsSetValue(kIndices[i], (void*)0x45);
    DWORD set_error = GetLastError();
    SetLastError(0);
    void* value = FlsGetValue(kIndices[i]);
    DWORD get_error = GetLastError();
    SetLastError(0);
    BOOL freed = FlsFree(kIndices[i]);
    case_line(45, "index %x: set %u (%u), get %p (%u), free %u (%u)", kIndices[i], set, set_error,
              (ULONG64)value, get_error, freed, GetLastError());
  }
  FlsSetValue(127, NULL);
}

static void capacity(void) {
  static ULONG indices[5000];
  RtlFlsAlloc allocate = (RtlFlsAlloc)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlFlsAlloc");
  ULONG count = 0, untouched = 0xABCD;
  LONG status;
  while ((status = allocate(NULL, &indices[count])) == 0) ++count;
  allocate(NULL, &untouched);
  case_line(46, "more than 4000: %b, less than 4096: %b", count > 4000, count < 4096);
  case_line(46, "then status %x, and the output stays %x", status, untouched);
  case_line(46, "FlsAlloc: %x", FlsAlloc(NULL));
  ULONG held = 0;
  for (ULONG i = 0; i < count; ++i) FlsSetValue(indices[i], (void*)(ULONG64)indices[i]);
  for (ULONG i = 0; i < count; ++i) held += FlsGetValue(indices[i]) == (void*)(ULONG64)indices[i];
  case_line(46, "each holds its value: %b", held == count);
  ULONG freed = 0;
  for (ULONG i = 0; i < count; ++i) freed += FlsFree(indices[i]);
  case_line(46, "all freed: %b", freed == count);
}

static void reuse(void) {
  DWORD first = FlsAlloc(NULL), index = FlsAlloc(NULL), last = FlsAlloc(NULL);
  FlsSetValue(index, (void*)0x47);
  FlsFree(index);
  SetLastError(1234);
  void* value = FlsGetValue(index);
  case_line(47, "freed: %p, last error %u", (ULONG64)value, GetLastError());
  case_line(47, "the same index again: %b, without the value: %b", FlsAlloc(NULL) == index,
            FlsGetValue(index) == NULL);
  FlsFree(first), FlsFree(index), FlsFree(last);
}

ENTRY() {
  basics();
  invalid();
  capacity();
  reuse();
  return 0;
}
