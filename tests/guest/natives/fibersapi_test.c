// Fiber-local storage (fibersapi.h). Its callbacks, in all their orders, are shown in conformance/. Wine 8
// has no FlsGetValue2; before a thread's first FlsSetValue it may have no block, and then, as here,
// FlsGetValue answers 87: so the tests set before they get.
#define _WIN32_WINNT 0x0A00
#include "check.h"

#define LIMIT 0xFF0

static void* anything(ULONG_PTR n) { return (void*)(n * 16 + 1); }

static void basics(void) {
  DWORD index = FlsAlloc(NULL), other = FlsAlloc(NULL);
  CHECK(index != FLS_OUT_OF_INDEXES && index >= 1 && other > index);
  SetLastError(77);
  CHECK(FlsSetValue(index, anything(1)) && GetLastError() == 77);
  CHECK(FlsGetValue(index) == anything(1) && GetLastError() == 0);
  SetLastError(77);
  CHECK(FlsGetValue(other) == NULL && GetLastError() == 0);
  CHECK(FlsFree(index) && FlsAlloc(NULL) == index);
  SetLastError(77);
  CHECK(FlsGetValue(index) == NULL && GetLastError() == 0);
  CHECK(FlsFree(index) && FlsFree(other));
}

static void invalid(void) {
  static const DWORD outside[] = {0, LIMIT, 5000, 0xFFFFFFFF};
  for (int i = 0; i < 4; ++i) {
    SetLastError(0);
    CHECK(FlsGetValue(outside[i]) == NULL && GetLastError() == ERROR_INVALID_PARAMETER);
    SetLastError(0);
    CHECK(!FlsSetValue(outside[i], NULL) && GetLastError() == ERROR_INVALID_PARAMETER);
    SetLastError(0);
    CHECK(!FlsFree(outside[i]) && GetLastError() == ERROR_INVALID_PARAMETER);
  }
  SetLastError(0);
  CHECK(!FlsFree(127) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(FlsSetValue(127, anything(2)) && FlsGetValue(127) == anything(2));  // in range is enough
  CHECK(FlsSetValue(127, NULL));
}

static DWORD WINAPI worker(void* argument) {
  DWORD index = *(DWORD*)argument;
  CHECK(FlsSetValue(index + 1, NULL));
  CHECK(FlsGetValue(index) == NULL && GetLastError() == 0);
  CHECK(FlsSetValue(index, anything(3)) && FlsGetValue(index) == anything(3));
  CHECK(!IsThreadAFiber());
  return 0;
}

static void threads(void) {
  DWORD index = FlsAlloc(NULL);
  CHECK(FlsSetValue(index, anything(4)));
  HANDLE thread = CreateThread(NULL, 0, worker, &index, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(FlsGetValue(index) == anything(4));
  CHECK(FlsFree(index));
}

static void ntdll_twins(void) {
  HMODULE kernel32 = GetModuleHandleW(L"kernel32"), ntdll = GetModuleHandleW(L"ntdll");
  LONG(WINAPI * alloc)(void*, ULONG*) = (void*)GetProcAddress(ntdll, "RtlFlsAlloc");
  LONG(WINAPI * release)(ULONG) = (void*)GetProcAddress(ntdll, "RtlFlsFree");
  LONG(WINAPI * set)(ULONG, void*) = (void*)GetProcAddress(ntdll, "RtlFlsSetValue");
  LONG(WINAPI * get)(ULONG, void**) = (void*)GetProcAddress(ntdll, "RtlFlsGetValue");
  CHECK(alloc && release && set && get);
  static ULONG taken[LIMIT];
  ULONG count = 0, index = 0xABCD;
  while (alloc(NULL, &index) == 0 && count < LIMIT) taken[count++] = index;
  CHECK(count > 4000 && count < 4096);
  index = 0xABCD;
  CHECK(alloc(NULL, &index) == (LONG)0xC0000017 && index == 0xABCD);
  CHECK(FlsAlloc(NULL) == FLS_OUT_OF_INDEXES);
  for (ULONG i = 0; i < count; ++i) CHECK(set(taken[i], anything(i)) == 0);
  void* value = NULL;
  for (ULONG i = 0; i < count; ++i) CHECK(get(taken[i], &value) == 0 && value == anything(i));
  for (ULONG i = 0; i < count; ++i) CHECK(release(taken[i]) == 0);
  CHECK(get(taken[0], &value) == 0 && value == NULL);
  CHECK(release(taken[0]) == (LONG)0xC000000D && set(0, NULL) == (LONG)0xC000000D);
  CHECK(get(LIMIT, &value) == (LONG)0xC000000D);
  if (GetProcAddress(ntdll, "wine_get_version")) return;
  void*(WINAPI * get2)(DWORD) = (void*)GetProcAddress(kernel32, "FlsGetValue2");
  void*(WINAPI * rtl_get2)(DWORD) = (void*)GetProcAddress(ntdll, "RtlFlsGetValue2");
  CHECK(get2 && rtl_get2);
  CHECK(FlsSetValue(200, anything(5)));
  SetLastError(1234);
  CHECK(get2(200) == anything(5) && rtl_get2(200) == anything(5) && get2(0) == NULL &&
        GetLastError() == 1234);
  CHECK(FlsSetValue(200, NULL));
}

static int calls;
static void WINAPI count(void* value) { calls += value == anything(6); }

// A block's shape: links, then chunks of 16, 32, 64, ... cells, each led by an unused one.
typedef struct Block {
  LIST_ENTRY links;
  void** chunks[8];
} Block;

static DWORD WINAPI process_block(void* process) {
  DWORD index = FlsAlloc(count);
  CHECK(FlsSetValue(index, anything(6)));
  void** data = (void**)((char*)NtCurrentTeb() + 0x17C8);
  Block* block = *data;
  CHECK(index >= 16 || block->chunks[0][index + 1] == anything(6));
  LIST_ENTRY links = block->links;
  void(WINAPI * RtlProcessFlsData)(void*, ULONG) = process;
  RtlProcessFlsData(block, 4);
  CHECK(calls == 0 && links.Flink->Blink == &block->links);
  RtlProcessFlsData(block, 1);
  CHECK(calls == 1 && FlsGetValue(index) == NULL);
  CHECK(block->links.Flink == links.Flink && block->links.Blink == links.Blink);
  CHECK(links.Flink->Blink != &block->links && links.Blink->Flink != &block->links);
  *data = NULL;
  RtlProcessFlsData(block, 2);
  CHECK(FlsSetValue(index, NULL) && *data != NULL);  // a new block
  CHECK(FlsFree(index) && calls == 1);
  return 0;
}

static void blocks(void) {
  void* process = (void*)GetProcAddress(GetModuleHandleW(L"ntdll"), "RtlProcessFlsData");
  CHECK(process != NULL);
  HANDLE thread = CreateThread(NULL, 0, process_block, process, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
}

// What is wrong is said on stderr and not done; under Wine it would crash.
static void* deleted;
static void WINAPI come_back(void* to) {
  for (;;) SwitchToFiber(to);
}
static void WINAPI delete_its_creator(void* to) {
  if (!running_under_wine()) DeleteFiber(deleted);
  SwitchToFiber(to);
}
static DWORD WINAPI switch_to_a_running_one(void* running) {
  void* own = ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH);
  CHECK(own != NULL && GetCurrentFiber() == own);
  SwitchToFiber(own);
  if (!running_under_wine()) {
    SwitchToFiber(running);
    CHECK(GetCurrentFiber() == own);
    DeleteFiber(running);
  }
  CHECK(ConvertFiberToThread());
  return 0;
}

static void fibers(void) {
  void* never_run = CreateFiberEx(0, 0x10000, 0, come_back, NULL);
  CHECK(never_run != NULL);
  if (!running_under_wine()) {
    SwitchToFiber(never_run);  // a plain thread has nowhere to be switched from
    CHECK(!IsThreadAFiber());
  }
  DeleteFiber(never_run);
  void* own = ConvertThreadToFiber(&never_run);
  CHECK(own != NULL && IsThreadAFiber() && GetFiberData() == &never_run);
  CHECK(ConvertThreadToFiber(NULL) == NULL && GetLastError() == ERROR_ALREADY_FIBER);
  void* fiber = CreateFiber(0, come_back, own);
  CHECK(fiber != NULL);
  for (int i = 0; i < 1000; ++i) SwitchToFiber(fiber);
  CHECK(GetCurrentFiber() == own);
  DeleteFiber(fiber);
  if (!running_under_wine()) {
    SwitchToFiber(fiber);
    SwitchToFiber(&own);
    DeleteFiber(fiber);
    CHECK(GetCurrentFiber() == own);
  }
  deleted = fiber;
  fiber = CreateFiber(0x100000, delete_its_creator, own);
  if (deleted != fiber) SwitchToFiber(fiber);
  DeleteFiber(fiber);
  HANDLE thread = CreateThread(NULL, 0, switch_to_a_running_one, own, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(ConvertFiberToThread() && !IsThreadAFiber());
  void* many[100];
  for (int turn = 0; turn < 3; ++turn) {
    for (int i = 0; i < 100; ++i) CHECK((many[i] = CreateFiber(0, come_back, NULL)) != NULL);
    for (int i = 0; i < 100; ++i) DeleteFiber(many[i]);
  }
}

int main(void) {
  basics();
  invalid();
  threads();
  ntdll_twins();
  blocks();
  fibers();
  return DONE();
}
