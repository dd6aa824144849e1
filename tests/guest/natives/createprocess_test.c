// A program that starts itself: what a child is given, and how its end is seen.
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"

typedef LONG(NTAPI* TerminateFunction)(HANDLE, LONG);
typedef void(NTAPI* ExitFunction)(LONG);

static FARPROC of_ntdll(const char* name) { return GetProcAddress(GetModuleHandleA("ntdll.dll"), name); }

static char g_self[MAX_PATH];

// ---- the child
// ---------------------------------------------------------------------------------------------

/// Says on stdout what it was given, and echoes its input.
static int tell_about(int argc, char** argv) {
  char folder[MAX_PATH] = "", value[64] = "(none)", input[64];
  GetCurrentDirectoryA(sizeof folder, folder);
  GetEnvironmentVariableA("GIVEN", value, sizeof value);
  const char* name = strrchr(folder, '\\');
  printf("%d|%s|%s|%s|%s", argc, argv[2], argv[3], value, name == NULL ? folder : name + 1);
  while (fgets(input, sizeof input, stdin) != NULL) printf("|%s", input);
  return 3;
}

static int writes(const char* handle) {
  DWORD count = 0;
  return WriteFile((HANDLE)(UINT_PTR)strtoull(handle, NULL, 0), "hello", 5, &count, NULL) && count == 5;
}

static int child(int argc, char** argv) {
  const char* task = argv[1];
  if (strcmp(task, "tell") == 0) return tell_about(argc, argv);
  if (strcmp(task, "exit") == 0) ExitProcess((UINT)strtoul(argv[2], NULL, 0));
  if (strcmp(task, "break") == 0) DebugBreak();
  if (strcmp(task, "dbgbreak") == 0) {
    void (*DbgBreakPoint)(void) = (void*)of_ntdll("DbgBreakPoint");
    DbgBreakPoint();
  }
  if (strcmp(task, "ntend") == 0) {
    LONG(NTAPI * NtTerminateProcess)(HANDLE, LONG) = (TerminateFunction)(void*)of_ntdll("NtTerminateProcess");
    LONG status = NtTerminateProcess(GetCurrentProcess(), 0x11223344);
    printf("still here: %ld\n", status);
  }
  if (strcmp(task, "rtlend") == 0) {
    void(NTAPI * RtlExitUserProcess)(LONG) = (ExitFunction)(void*)of_ntdll("RtlExitUserProcess");
    RtlExitUserProcess(0x55667788);
  }
  if (strcmp(task, "version") == 0) return (int)GetVersion();
  if (strcmp(task, "wait") == 0) Sleep(INFINITE);
  if (strcmp(task, "handles") == 0) return writes(argv[2]) ? writes(argv[3]) ? 2 : 0 : 1;
  if (strcmp(task, "event") == 0) return SetEvent((HANDLE)(UINT_PTR)strtoull(argv[2], NULL, 0)) ? 0 : 1;
  if (strcmp(task, "descriptor") == 0) return _write(atoi(argv[2]), "hello", 5) == 5 ? 0 : 1;
  return 99;
}

// ---- the parent
// --------------------------------------------------------------------------------------------

static BOOL start_inheriting(BOOL inherit, const char* arguments, PROCESS_INFORMATION* out) {
  STARTUPINFOA info = {.cb = sizeof info};
  char line[2 * MAX_PATH];
  snprintf(line, sizeof line, "\"%s\" %s", g_self, arguments);
  return CreateProcessA(NULL, line, NULL, NULL, inherit, 0, NULL, NULL, &info, out);
}
static BOOL start(const char* arguments, PROCESS_INFORMATION* out) {
  return start_inheriting(FALSE, arguments, out);
}

/// The exit code of a child that ends by itself; ~0 if it does not start.
static DWORD run_inheriting(BOOL inherit, const char* arguments) {
  PROCESS_INFORMATION it;
  DWORD code = 0;
  if (!start_inheriting(inherit, arguments, &it)) return ~0u;
  CHECK(WaitForSingleObject(it.hProcess, INFINITE) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(it.hThread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeProcess(it.hProcess, &code));
  CHECK(CloseHandle(it.hThread) && CloseHandle(it.hProcess));
  return code;
}

static DWORD run(const char* arguments) { return run_inheriting(FALSE, arguments); }

static void check_exit_codes(void) {
  CHECK(run("exit 0") == 0);
  CHECK(run("exit 255") == 255);
  CHECK(run("exit 256") == 256);
  CHECK(run("exit 0xC0000409") == 0xC0000409);
  CHECK(run("ntend") == 0x11223344);
  CHECK(run("rtlend") == 0x55667788);
  CHECK(run("break") == 0x80000003);
  CHECK(run("dbgbreak") == 0x80000003);
}

/// Two pipes, an environment block, and a folder.
static void check_what_is_given(void) {
  SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
  HANDLE in_read, in_write, out_read, out_write;
  CHECK(CreatePipe(&in_read, &in_write, &inherit, 0) && CreatePipe(&out_read, &out_write, &inherit, 0));
  CHECK(SetHandleInformation(in_write, HANDLE_FLAG_INHERIT, 0));
  CHECK(SetHandleInformation(out_read, HANDLE_FLAG_INHERIT, 0));
  STARTUPINFOW info = {.cb = sizeof info,
                       .dwFlags = STARTF_USESTDHANDLES,
                       .hStdInput = in_read,
                       .hStdOutput = out_write,
                       .hStdError = out_write};
  CHECK(CreateDirectoryA("elsewhere", NULL));
  WCHAR self[MAX_PATH], line[] = L"me tell \"two words\" \"quo\\\"te\"", block[1024] = L"GIVEN=value",
                        root[64];
  CHECK(MultiByteToWideChar(CP_ACP, 0, g_self, -1, self, MAX_PATH) != 0);
  DWORD length = GetEnvironmentVariableW(L"SystemRoot", root, 64);  // Wine's loader wants it
  if (length != 0 && length < 64) swprintf(block + 12, 100, L"SystemRoot=%ls", root);
  PROCESS_INFORMATION it;
  CHECK(CreateProcessW(self, line, NULL, NULL, TRUE, CREATE_UNICODE_ENVIRONMENT, block, L"elsewhere", &info,
                       &it));
  CHECK(CloseHandle(in_read) && CloseHandle(out_write));
  DWORD count = 0, total = 0, code = 0;
  char got[256] = "";
  CHECK(WriteFile(in_write, "input", 5, &count, NULL) && count == 5 && CloseHandle(in_write));
  while (total < sizeof got - 1 && ReadFile(out_read, got + total, sizeof got - 1 - total, &count, NULL) &&
         count != 0) {
    total += count;
  }
  CHECK(strcmp(got, "4|two words|quo\"te|value|elsewhere|input") == 0);
  if (g_failures) printf("the child said: %s\n", got);
  CHECK(WaitForSingleObject(it.hProcess, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeProcess(it.hProcess, &code) && code == 3);
  CHECK(CloseHandle(it.hProcess) && CloseHandle(it.hThread) && CloseHandle(out_read));
  CHECK(RemoveDirectoryA("elsewhere"));
}

static HANDLE make_file(const char* name, BOOL inherit) {
  SECURITY_ATTRIBUTES attributes = {sizeof attributes, NULL, inherit};
  return CreateFileA(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &attributes,
                     CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
}

/// Inherited handles have the same values in the child, and a file's position is one for both.
static void check_inherited_handles(void) {
  char arguments[64], got[8] = "";
  DWORD count = 0;
  HANDLE given = make_file("given.txt", TRUE), kept = make_file("kept.txt", FALSE);
  CHECK(given != INVALID_HANDLE_VALUE && kept != INVALID_HANDLE_VALUE);
  snprintf(arguments, sizeof arguments, "handles %u %u", (unsigned)(UINT_PTR)given, (unsigned)(UINT_PTR)kept);
  CHECK(run_inheriting(FALSE, arguments) == 1);
  CHECK(run_inheriting(TRUE, arguments) !=
        1);  // 2: what has `kept`'s value there is a file of the child's own
  CHECK(SetFilePointer(given, 0, NULL, FILE_CURRENT) == 5 && GetFileSize(kept, NULL) == 0);
  CHECK(SetFilePointer(given, 0, NULL, FILE_BEGIN) == 0 && ReadFile(given, got, 8, &count, NULL));
  CHECK(count == 5 && strcmp(got, "hello") == 0);
  CHECK(CloseHandle(given) && CloseHandle(kept));

  // An event, too, or the child is not started: never without what it was to get.
  SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
  HANDLE event = CreateEventA(&inherit, TRUE, FALSE, NULL);
  snprintf(arguments, sizeof arguments, "event %u", (unsigned)(UINT_PTR)event);
  DWORD code = run_inheriting(TRUE, arguments);
  if (code == ~0u)
    CHECK(GetLastError() == ERROR_NOT_SUPPORTED);
  else
    CHECK(code == 0 && WaitForSingleObject(event, 0) == WAIT_OBJECT_0);
  CHECK(CloseHandle(event));
}

/// The C runtime's own way: descriptors of open files go to a child of the same runtime.
static void check_inherited_descriptors(void) {
  int ends[2];
  char number[8], got[8] = "";
  CHECK(_pipe(ends, 512, _O_BINARY) == 0);
  snprintf(number, sizeof number, "%d", ends[1]);
  CHECK(_spawnl(_P_WAIT, g_self, "self", "descriptor", number, NULL) == 0);
  CHECK(_close(ends[1]) == 0);
  CHECK(_read(ends[0], got, 8) == 5 && strcmp(got, "hello") == 0);
  CHECK(_close(ends[0]) == 0);
}

static void check_running_child(void) {
  PROCESS_INFORMATION it;
  DWORD code = 0;
  if (!start("wait", &it)) {
    CHECK(!"the child starts");
    return;
  }
  CHECK(it.dwProcessId != GetCurrentProcessId() && GetProcessId(it.hProcess) == it.dwProcessId);
  CHECK(GetExitCodeProcess(it.hProcess, &code) && code == STILL_ACTIVE);
  CHECK(WaitForSingleObject(it.hProcess, 0) == WAIT_TIMEOUT &&
        WaitForSingleObject(it.hThread, 0) == WAIT_TIMEOUT);
  CHECK(GetThreadId(it.hThread) == it.dwThreadId && GetProcessIdOfThread(it.hThread) == it.dwProcessId);
  CHECK(GetExitCodeThread(it.hThread, &code) && code == STILL_ACTIVE);
  SetLastError(0);
  CHECK(!GetExitCodeProcess(it.hThread, &code) && GetLastError() == ERROR_INVALID_HANDLE);
  HANDLE again =
      OpenProcess(PROCESS_TERMINATE | PROCESS_QUERY_INFORMATION | SYNCHRONIZE, FALSE, it.dwProcessId);
  CHECK(again != NULL && GetProcessId(again) == it.dwProcessId);
  CHECK(TerminateProcess(again, 0x1234));
  CHECK(WaitForSingleObject(it.hProcess, INFINITE) == WAIT_OBJECT_0);
  CHECK(WaitForSingleObject(it.hThread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeProcess(again, &code) && code == 0x1234);
  CHECK(GetExitCodeThread(it.hThread, &code) && code == 0x1234);
  // Wine lets a process that has ended be terminated again.
  CHECK((!TerminateProcess(it.hProcess, 5) && GetLastError() == ERROR_ACCESS_DENIED) || running_under_wine());
  CHECK(CloseHandle(again) && CloseHandle(it.hProcess) && CloseHandle(it.hThread));
}

/// The same Windows (bobbin run --windows), for one: a child runs as its parent does.
static void check_same_world(void) { CHECK(run("version") == GetVersion()); }

int main(int argc, char** argv) {
  if (argc > 1) return child(argc, argv);
  HANDLE self = NULL;
  CHECK(GetModuleFileNameA(NULL, g_self, sizeof g_self) != 0);
  CHECK(DuplicateHandle(GetCurrentProcess(), GetCurrentProcess(), GetCurrentProcess(), &self, 0, FALSE,
                        DUPLICATE_SAME_ACCESS));
  CHECK(GetProcessId(self) == GetCurrentProcessId() && CloseHandle(self));
  check_exit_codes();
  check_what_is_given();
  check_same_world();
  check_inherited_handles();
  check_inherited_descriptors();
  check_running_child();
  return DONE();
}
