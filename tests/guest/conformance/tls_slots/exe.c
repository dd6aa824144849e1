// Cases 9-18: explicit TLS.
#include "guest.h"

enum { kTlsExpansionSlots = 0x1780, kMost = 1088 };

static DWORD held[kMost + 1];  // what this program has allocated
static DWORD count;

static void never_zero(void) {
  int zero = 0, repeated = 0;
  for (count = 0; count < 100; ++count) {
    held[count] = TlsAlloc();
    zero |= held[count] == 0;
    for (DWORD i = 0; i < count; ++i) repeated |= held[i] == held[count];
  }
  case_line(9, "100 indices: none is 0: %b, all distinct: %b", !zero, !repeated);
}

static void capacity(void) {
  while (count <= kMost && (held[count] = TlsAlloc()) != TLS_OUT_OF_INDEXES) ++count;
  case_line(10, "at least 1000: %b, at most 1088: %b", count >= 1000, count <= kMost);
  case_line(10, "the failing call: %x", TlsAlloc());
}

static void get_clears_error(void) {
  TlsSetValue(held[0], NULL);
  SetLastError(1234);
  void* value = TlsGetValue(held[0]);
  case_line(11, "TlsGetValue: %p, last error %u", value, GetLastError());
}

static void get2_keeps_error(void) {
  void*(WINAPI * get2)(DWORD) = (void*)GetProcAddress(GetModuleHandleA("kernel32.dll"), "TlsGetValue2");
  if (!get2) {
    case_line(12, "TlsGetValue2 is absent (before Windows 11 24H2)");
    return;
  }
  SetLastError(1234);
  void* value = get2(held[0]);
  case_line(12, "TlsGetValue2: %p, last error %u", value, GetLastError());
}

static void out_of_range(void) {
  SetLastError(1);
  void* value = TlsGetValue(4000);
  case_line(13, "TlsGetValue(4000): %p, last error %u", value, GetLastError());
  SetLastError(1);
  BOOL set = TlsSetValue(4000, &set);
  case_line(13, "TlsSetValue(4000): %u, last error %u", set, GetLastError());
  TlsFree(held[--count]);
  SetLastError(1);
  BOOL freed = TlsFree(held[count]);
  case_line(13, "TlsFree(unallocated): %u, last error %u", freed, GetLastError());
  SetLastError(1);
  freed = TlsFree(4000);
  case_line(13, "TlsFree(4000): %u, last error %u", freed, GetLastError());
}

static void unallocated_works(void) {
  DWORD index = held[0];
  TlsFree(index);
  case_line(14, "an index below 64: %b", index < 64);
  BOOL set = TlsSetValue(index, (void*)0x1414);
  void* value = TlsGetValue(index);
  case_line(14, "set without owning it: %u, get: %p, last error %u", set, value, GetLastError());
  TlsSetValue(index, NULL);
  case_line(14, "the lowest free index is given again: %b", TlsAlloc() == index);
}

static DWORD WINAPI expansion_lazily_null(void* argument) {
  DWORD index = *(DWORD*)argument;
  case_line(15, "an index of 64 or more: %b", index >= 64);
  SetLastError(1);
  void* value = TlsGetValue(index);
  case_line(15, "fresh thread: TlsGetValue: %p, last error %u", value, GetLastError());
  case_line(15, "fresh thread: TlsExpansionSlots: %p", teb_read(kTlsExpansionSlots));
  TlsSetValue(index, (void*)0x1515);
  ULONG64* slots = (ULONG64*)teb_read(kTlsExpansionSlots);
  case_line(15, "after TlsSetValue: TlsExpansionSlots set: %b, its cell: %p", slots != NULL,
            slots ? slots[index - 64] : 0);
  return 0;
}

// One worker and main take turns.
static HANDLE worker_ready, worker_may_go;
static DWORD shared_index;

static DWORD WINAPI set_wait_get(void* number) {
  (void)number;
  TlsSetValue(shared_index, (void*)0x1616);
  SetEvent(worker_ready);
  WaitForSingleObject(worker_may_go, INFINITE);
  case_line(16, "index %s: the worker reads %p", shared_index < 64 ? "below 64" : "of 64 or more",
            TlsGetValue(shared_index));
  return 0;
}

static void free_zeroes_all_threads(DWORD index) {
  shared_index = index;
  HANDLE worker = start_thread(set_wait_get, NULL);
  WaitForSingleObject(worker_ready, INFINITE);
  TlsFree(index);
  case_line(16, "TlsAlloc gives the freed index: %b", TlsAlloc() == index);
  SetEvent(worker_may_go);
  join(worker);
}

static DWORD WINAPI child_of_parent(void* argument) {
  DWORD index = *(DWORD*)argument;
  case_line(17, "the child reads %p", TlsGetValue(index));
  TlsSetValue(index, (void*)0x2222);
  case_line(17, "the child reads its own: %p", TlsGetValue(index));
  return 0;
}

static void no_inheritance(DWORD* index) {
  TlsSetValue(*index, (void*)0x1717);
  run_in_thread(child_of_parent, index);
  case_line(17, "the parent still reads %p", TlsGetValue(*index));
}

static void set_leaves_error(DWORD index) {
  SetLastError(77);
  BOOL set = TlsSetValue(index, NULL);
  case_line(18, "TlsSetValue: %u, last error %u", set, GetLastError());
}

ENTRY() {
  worker_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  worker_may_go = CreateEventA(NULL, FALSE, FALSE, NULL);
  never_zero();
  capacity();
  get_clears_error();
  get2_keeps_error();
  out_of_range();
  unallocated_works();
  run_in_thread(expansion_lazily_null, &held[count - 1]);
  free_zeroes_all_threads(held[0]);
  free_zeroes_all_threads(held[count - 2]);
  no_inheritance(&held[1]);
  no_inheritance(&held[count - 3]);
  set_leaves_error(held[0]);
  set_leaves_error(held[count - 1]);
  return 0;
}
