// handleapi.h, and NtClose and NtDuplicateObject.
#define _WIN32_WINNT 0x0A00
#include "check.h"

typedef BOOL(WINAPI* CompareObjectHandles_t)(HANDLE, HANDLE);
typedef LONG(WINAPI* NtClose_t)(HANDLE);
typedef LONG(WINAPI* NtDuplicateObject_t)(HANDLE, HANDLE, HANDLE, HANDLE*, ACCESS_MASK, ULONG, ULONG);

#define INVALID_HANDLE_STATUS ((LONG)0xC0000008)

static HANDLE process;

static void closes(void) {
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  CHECK(event != NULL);
  CHECK(CloseHandle(event));
  SetLastError(0);
  CHECK(!CloseHandle(event) && GetLastError() == ERROR_INVALID_HANDLE);
  SetLastError(0);
  CHECK(!CloseHandle(NULL) && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(CloseHandle(GetCurrentProcess()));
  CHECK(CloseHandle(GetCurrentThread()));
}

static void duplicates(void) {
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL), copy = NULL, thread = NULL, self = NULL, moved = NULL;
  DWORD flags = 99;
  CHECK(DuplicateHandle(process, event, process, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS));
  CHECK(copy != event);
  CHECK(GetHandleInformation(copy, &flags) && flags == HANDLE_FLAG_INHERIT);
  CHECK(SetEvent(copy) && WaitForSingleObject(event, 0) == WAIT_OBJECT_0);
  CHECK(CloseHandle(event));
  CHECK(WaitForSingleObject(copy, 0) == WAIT_OBJECT_0);

  CHECK(DuplicateHandle(process, copy, process, &moved, 0, FALSE,
                        DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE));
  CHECK(GetHandleInformation(moved, &flags) && flags == 0);
  CHECK(CloseHandle(moved));

  CHECK(DuplicateHandle(process, GetCurrentThread(), process, &thread, 0, FALSE, DUPLICATE_SAME_ACCESS));
  CHECK(thread != GetCurrentThread() && GetThreadId(thread) == GetCurrentThreadId());
  CHECK(WaitForSingleObject(thread, 0) == WAIT_TIMEOUT);
  CHECK(CloseHandle(thread));
  CHECK(DuplicateHandle(process, process, process, &self, 0, FALSE, DUPLICATE_SAME_ACCESS));
  CHECK(WaitForSingleObject(self, 0) == WAIT_TIMEOUT);
  CHECK(CloseHandle(self));
  SetLastError(0);
  CHECK(!DuplicateHandle(process, (HANDLE)0x12340, process, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) &&
        GetLastError() == ERROR_INVALID_HANDLE);
}

static void describes(void) {
  SECURITY_ATTRIBUTES attributes = {sizeof attributes, NULL, TRUE};
  HANDLE event = CreateEventW(&attributes, TRUE, FALSE, NULL);
  DWORD flags = 99;
  CHECK(GetHandleInformation(event, &flags) && flags == HANDLE_FLAG_INHERIT);
  CHECK(SetHandleInformation(event, HANDLE_FLAG_INHERIT, 0));
  CHECK(GetHandleInformation(event, &flags) && flags == 0);
  CHECK(SetHandleInformation(event, HANDLE_FLAG_PROTECT_FROM_CLOSE, HANDLE_FLAG_PROTECT_FROM_CLOSE));
  CHECK(GetHandleInformation(event, &flags) && flags == HANDLE_FLAG_PROTECT_FROM_CLOSE);
  SetLastError(0);
  CHECK(!CloseHandle(event) && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(SetHandleInformation(event, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0));
  CHECK(CloseHandle(event));
  SetLastError(0);
  CHECK(!GetHandleInformation(event, &flags) && GetLastError() == ERROR_INVALID_HANDLE);
}

static void compares(void) {
  const CompareObjectHandles_t compare =
      (CompareObjectHandles_t)(void*)GetProcAddress(GetModuleHandleA("kernelbase"), "CompareObjectHandles");
  HANDLE one = CreateEventW(NULL, TRUE, FALSE, NULL), other = CreateEventW(NULL, TRUE, FALSE, NULL),
         copy = NULL;
  CHECK(DuplicateHandle(process, one, process, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
  CHECK(compare(one, copy));
  CHECK(!compare(one, other));
  CHECK(CloseHandle(one) && CloseHandle(other) && CloseHandle(copy));
}

static void ntdlls(void) {
  const HMODULE ntdll = GetModuleHandleA("ntdll");
  const NtClose_t nt_close = (NtClose_t)(void*)GetProcAddress(ntdll, "NtClose");
  const NtDuplicateObject_t nt_duplicate =
      (NtDuplicateObject_t)(void*)GetProcAddress(ntdll, "NtDuplicateObject");
  HANDLE event = CreateEventW(NULL, TRUE, TRUE, NULL), copy = NULL;
  CHECK(nt_duplicate(process, event, process, &copy, 0, 0, DUPLICATE_SAME_ACCESS) == 0);
  CHECK(WaitForSingleObject(copy, 0) == WAIT_OBJECT_0);
  CHECK(nt_close(copy) == 0);
  CHECK(nt_close(copy) == INVALID_HANDLE_STATUS);
  CHECK(nt_close(event) == 0);
}

int main(void) {
  process = GetCurrentProcess();
  closes();
  duplicates();
  describes();
  compares();
  ntdlls();
  return DONE();
}
