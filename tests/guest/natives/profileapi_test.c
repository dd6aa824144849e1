// The performance counter.
#include "../check.h"

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

int main(void) {
  NTDLL(BOOL, RtlQueryPerformanceCounter, (LARGE_INTEGER*));
  NTDLL(BOOL, RtlQueryPerformanceFrequency, (LARGE_INTEGER*));
  NTDLL(LONG, NtQueryPerformanceCounter, (LARGE_INTEGER*, LARGE_INTEGER*));
  LARGE_INTEGER before, after, frequency, other;
  CHECK(QueryPerformanceFrequency(&frequency) && frequency.QuadPart == 10000000);
  CHECK(RtlQueryPerformanceFrequency(&other) && other.QuadPart == frequency.QuadPart);
  CHECK(QueryPerformanceCounter(&before));
  Sleep(20);
  CHECK(RtlQueryPerformanceCounter(&after));
  CHECK(after.QuadPart - before.QuadPart >= frequency.QuadPart / 100);
  CHECK(NtQueryPerformanceCounter(&other, &frequency) == 0);
  CHECK(other.QuadPart >= after.QuadPart && frequency.QuadPart == 10000000);
  return DONE();
}
