// Disguised pointers, the beep, random numbers.
#include "../check.h"

#define FROM(dll, type, name, arguments) \
  type(WINAPI* name) arguments = (type(WINAPI*) arguments)(void*)GetProcAddress(dll, #name)

int main(void) {
  HMODULE kernel32 = GetModuleHandleA("kernel32.dll");
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  FROM(kernel32, PVOID, EncodePointer, (PVOID));
  FROM(kernel32, PVOID, DecodePointer, (PVOID));
  FROM(kernel32, PVOID, EncodeSystemPointer, (PVOID));
  FROM(kernel32, PVOID, DecodeSystemPointer, (PVOID));
  FROM(ntdll, PVOID, RtlEncodePointer, (PVOID));
  FROM(ntdll, PVOID, RtlDecodePointer, (PVOID));
  FROM(ntdll, PVOID, RtlEncodeSystemPointer, (PVOID));
  FROM(ntdll, PVOID, RtlDecodeSystemPointer, (PVOID));
  FROM(LoadLibraryA("advapi32.dll"), BOOLEAN, SystemFunction036, (PVOID, ULONG));
  int here = 0;
  CHECK(EncodePointer(&here) != &here);
  CHECK(DecodePointer(EncodePointer(&here)) == &here);
  CHECK(DecodePointer(EncodePointer(NULL)) == NULL);
  CHECK(DecodeSystemPointer(EncodeSystemPointer(&here)) == &here);
  CHECK(RtlDecodePointer(RtlEncodePointer(&here)) == &here);
  CHECK(RtlDecodePointer(EncodePointer(&here)) == &here);
  CHECK(RtlDecodeSystemPointer(RtlEncodeSystemPointer(&here)) == &here);

  if (!running_under_wine()) {  // there it takes any pitch
    CHECK(!Beep(1, 1) && GetLastError() == ERROR_INVALID_PARAMETER);
    CHECK(Beep(440, 1));
  }

  unsigned char a[32] = {0}, b[32] = {0};
  CHECK(SystemFunction036(a, sizeof a));
  CHECK(SystemFunction036(b, sizeof b));
  CHECK(memcmp(a, b, sizeof a) != 0);
  return DONE();
}
