// ioapiset.h: completion ports, overlapped operations and device control; procedure calls; ntdll's files.
#define _WIN32_WINNT 0x0A00
#include "check.h"

#include <winternl.h>

static HANDLE temporary(WCHAR* path, DWORD flags) {
  WCHAR folder[MAX_PATH];
  CHECK(GetTempPathW(MAX_PATH, folder) != 0 && GetTempFileNameW(folder, L"bob", 0, path) != 0);
  return CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                     CREATE_ALWAYS, flags | FILE_FLAG_DELETE_ON_CLOSE, NULL);
}

static DWORD WINAPI post_later(void* port) {
  Sleep(20);
  return PostQueuedCompletionStatus(port, 7, 8, NULL);
}

static DWORD WINAPI take_until_closed(void* port) {
  DWORD count = 0;
  ULONG_PTR key = 0;
  OVERLAPPED* got = NULL;
  while (GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE)) continue;
  return got == NULL ? GetLastError() : 0;
}

// Closing a port ends the waits at it.
static void closed_port(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  HANDLE thread = CreateThread(NULL, 0, take_until_closed, port, 0, NULL);
  DWORD code = 0;
  CHECK(PostQueuedCompletionStatus(port, 1, 2, NULL));
  Sleep(5);  // or the thread may find no port at all
  CHECK(CloseHandle(port) && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code) && (code == ERROR_ABANDONED_WAIT_0 || code == ERROR_INVALID_HANDLE));
  CHECK(CloseHandle(thread));
}

static void ports(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  CHECK(port != NULL);
  DWORD count = 0;
  ULONG_PTR key = 0;
  OVERLAPPED one = {0}, *got = &one;
  CHECK(!GetQueuedCompletionStatus(port, &count, &key, &got, 0) && GetLastError() == WAIT_TIMEOUT && !got);
  CHECK(PostQueuedCompletionStatus(port, 1, 2, &one) && PostQueuedCompletionStatus(port, 3, 4, NULL) &&
        PostQueuedCompletionStatus(port, 5, 6, NULL));
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 1 && key == 2 &&
        got == &one);
  OVERLAPPED_ENTRY entries[4];
  ULONG taken = 0;
  CHECK(GetQueuedCompletionStatusEx(port, entries, 4, &taken, 0, FALSE) && taken == 2);
  CHECK(entries[0].dwNumberOfBytesTransferred == 3 && entries[1].lpCompletionKey == 6);
  HANDLE thread = CreateThread(NULL, 0, post_later, port, 0, NULL);
  CHECK(GetQueuedCompletionStatusEx(port, entries, 1, &taken, INFINITE, FALSE) && taken == 1);
  CHECK(entries[0].dwNumberOfBytesTransferred == 7 && entries[0].lpCompletionKey == 8);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0 && CloseHandle(thread));

  WCHAR path[MAX_PATH];
  HANDLE file = temporary(path, FILE_FLAG_OVERLAPPED);
  CHECK(CreateIoCompletionPort(file, port, 99, 0) == port);
  CHECK(CreateIoCompletionPort(file, port, 98, 0) == NULL && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(WriteFile(file, "hello", 5, NULL, &one) || GetLastError() == ERROR_IO_PENDING);
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 5 && key == 99 &&
        got == &one);
  CHECK(GetOverlappedResult(file, &one, &count, TRUE) && count == 5);
  CHECK(SetFileCompletionNotificationModes(file, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
  char text[8] = "";
  CHECK(ReadFile(file, text, 5, NULL, &one) || GetLastError() == ERROR_IO_PENDING);
  BOOL(WINAPI * result_ex)(HANDLE, OVERLAPPED*, DWORD*, DWORD, BOOL) =
      (void*)GetProcAddress(GetModuleHandleA("kernel32"), "GetOverlappedResultEx");
  CHECK(result_ex(file, &one, &count, INFINITE, FALSE) && count == 5 && memcmp(text, "hello", 5) == 0);
  SetLastError(0);
  if (!running_under_wine())  // which knows some requests
    CHECK(!DeviceIoControl(file, 0x90028 /* FSCTL_MARK_HANDLE */, NULL, 0, NULL, 0, &count, NULL) &&
          GetLastError() == ERROR_INVALID_FUNCTION);
  CHECK(CancelIo(file));
  if (!running_under_wine()) CHECK(!CancelIoEx(file, NULL) && GetLastError() == ERROR_NOT_FOUND);
  CHECK(CloseHandle(file) && CloseHandle(port));
}

static DWORD g_called, g_bytes, g_error;
static void CALLBACK called(ULONG_PTR argument) { g_called = g_called * 10 + (DWORD)argument; }
static void CALLBACK completed(DWORD error, DWORD bytes, OVERLAPPED* overlapped) {
  g_error = error;
  g_bytes = bytes + overlapped->Offset;
}
static void WINAPI called_by_nt(void* a, void* b, void* c) {
  g_called = (DWORD)((ULONG_PTR)a + (ULONG_PTR)b + (ULONG_PTR)c);
}
static DWORD WINAPI sleep_alertably(void* event) {
  SetEvent(event);
  return SleepEx(INFINITE, TRUE);
}

static void procedure_calls(void) {
  CHECK(QueueUserAPC(called, GetCurrentThread(), 1) && QueueUserAPC(called, GetCurrentThread(), 2));
  CHECK(SleepEx(0, FALSE) == 0 && g_called == 0);
  CHECK(SleepEx(0, TRUE) == WAIT_IO_COMPLETION && g_called == 12);
  CHECK(SleepEx(0, TRUE) == 0);
  HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL);
  g_called = 0;
  HANDLE thread = CreateThread(NULL, 0, sleep_alertably, event, 0, NULL);
  CHECK(WaitForSingleObject(event, INFINITE) == WAIT_OBJECT_0);
  CHECK(QueueUserAPC(called, thread, 3) && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  DWORD code = 0;
  CHECK(GetExitCodeThread(thread, &code) && code == WAIT_IO_COMPLETION && g_called == 3);
  NTSTATUS(WINAPI * p_NtQueueApcThread)(HANDLE, void*, ULONG_PTR, ULONG_PTR, ULONG_PTR) =
      (void*)GetProcAddress(GetModuleHandleA("ntdll"), "NtQueueApcThread");
  CHECK(p_NtQueueApcThread(GetCurrentThread(), called_by_nt, 1, 2, 4) == 0);
  CHECK(WaitForSingleObjectEx(event, INFINITE, TRUE) == WAIT_IO_COMPLETION && g_called == 7);
  CHECK(CloseHandle(thread) && CloseHandle(event));

  WCHAR path[MAX_PATH];
  HANDLE file = temporary(path, FILE_FLAG_OVERLAPPED);
  OVERLAPPED at = {.Offset = 100};
  char text[8] = "";
  CHECK(WriteFileEx(file, "bytes", 5, &at, completed) && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_error == 0 && g_bytes == 105);
  g_bytes = 0;
  CHECK(ReadFileEx(file, text, 5, &at, completed) && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_error == 0 && g_bytes == 105 && memcmp(text, "bytes", 5) == 0);
  CHECK(CloseHandle(file));
}

#define FIND(name) name##_t* p_##name = (void*)GetProcAddress(GetModuleHandleA("ntdll"), #name)
typedef NTSTATUS NTAPI NtCreateFile_t(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK*,
                                      LARGE_INTEGER*, ULONG, ULONG, ULONG, ULONG, void*, ULONG);
typedef NTSTATUS NTAPI NtOpenFile_t(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK*, ULONG, ULONG);
typedef NTSTATUS NTAPI NtReadFile_t(HANDLE, HANDLE, void*, void*, IO_STATUS_BLOCK*, void*, ULONG,
                                    LARGE_INTEGER*, ULONG*);
typedef NTSTATUS NTAPI NtWriteFile_t(HANDLE, HANDLE, void*, void*, IO_STATUS_BLOCK*, const void*, ULONG,
                                     LARGE_INTEGER*, ULONG*);
typedef NTSTATUS NTAPI NtCancelIoFileEx_t(HANDLE, IO_STATUS_BLOCK*, IO_STATUS_BLOCK*);
typedef NTSTATUS NTAPI NtDeviceIoControlFile_t(HANDLE, HANDLE, void*, void*, IO_STATUS_BLOCK*, ULONG, void*,
                                               ULONG, void*, ULONG);
#define SYNCHRONOUS 0x20
#define IS_FOLDER 0x1
#define IS_NO_FOLDER 0x40

static void nt_files(void) {
  FIND(NtCreateFile);
  FIND(NtOpenFile);
  FIND(NtReadFile);
  FIND(NtWriteFile);
  FIND(NtCancelIoFileEx);
  FIND(NtDeviceIoControlFile);
  WCHAR folder[MAX_PATH] = L"\\??\\";
  GetTempPathW(MAX_PATH - 4, folder + 4);
  UNICODE_STRING name;
  RtlInitUnicodeString(&name, folder);
  OBJECT_ATTRIBUTES attributes;
  InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
  IO_STATUS_BLOCK io;
  HANDLE root = NULL, file = NULL, again = NULL;
  CHECK(p_NtOpenFile(&root, FILE_LIST_DIRECTORY | SYNCHRONIZE, &attributes, &io, 7,
                     IS_FOLDER | SYNCHRONOUS) == 0);
  WCHAR own[64];
  _snwprintf(own, 64, L"bobbin-nt-%lu.tmp", GetCurrentProcessId());
  RtlInitUnicodeString(&name, own);
  attributes.RootDirectory = root;
  CHECK(p_NtCreateFile(&file, GENERIC_READ | GENERIC_WRITE | DELETE | SYNCHRONIZE, &attributes, &io, NULL,
                       0x80, 7, 2 /* FILE_CREATE */,
                       SYNCHRONOUS | IS_NO_FOLDER | 0x1000 /* DELETE_ON_CLOSE */, NULL, 0) == 0 &&
        io.Information == 2);
  CHECK(p_NtCreateFile(&again, GENERIC_READ | SYNCHRONIZE, &attributes, &io, NULL, 0x80, 7, 2, SYNCHRONOUS,
                       NULL, 0) == (NTSTATUS)0xC0000035);
  LARGE_INTEGER at = {.QuadPart = 0};
  char text[8] = "";
  CHECK(p_NtWriteFile(file, NULL, NULL, NULL, &io, "abcdef", 6, NULL, NULL) == 0 && io.Information == 6);
  CHECK(p_NtReadFile(file, NULL, NULL, NULL, &io, text, 8, &at, NULL) == 0 && io.Information == 6 &&
        text[5] == 'f');
  CHECK(p_NtReadFile(file, NULL, NULL, NULL, &io, text, 8, NULL, NULL) == (NTSTATUS)0xC0000011);
  IO_STATUS_BLOCK cancelled;
  if (!running_under_wine()) {
    CHECK(p_NtCancelIoFileEx(file, NULL, &cancelled) == (NTSTATUS)0xC0000225);
    CHECK(p_NtDeviceIoControlFile(file, NULL, NULL, NULL, &io, 0x12024, NULL, 0, NULL, 0) < 0);
  }
  CHECK(CloseHandle(file));
  CHECK(p_NtOpenFile(&again, GENERIC_READ | SYNCHRONIZE, &attributes, &io, 7, SYNCHRONOUS) ==
        (NTSTATUS)0xC0000034);
  CHECK(CloseHandle(root));
}

// Gaps: each fails with what Windows says where a file system or a server cannot do it.
static void gaps(void) {
  if (running_under_wine()) return;
  HANDLE folder =
      CreateFileW(L".", FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  CHECK(!ConnectNamedPipe(folder, NULL) && GetLastError() == ERROR_INVALID_FUNCTION && CloseHandle(folder));
  CHECK(CreateNamedPipeW(L"\\\\.\\pipe\\bobbin", PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE, 1, 0, 0, 0, NULL) ==
            INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_NOT_SUPPORTED);
}

int main(void) {
  gaps();
  ports();
  if (!running_under_wine()) closed_port();  // Wine 8 leaves its threads waiting
  procedure_calls();
  nt_files();
  return DONE();
}
