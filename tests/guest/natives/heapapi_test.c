// heapapi.h and its ntdll twins.
#define _WIN32_WINNT 0x0A00
#include "check.h"

#define FAILS(call, error) (SetLastError(0xdead), !(call) && GetLastError() == (error))

static int all(const unsigned char* bytes, size_t size, int value) {
  for (size_t i = 0; i < size; ++i)
    if (bytes[i] != value) return 0;
  return 1;
}

static void blocks(HANDLE heap) {
  static const SIZE_T kSizes[] = {0, 1, 8, 15, 16, 17, 100, 1000, 4096, 30000, 100000, 1 << 21};
  for (unsigned i = 0; i < sizeof kSizes / sizeof kSizes[0]; ++i) {
    unsigned char* block = HeapAlloc(heap, HEAP_ZERO_MEMORY, kSizes[i]);
    CHECK(block != NULL && (ULONG_PTR)block % 16 == 0);
    CHECK(HeapSize(heap, 0, block) == kSizes[i]);
    CHECK(all(block, kSizes[i], 0));
    memset(block, 7, kSizes[i]);
    unsigned char* grown = HeapReAlloc(heap, HEAP_ZERO_MEMORY, block, kSizes[i] + 1000);
    CHECK(grown != NULL && HeapSize(heap, 0, grown) == kSizes[i] + 1000);
    CHECK(all(grown, kSizes[i], 7) && all(grown + kSizes[i], 1000, 0));
    CHECK(HeapValidate(heap, 0, grown));
    if (kSizes[i] < 4096) {
      CHECK(HeapReAlloc(heap, HEAP_REALLOC_IN_PLACE_ONLY, grown, 5) == grown);
      CHECK(HeapSize(heap, 0, grown) == 5);
    }
    CHECK(HeapFree(heap, 0, grown));
  }
  void* block = HeapAlloc(heap, 0, 32);
  CHECK(FAILS(HeapReAlloc(heap, HEAP_REALLOC_IN_PLACE_ONLY, block, 1 << 24), ERROR_NOT_ENOUGH_MEMORY));
  CHECK(FAILS(HeapAlloc(heap, 0, ~(SIZE_T)0 / 2), ERROR_NOT_ENOUGH_MEMORY));
  CHECK(HeapSize(heap, 0, block) == 32);
  CHECK(HeapFree(heap, 0, block));
  CHECK(HeapFree(heap, 0, NULL));
  CHECK(HeapReAlloc(heap, 0, NULL, 10) == NULL);
  CHECK(HeapValidate(heap, 0, NULL));
}

static int walked(HANDLE heap, void* const* blocks, int count) {
  PROCESS_HEAP_ENTRY entry = {0};
  int found = 0;
  SetLastError(0xdead);
  while (HeapWalk(heap, &entry)) {
    if (!(entry.wFlags & PROCESS_HEAP_ENTRY_BUSY)) continue;
    for (int i = 0; i < count; ++i) found += entry.lpData == blocks[i] && entry.cbData >= 10;
  }
  CHECK(GetLastError() == ERROR_NO_MORE_ITEMS);
  return found;
}

static void own_heaps(void) {
  HANDLE heaps[64];
  DWORD before = GetProcessHeaps(64, heaps);
  CHECK(before >= 1 && before < 60);
  HANDLE heap = HeapCreate(0, 0, 0);
  CHECK(heap != NULL && heap != GetProcessHeap());
  CHECK(GetProcessHeaps(64, heaps) == before + 1);
  CHECK(GetProcessHeaps(0, NULL) == before + 1);
  blocks(heap);

  void* three[3];
  for (int i = 0; i < 3; ++i) three[i] = HeapAlloc(heap, 0, 10 + i);
  CHECK(HeapLock(heap));
  CHECK(walked(heap, three, 3) == 3);
  CHECK(HeapUnlock(heap));
  CHECK(HeapFree(heap, 0, three[1]));
  CHECK(walked(heap, three, 3) == 2);
  SetLastError(0xdead);
  CHECK(HeapCompact(heap, 0) != 0 || GetLastError() == NO_ERROR || GetLastError() == 0xdead);

  ULONG information = 99;
  SIZE_T size = 0;
  CHECK(HeapQueryInformation(heap, HeapCompatibilityInformation, &information, sizeof information, &size));
  CHECK((information == 2 || information == 0) && size == 4);
  CHECK(FAILS(HeapQueryInformation(heap, HeapCompatibilityInformation, &information, 2, &size),
              ERROR_INSUFFICIENT_BUFFER));
  information = 2;
  CHECK(HeapSetInformation(heap, HeapCompatibilityInformation, &information, sizeof information));
  CHECK(HeapSetInformation(NULL, HeapEnableTerminationOnCorruption, NULL, 0));
  CHECK(HeapDestroy(heap));
  CHECK(GetProcessHeaps(64, heaps) == before);
}

static void limits(void) {
  HANDLE heap = HeapCreate(0, 0, 0x10000);
  CHECK(heap != NULL);
  CHECK(FAILS(HeapAlloc(heap, 0, 0x20000), ERROR_NOT_ENOUGH_MEMORY));
  int count = 0;
  while (count < 100 && HeapAlloc(heap, 0, 0x1000)) ++count;
  CHECK(count >= 8 && count <= 16);
  CHECK(HeapDestroy(heap));
}

// What is no block is recognised. (Windows and Wine say so, too, for pointers into a heap.)
static void strangers(void) {
  HANDLE heap = HeapCreate(0, 0, 0);
  char* block = HeapAlloc(heap, 0, 100);
  CHECK(!HeapValidate(heap, 0, block + 16));
  CHECK(FAILS(HeapFree(heap, 0, block + 16), ERROR_INVALID_PARAMETER));
  CHECK(HeapSize(heap, 0, block) == 100);
  CHECK(HeapFree(heap, 0, block));
  CHECK(HeapDestroy(heap));
}

static HANDLE g_shared[4];
static LONG g_wrong;

static DWORD WINAPI churn(void* seed) {
  unsigned random = (unsigned)(ULONG_PTR)seed;
  static void* volatile slots[64];
  for (int i = 0; i < 20000; ++i) {
    random = random * 1664525 + 1013904223;
    SIZE_T size = sizeof(SIZE_T) + (random >> 8) % 300;
    SIZE_T* block = HeapAlloc(g_shared[0], 0, size);
    *block = size;
    SIZE_T* old = InterlockedExchangePointer((void**)&slots[(random >> 20) % 64], block);
    if (old && (HeapSize(g_shared[0], 0, old) != *old || !HeapFree(g_shared[0], 0, old)))
      InterlockedIncrement(&g_wrong);
  }
  return 0;
}

static void threads(void) {
  g_shared[0] = HeapCreate(0, 0, 0);
  HANDLE threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = CreateThread(NULL, 0, churn, (void*)(ULONG_PTR)(i + 1), 0, NULL);
  for (int i = 0; i < 4; ++i) {
    CHECK(WaitForSingleObject(threads[i], INFINITE) == WAIT_OBJECT_0);
    CloseHandle(threads[i]);
  }
  CHECK(g_wrong == 0);
  CHECK(HeapValidate(g_shared[0], 0, NULL));
  CHECK(HeapDestroy(g_shared[0]));
}

static void ntdll_twins(void) {
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  void*(WINAPI * create)(ULONG, void*, SIZE_T, SIZE_T, void*, void*) =
      (void*)GetProcAddress(ntdll, "RtlCreateHeap");
  void*(WINAPI * destroy)(void*) = (void*)GetProcAddress(ntdll, "RtlDestroyHeap");
  void*(WINAPI * allocate)(void*, ULONG, SIZE_T) = (void*)GetProcAddress(ntdll, "RtlAllocateHeap");
  void*(WINAPI * reallocate)(void*, ULONG, void*, SIZE_T) = (void*)GetProcAddress(ntdll, "RtlReAllocateHeap");
  BOOLEAN(WINAPI * release)(void*, ULONG, void*) = (void*)GetProcAddress(ntdll, "RtlFreeHeap");
  SIZE_T(WINAPI * size)(void*, ULONG, const void*) = (void*)GetProcAddress(ntdll, "RtlSizeHeap");
  BOOLEAN(WINAPI * validate)(void*, ULONG, const void*) = (void*)GetProcAddress(ntdll, "RtlValidateHeap");
  void* heap = create(HEAP_GROWABLE, NULL, 0, 0, NULL, NULL);
  CHECK(heap != NULL);
  char* block = allocate(heap, HEAP_ZERO_MEMORY, 20);
  CHECK(block != NULL && block[19] == 0);
  block = reallocate(heap, 0, block, 30);
  CHECK(size(heap, 0, block) == 30 && validate(heap, 0, block));
  CHECK(release(heap, 0, block));
  CHECK(destroy(heap) == NULL);
  // The same blocks by either name.
  block = allocate(GetProcessHeap(), 0, 5);
  CHECK(HeapSize(GetProcessHeap(), 0, block) == 5 && HeapFree(GetProcessHeap(), 0, block));
}

int main(void) {
  CHECK(GetProcessHeap() != NULL && GetProcessHeap() == GetProcessHeap());
  blocks(GetProcessHeap());
  own_heaps();
  limits();
  strangers();
  threads();
  ntdll_twins();
  return DONE();
}
