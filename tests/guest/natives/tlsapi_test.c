// Explicit thread-local storage (processthreadsapi.h): TlsAlloc and its kin, and ntdll's RtlTls* (Windows
// 11). Wine 8 has neither TlsGetValue2 nor RtlTls*; everything else is the same there.
#include "check.h"

#define OUT_OF_RANGE 4000

static ULONG_PTR teb_word(DWORD offset) {
  ULONG_PTR value;
  __asm__ volatile("movq %%gs:(%1), %0" : "=r"(value) : "r"((ULONG_PTR)offset));
  return value;
}

static void* anything(ULONG_PTR n) { return (void*)(n * 16 + 1); }

static void below_64(void) {
  DWORD index = TlsAlloc();
  CHECK(index != TLS_OUT_OF_INDEXES && index > 0 && index < 64);
  SetLastError(1234);
  CHECK(TlsGetValue(index) == NULL && GetLastError() == 0);
  SetLastError(77);
  CHECK(TlsSetValue(index, anything(1)) && GetLastError() == 77);
  CHECK(teb_word(0x1480 + 8 * index) == (ULONG_PTR)anything(1));
  CHECK(TlsGetValue(index) == anything(1));
  CHECK(TlsFree(index));
  SetLastError(0);
  CHECK(!TlsFree(index) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(TlsSetValue(index, anything(2)) &&
        TlsGetValue(index) == anything(2));  // nobody asks whether it is taken
  CHECK(TlsAlloc() == index && TlsGetValue(index) == NULL);
  CHECK(TlsFree(index));
}

static void out_of_range(void) {
  SetLastError(0);
  CHECK(TlsGetValue(OUT_OF_RANGE) == NULL && GetLastError() == ERROR_INVALID_PARAMETER);
  SetLastError(0);
  CHECK(!TlsSetValue(OUT_OF_RANGE, NULL) && GetLastError() == ERROR_INVALID_PARAMETER);
  SetLastError(0);
  CHECK(!TlsFree(OUT_OF_RANGE) && GetLastError() == ERROR_INVALID_PARAMETER);
  SetLastError(0);
  CHECK(!TlsSetValue(0xFFFFFFFF, NULL) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(TlsGetValue(0xFFFFFFFF) == NULL);
}

struct Worker {
  DWORD low, high;
  HANDLE ready, go;
};

static DWORD WINAPI worker(void* argument) {
  struct Worker* w = argument;
  CHECK(TlsGetValue(w->low) == NULL && TlsGetValue(w->high) == NULL);
  CHECK(GetLastError() == 0 && teb_word(0x1780) == 0);  // no expansion cells yet
  CHECK(TlsSetValue(w->low, anything(3)) && TlsSetValue(w->high, anything(4)));
  CHECK(teb_word(0x1780) != 0);
  CHECK(TlsGetValue(w->low) == anything(3) && TlsGetValue(w->high) == anything(4));
  SetEvent(w->ready);
  WaitForSingleObject(w->go, INFINITE);
  CHECK(TlsGetValue(w->low) == NULL && TlsGetValue(w->high) == NULL);  // freed and taken again by main
  return 0;
}

static void every_thread_and_every_slot(void) {
  static DWORD taken[1100];
  int count = 0;
  for (DWORD index; (index = TlsAlloc()) != TLS_OUT_OF_INDEXES; ++count) taken[count] = index;
  CHECK(count >= 1000 && count <= 1087 && taken[0] < 64 && taken[count - 1] == 1087);
  struct Worker w = {taken[0], taken[count - 1], CreateEventW(NULL, FALSE, FALSE, NULL),
                     CreateEventW(NULL, FALSE, FALSE, NULL)};
  CHECK(TlsSetValue(w.low, anything(5)) && TlsSetValue(w.high, anything(6)));
  HANDLE thread = CreateThread(NULL, 0, worker, &w, 0, NULL);
  WaitForSingleObject(w.ready, INFINITE);
  CHECK(TlsGetValue(w.low) == anything(5) && TlsGetValue(w.high) == anything(6));
  CHECK(TlsFree(w.low) && TlsFree(w.high));
  CHECK(TlsAlloc() == w.low && TlsAlloc() == w.high);
  SetEvent(w.go);
  WaitForSingleObject(thread, INFINITE);
  for (int i = 0; i < count; ++i) CHECK(TlsFree(taken[i]));
}

static void newer_ones(void) {
  HMODULE kernel32 = GetModuleHandleW(L"kernel32"), ntdll = GetModuleHandleW(L"ntdll");
  void*(WINAPI * get_value2)(DWORD) = (void*)GetProcAddress(kernel32, "TlsGetValue2");
  LONG(WINAPI * alloc)(ULONG*) = (void*)GetProcAddress(ntdll, "RtlTlsAlloc");
  LONG(WINAPI * release)(ULONG) = (void*)GetProcAddress(ntdll, "RtlTlsFree");
  LONG(WINAPI * set)(ULONG, void*) = (void*)GetProcAddress(ntdll, "RtlTlsSetValue");
  if (GetProcAddress(ntdll, "wine_get_version")) return;
  CHECK(get_value2 && alloc && release && set);
  ULONG index = 0;
  CHECK(alloc(&index) == 0 && index > 0 && index < 64);
  CHECK(set(index, anything(7)) == 0 && TlsGetValue(index) == anything(7));
  SetLastError(1234);
  CHECK(get_value2(index) == anything(7) && GetLastError() == 1234);
  CHECK(set(1000, anything(8)) == 0 && get_value2(1000) == anything(8));
  CHECK(get_value2(OUT_OF_RANGE) == NULL && GetLastError() == 1234);
  CHECK(set(OUT_OF_RANGE, NULL) == (LONG)0xC000000D);
  CHECK(release(index) == 0 && release(index) == (LONG)0xC000000D);
}

int main(void) {
  below_64();
  out_of_range();
  every_thread_and_every_slot();
  newer_ones();
  return DONE();
}
