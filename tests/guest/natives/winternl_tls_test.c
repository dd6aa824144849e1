// ntdll's calls that change TLS in all threads: what they refuse, the layouts of ProcessTlsInformation, and
// ThreadZeroTlsCell. conformance/manual_map shows what the former is for. Wine 8 has neither.
#include <string.h>

#include "check.h"

#define INVALID_INFO_CLASS ((LONG)0xC0000003)
#define INFO_LENGTH_MISMATCH ((LONG)0xC0000004)
#define ACCESS_VIOLATION ((LONG)0xC0000005)
#define INVALID_HANDLE ((LONG)0xC0000008)
#define INVALID_PARAMETER ((LONG)0xC000000D)

static LONG(NTAPI* set_process)(HANDLE, ULONG, PVOID, ULONG);
static LONG(NTAPI* set_thread)(HANDLE, ULONG, PVOID, ULONG);

static DWORD slots[2];
static HANDLE ready, go;

static DWORD WINAPI worker(void* unused) {
  CHECK(TlsSetValue(slots[0], &slots) && TlsSetValue(slots[1], &slots));
  SetEvent(ready);
  WaitForSingleObject(go, INFINITE);
  CHECK(TlsGetValue(slots[0]) == NULL && TlsGetValue(slots[1]) == NULL);
  return 0;
}

static void zero_cells(void) {
  DWORD taken[100], count = 0;
  slots[0] = TlsAlloc();
  do slots[1] = taken[count] = TlsAlloc();
  while (taken[count++] < 64);
  ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  go = CreateEventA(NULL, FALSE, FALSE, NULL);
  HANDLE thread = CreateThread(NULL, 0, worker, NULL, 0, NULL);
  CHECK(TlsSetValue(slots[0], &slots));
  WaitForSingleObject(ready, INFINITE);
  CHECK(set_thread(GetCurrentThread(), 10, &slots[0], 4) == 0);
  CHECK(set_thread(GetCurrentThread(), 10, &slots[1], 4) == 0);
  CHECK(TlsGetValue(slots[0]) == NULL);
  SetEvent(go);
  CHECK(WaitForSingleObject(thread, INFINITE) == 0);
  ULONG beyond = 1088;
  CHECK(set_thread(GetCurrentThread(), 10, &beyond, 4) == INVALID_PARAMETER);
  CHECK(set_thread(GetCurrentThread(), 10, &slots[0], 8) == INFO_LENGTH_MISMATCH);
  CHECK(set_thread(thread, 10, &slots[0], 4) == INVALID_HANDLE);
  CHECK(set_thread(GetCurrentThread(), 9999, &slots[0], 4) == INVALID_INFO_CLASS);
  CloseHandle(thread);
  CHECK(TlsFree(slots[0]));
  while (count) CHECK(TlsFree(taken[--count]));
}

// header: 4 ULONGs, or 5 and padding. Entries: flags, new, old, thread id; in Vista new and old are one word.
static void* vector_of_this_thread(void) {
  void* vector;
  __asm__ volatile("movq %%gs:0x58, %0" : "=r"(vector));
  return vector;
}

static void one_layout(ULONG header, ULONG entry, ULONG old_at, ULONG id_at) {
  char request[64];
  void** own = vector_of_this_thread();
  void** vector = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, 16 + 8 * 40);
  *(ULONG64*)vector = 40;
  vector += 2;
  memset(request, 0, sizeof request);
  ((ULONG*)request)[1] = 1;                     // the vector
  ((ULONG*)request)[2] = 1;                     // of one thread, this one
  ((ULONG*)request)[header == 24 ? 4 : 3] = 1;  // with one old entry
  *(void**)(request + header + 8) = vector;
  CHECK(set_process(GetCurrentProcess(), 35, request, header + entry) == 0);
  CHECK(*(ULONG*)(request + header) == 2);
  CHECK(*(void**)(request + header + id_at) == (void*)(ULONG_PTR)GetCurrentThreadId());
  CHECK(vector_of_this_thread() == vector && *(void**)(request + header + old_at) == own);
  // And back.
  *(ULONG*)(request + header) = 0;
  *(void**)(request + header + 8) = own;
  CHECK(set_process(GetCurrentProcess(), 35, request, header + entry) == 0);
  CHECK(vector_of_this_thread() == own && *(void**)(request + header + old_at) == vector);
  CHECK(HeapFree(GetProcessHeap(), 0, vector - 2));
}

static void refusals(void) {
  struct {
    ULONG flags, operation, count, index;
    struct {
      ULONG flags;
      void *new_data, *old_data, *id;
    } thread;
  } request = {0, 0, 1, 0, {0, NULL, NULL, NULL}}, copy;
  void** own = vector_of_this_thread();
#define REFUSED(change, size, status)                                                            \
  (copy = request, change, CHECK(set_process(GetCurrentProcess(), 35, &copy, size) == (status)), \
   CHECK(vector_of_this_thread() == own && copy.thread.flags != 2))
  REFUSED((void)0, sizeof copy - 8 - 4, INFO_LENGTH_MISMATCH);
  REFUSED((void)0, sizeof copy + 32, INFO_LENGTH_MISMATCH);
  REFUSED((void)0, 8, INFO_LENGTH_MISMATCH);
  REFUSED(copy.count = 0, sizeof copy, INFO_LENGTH_MISMATCH);
  REFUSED(copy.count = 2, sizeof copy, INFO_LENGTH_MISMATCH);
  REFUSED(copy.count = 0x08000001, sizeof copy, INFO_LENGTH_MISMATCH);
  REFUSED(copy.flags = 1, sizeof copy, INVALID_PARAMETER);
  REFUSED(copy.operation = 2, sizeof copy, INVALID_PARAMETER);
  REFUSED(copy.thread.flags = 1, sizeof copy, INVALID_PARAMETER);
  REFUSED(copy.index = 0xFFFF, sizeof copy, INVALID_PARAMETER);
  REFUSED(copy.operation = 1, sizeof copy, INVALID_PARAMETER);  // no vector
  void** vector = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, 16 + 8 * 4);
  REFUSED((copy.operation = 1, copy.index = 5, copy.thread.new_data = vector + 2), sizeof copy,
          INVALID_PARAMETER);  // too short to keep so many
  REFUSED((copy.operation = 1, copy.thread.new_data = (char*)vector + 3), sizeof copy, INVALID_PARAMETER);
  CHECK(HeapFree(GetProcessHeap(), 0, vector));
  CHECK(set_process(GetCurrentProcess(), 35, NULL, sizeof copy) == ACCESS_VIOLATION);
  CHECK(set_process(NULL, 35, &request, sizeof request) == INVALID_HANDLE);
  CHECK(set_process(GetCurrentProcess(), 9999, &request, sizeof request) == INVALID_INFO_CLASS);
}

int main(void) {
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  set_process = (void*)GetProcAddress(ntdll, "NtSetInformationProcess");
  set_thread = (void*)GetProcAddress(ntdll, "NtSetInformationThread");
  CHECK(vector_of_this_thread() != NULL);
  zero_cells();
  one_layout(16, 32, 16, 24);
  one_layout(24, 32, 16, 24);
  one_layout(16, 24, 8, 16);
  refusals();
  return DONE();
}
