// winbase.h's memory: Local... and Global... functions, IsBad... probes.
#include "check.h"

#define FAILS(call, error) (SetLastError(0xdead), !(call) && GetLastError() == (error))

static void fixed(void) {
  char* block = LocalAlloc(LPTR, 100);
  CHECK(block != NULL && block[99] == 0 && (ULONG_PTR)block % 16 == 0);
  CHECK(LocalSize(block) == 100 && LocalFlags(block) == 0);
  CHECK(LocalLock(block) == block && LocalHandle(block) == block);
  CHECK(!LocalUnlock(block));
  block[50] = 7;
  char* moved = LocalReAlloc(block, 5000, LMEM_MOVEABLE | LMEM_ZEROINIT);
  CHECK(moved != NULL && moved[50] == 7 && moved[4999] == 0 && LocalSize(moved) == 5000);
  CHECK(LocalFree(moved) == NULL);
  CHECK(LocalFree(NULL) == NULL);

  block = GlobalAlloc(GPTR, 64);
  CHECK(block != NULL && GlobalSize(block) == 64 && GlobalFlags(block) == 0);
  CHECK(GlobalLock(block) == block && GlobalUnlock(block) && GlobalHandle(block) == block);
  CHECK(GlobalReAlloc(block, 32, 0) == block && GlobalSize(block) == 32);
  CHECK(GlobalFree(block) == NULL);
}

static void moveable(void) {
  HLOCAL handle = LocalAlloc(LHND, 100);
  CHECK(handle != NULL && LocalSize(handle) == 100 && LocalFlags(handle) == 0);
  char* data = LocalLock(handle);
  CHECK(data != NULL && data != handle && data[99] == 0);
  CHECK(LocalHandle(data) == handle);
  CHECK(LocalFlags(handle) == 1);
  CHECK(LocalLock(handle) == data && LocalFlags(handle) == 2);
  CHECK(LocalUnlock(handle));
  CHECK(FAILS(LocalUnlock(handle), NO_ERROR));
  CHECK(FAILS(LocalUnlock(handle), ERROR_NOT_LOCKED));
  CHECK(LocalReAlloc(handle, 100000, LMEM_ZEROINIT) == handle && LocalSize(handle) == 100000);
  data = LocalLock(handle);
  CHECK(data != NULL && data[99999] == 0);
  LocalUnlock(handle);
  CHECK(LocalFree(handle) == NULL);

  HGLOBAL other = GlobalAlloc(GMEM_MOVEABLE | GMEM_DISCARDABLE, 10);
  CHECK(other != NULL && GlobalFlags(other) == GMEM_DISCARDABLE && LocalFlags(other) == LMEM_DISCARDABLE);
  data = GlobalLock(other);
  CHECK(GlobalHandle(data) == other);
  CHECK(FAILS(GlobalUnlock(other), NO_ERROR));
  CHECK(GlobalDiscard(other) == other);
  CHECK(GlobalFlags(other) == (GMEM_DISCARDABLE | GMEM_DISCARDED) && GlobalSize(other) == 0);
  CHECK(FAILS(GlobalLock(other), ERROR_DISCARDED));
  CHECK(GlobalReAlloc(other, 20, GMEM_MOVEABLE) == other && GlobalSize(other) == 20);
  CHECK(GlobalReAlloc(other, 0, GMEM_MODIFY | GMEM_MOVEABLE) == other);
  CHECK(GlobalFree(other) == NULL);

  HGLOBAL empty = GlobalAlloc(GMEM_MOVEABLE, 0);
  CHECK(empty != NULL && GlobalFlags(empty) == GMEM_DISCARDED);
  CHECK(GlobalFree(empty) == NULL);
}

static void strangers(void) {
  HLOCAL handle = LocalAlloc(LMEM_MOVEABLE, 10);
  CHECK(LocalFree(handle) == NULL);
  CHECK(FAILS(LocalSize(handle), ERROR_INVALID_HANDLE));
  CHECK(LocalFlags(handle) == LMEM_INVALID_HANDLE);
  CHECK(FAILS(LocalLock(handle), ERROR_INVALID_HANDLE));
}

static void probes(void) {
  DWORD old;
  char* pages = VirtualAlloc(NULL, 0x3000, MEM_RESERVE, PAGE_NOACCESS);
  CHECK(VirtualAlloc(pages, 0x2000, MEM_COMMIT, PAGE_READWRITE) == pages);
  CHECK(VirtualProtect(pages, 0x1000, PAGE_READONLY, &old));
  CHECK(!IsBadReadPtr(pages, 0x2000) && IsBadReadPtr(pages, 0x2001) && IsBadReadPtr(pages + 0x2000, 1));
  CHECK(!IsBadReadPtr(NULL, 0) && IsBadReadPtr(NULL, 1));
  CHECK(IsBadWritePtr(pages, 1) && !IsBadWritePtr(pages + 0x1000, 0x1000));
  CHECK(IsBadWritePtr(pages + 0x1FFF, 2) && !IsBadWritePtr(pages, 0));
  CHECK(!IsBadCodePtr((FARPROC)(void*)probes) && IsBadCodePtr((FARPROC)(pages + 0x2000)));
  int local = 0;
  CHECK(!IsBadWritePtr(&local, sizeof local) && !IsBadReadPtr(&local, sizeof local));

  memset(pages + 0x1000, 'a', 0x1000);
  CHECK(IsBadStringPtrA(pages + 0x1FF0, 100) && !IsBadStringPtrA(pages + 0x1FF0, 16));
  CHECK(IsBadStringPtrW((WCHAR*)(pages + 0x1FF0), 100) && !IsBadStringPtrW((WCHAR*)(pages + 0x1FF0), 8));
  pages[0x1FFE] = pages[0x1FFF] = 0;
  CHECK(!IsBadStringPtrA(pages + 0x1FF0, 100) && !IsBadStringPtrW((WCHAR*)(pages + 0x1FF0), 100));
  CHECK(IsBadStringPtrA(NULL, 1) && !IsBadStringPtrA("text", 100) && !IsBadStringPtrW(L"text", 100));
  CHECK(VirtualFree(pages, 0, MEM_RELEASE));
}

int main(void) {
  fixed();
  moveable();
  strangers();
  probes();
  return DONE();
}
