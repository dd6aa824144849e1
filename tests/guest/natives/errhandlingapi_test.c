// Last error, error modes, who handles exceptions; ntdll's twins.
#include "../check.h"

#define FROM(dll, type, name, arguments) \
  type(WINAPI* name) arguments = (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA(dll), #name)

static void last_error(void) {
  FROM("ntdll.dll", DWORD, RtlGetLastWin32Error, (void));
  FROM("ntdll.dll", void, RtlSetLastWin32Error, (DWORD));
  FROM("ntdll.dll", void, RtlRestoreLastWin32Error, (DWORD));
  FROM("ntdll.dll", LONG, RtlGetLastNtStatus, (void));
  FROM("ntdll.dll", ULONG, RtlNtStatusToDosError, (LONG));
  FROM("ntdll.dll", ULONG, RtlNtStatusToDosErrorNoTeb, (LONG));
  FROM("ntdll.dll", ULONG, RtlSetLastWin32ErrorAndNtStatusFromNtStatus, (LONG));
  SetLastError(1234);
  CHECK(GetLastError() == 1234);
  CHECK(RtlGetLastWin32Error() == 1234);
  RtlSetLastWin32Error(77);
  CHECK(GetLastError() == 77);
  RtlRestoreLastWin32Error(78);
  CHECK(GetLastError() == 78);
  CHECK(RtlNtStatusToDosError((LONG)0xC0000008) == ERROR_INVALID_HANDLE);
  CHECK(RtlNtStatusToDosErrorNoTeb((LONG)0xC0000034) == ERROR_FILE_NOT_FOUND);
  CHECK(RtlGetLastNtStatus() == (LONG)0xC0000008);
  CHECK(RtlSetLastWin32ErrorAndNtStatusFromNtStatus((LONG)0xC0000022) == ERROR_ACCESS_DENIED ||
        running_under_wine());
  CHECK(GetLastError() == ERROR_ACCESS_DENIED);
  CHECK(RtlGetLastNtStatus() == (LONG)0xC0000022);
}

static void modes(void) {
  FROM("kernel32.dll", BOOL, SetThreadErrorMode, (DWORD, DWORD*));
  FROM("kernel32.dll", DWORD, GetThreadErrorMode, (void));
  UINT before = SetErrorMode(SEM_FAILCRITICALERRORS);
  CHECK(GetErrorMode() == SEM_FAILCRITICALERRORS);
  CHECK(SetErrorMode(before) == SEM_FAILCRITICALERRORS);
  DWORD old = 99;
  CHECK(SetThreadErrorMode(SEM_NOGPFAULTERRORBOX, NULL));
  CHECK(GetThreadErrorMode() == SEM_NOGPFAULTERRORBOX);
  CHECK(SetThreadErrorMode(0, &old) && old == SEM_NOGPFAULTERRORBOX);
  CHECK(!SetThreadErrorMode(0x100, NULL) && GetLastError() == ERROR_INVALID_PARAMETER);
}

static LONG WINAPI filter(EXCEPTION_POINTERS* exception) {
  return exception->ExceptionRecord->ExceptionCode == 0xE0001234 ? EXCEPTION_CONTINUE_EXECUTION
                                                                 : EXCEPTION_EXECUTE_HANDLER;
}
static LONG WINAPI handler(EXCEPTION_POINTERS* exception) { return EXCEPTION_CONTINUE_SEARCH; }

static void handlers(void) {
  FROM("ntdll.dll", PVOID, RtlAddVectoredExceptionHandler, (ULONG, PVECTORED_EXCEPTION_HANDLER));
  FROM("ntdll.dll", PVOID, RtlAddVectoredContinueHandler, (ULONG, PVECTORED_EXCEPTION_HANDLER));
  FROM("ntdll.dll", ULONG, RtlRemoveVectoredExceptionHandler, (PVOID));
  FROM("ntdll.dll", ULONG, RtlRemoveVectoredContinueHandler, (PVOID));
  LPTOP_LEVEL_EXCEPTION_FILTER first = SetUnhandledExceptionFilter(filter);
  CHECK(SetUnhandledExceptionFilter(filter) == filter);
  EXCEPTION_RECORD record = {0};
  EXCEPTION_POINTERS exception = {&record, NULL};
  record.ExceptionCode = 0xE0001234;
  CHECK(UnhandledExceptionFilter(&exception) == EXCEPTION_CONTINUE_EXECUTION);
  record.ExceptionCode = 0xE0005678;
  CHECK(UnhandledExceptionFilter(&exception) == EXCEPTION_EXECUTE_HANDLER);
  CHECK(SetUnhandledExceptionFilter(first) == filter);

  PVOID a = AddVectoredExceptionHandler(1, handler);
  PVOID b = RtlAddVectoredExceptionHandler(0, handler);
  CHECK(a != NULL && b != NULL && a != b);
  CHECK(RemoveVectoredExceptionHandler(a));
  CHECK(!RemoveVectoredExceptionHandler(a));
  CHECK(RtlRemoveVectoredExceptionHandler(b));
  a = AddVectoredContinueHandler(1, handler);
  b = RtlAddVectoredContinueHandler(0, handler);
  CHECK(a != NULL && b != NULL);
  CHECK(!RemoveVectoredExceptionHandler(a));
  CHECK(RemoveVectoredContinueHandler(a));
  CHECK(RtlRemoveVectoredContinueHandler(b));
}

int main(void) {
  last_error();
  modes();
  handlers();
  return DONE();
}
