// Anonymous pipes: bytes through, a look ahead, both ends' end. And pipes as ntdll makes them.
#define _WIN32_WINNT 0x0A00
#include <winternl.h>

#include "check.h"

static void anonymous(void) {
  HANDLE read, write;
  DWORD count = 0, available = 0, left = 1, mode = PIPE_READMODE_BYTE | PIPE_WAIT;
  char text[8] = "";
  CHECK(CreatePipe(&read, &write, NULL, 0) && GetFileType(read) == FILE_TYPE_PIPE);
  CHECK(SetNamedPipeHandleState(read, &mode, NULL, NULL));
  CHECK(PeekNamedPipe(read, NULL, 0, NULL, &available, NULL) && available == 0);
  CHECK(WriteFile(write, "hello", 5, &count, NULL) && count == 5);
  CHECK(PeekNamedPipe(read, text, 2, &count, &available, &left) && count == 2 && available == 5 &&
        text[1] == 'e');
  CHECK(ReadFile(read, text, 8, &count, NULL) && count == 5 && memcmp(text, "hello", 5) == 0);
  CHECK(CloseHandle(write));
  CHECK(!ReadFile(read, text, 8, &count, NULL) && GetLastError() == ERROR_BROKEN_PIPE);
  CHECK(CloseHandle(read) && CreatePipe(&read, &write, NULL, 0) && CloseHandle(read));
  CHECK(!WriteFile(write, "x", 1, &count, NULL) && GetLastError() == ERROR_NO_DATA && CloseHandle(write));
}

// ---- ntdll -----------------------------------------------------------------------------------------------

#define PENDING 0x103
#define BROKEN ((NTSTATUS)0xC000014B)

typedef NTSTATUS NTAPI NtCreateNamedPipeFile_t(HANDLE*, ULONG, OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK*, ULONG,
                                               ULONG, ULONG, ULONG, ULONG, ULONG, ULONG, ULONG, ULONG,
                                               LARGE_INTEGER*);
typedef NTSTATUS NTAPI NtOpenFile_t(HANDLE*, ULONG, OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK*, ULONG, ULONG);
typedef NTSTATUS NTAPI NtReadFile_t(HANDLE, HANDLE, void*, void*, IO_STATUS_BLOCK*, void*, ULONG,
                                    LARGE_INTEGER*, ULONG*);
typedef NTSTATUS NTAPI NtFsControlFile_t(HANDLE, HANDLE, void*, void*, IO_STATUS_BLOCK*, ULONG, void*, ULONG,
                                         void*, ULONG);
#define FIND(name) name##_t* p_##name = (name##_t*)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

static NTSTATUS make(HANDLE* made, OBJECT_ATTRIBUTES* attributes, ULONG share, ULONG disposition) {
  FIND(NtCreateNamedPipeFile);
  IO_STATUS_BLOCK io;
  LARGE_INTEGER timeout = {.QuadPart = -500000};
  return p_NtCreateNamedPipeFile(made,
                                 SYNCHRONIZE | (share == FILE_SHARE_WRITE ? GENERIC_READ : GENERIC_WRITE),
                                 attributes, &io, share, disposition, 0, 0, 0, 0, 1, 65536, 65536, &timeout);
}
static UNICODE_STRING text_of(WCHAR* text) {
  USHORT size = (USHORT)(2 * wcslen(text));
  return (UNICODE_STRING){size, size, text};
}

static void NTAPI told(void* context, IO_STATUS_BLOCK* block, ULONG reserved) {
  CHECK(block->Status == 0 && reserved == 0);
  *(ULONG_PTR*)context += block->Information;
}

/// As Rust's standard library makes the pipes of a child.
static void nt_anonymous(void) {
  FIND(NtOpenFile);
  FIND(NtReadFile);
  NtReadFile_t* p_NtWriteFile =
      (NtReadFile_t*)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtWriteFile");
  FIND(NtFsControlFile);
  UNICODE_STRING folder = text_of(L"\\??\\PIPE\\"), none = {0};
  OBJECT_ATTRIBUTES attributes = {.Length = sizeof attributes, .ObjectName = &folder};
  HANDLE pipes, ours, theirs, second, event = CreateEventW(NULL, TRUE, FALSE, NULL);
  IO_STATUS_BLOCK io, written;
  ULONG_PTR read = 0, put = 0;
  char text[32] = "";
  CHECK(p_NtOpenFile(&pipes, SYNCHRONIZE | GENERIC_READ, &attributes, &io, FILE_SHARE_READ | FILE_SHARE_WRITE,
                     FILE_SYNCHRONOUS_IO_NONALERT) == 0);
  attributes.RootDirectory = pipes;
  attributes.ObjectName = &none;
  CHECK(make(&ours, &attributes, 0, FILE_CREATE) < 0);
  CHECK(make(&ours, &attributes, FILE_SHARE_WRITE, FILE_CREATE) == 0 && GetFileType(ours) == FILE_TYPE_PIPE);
  attributes.RootDirectory = ours;
  attributes.Attributes = OBJ_INHERIT;
  CHECK(p_NtOpenFile(&theirs, SYNCHRONIZE | GENERIC_WRITE | FILE_READ_ATTRIBUTES, &attributes, &io, 0,
                     FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT) == 0);
  DWORD flags = 0;
  CHECK(GetHandleInformation(theirs, &flags) && flags == HANDLE_FLAG_INHERIT);
  CHECK(p_NtOpenFile(&second, SYNCHRONIZE | GENERIC_WRITE, &attributes, &io, 0,
                     FILE_SYNCHRONOUS_IO_NONALERT) == (NTSTATUS)0xC00000AC);
  // By an event, and by a procedure call.
  CHECK(p_NtReadFile(ours, event, NULL, NULL, &io, text, 32, NULL, NULL) == PENDING &&
        WaitForSingleObject(event, 0) == WAIT_TIMEOUT);
  CHECK(p_NtWriteFile(theirs, NULL, NULL, NULL, &written, "event", 5, NULL, NULL) == 0 &&
        written.Information == 5);
  CHECK(WaitForSingleObject(event, INFINITE) == WAIT_OBJECT_0 && io.Status == 0 && io.Information == 5 &&
        memcmp(text, "event", 5) == 0);
  CHECK(p_NtReadFile(ours, NULL, (void*)told, &read, &io, text, 32, NULL, NULL) == PENDING);
  CHECK(p_NtWriteFile(theirs, NULL, (void*)told, &put, &written, "call", 4, NULL, NULL) == 0);
  while (read == 0 || put == 0) CHECK(SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(read == 4 && put == 4);
  // A look ahead.
  ULONG peeked[8];
  CHECK(p_NtWriteFile(theirs, NULL, NULL, NULL, &written, "abcdef", 6, NULL, NULL) == 0);
  CHECK(p_NtFsControlFile(ours, NULL, NULL, NULL, &io, 0x11400C, NULL, 0, peeked, 19) ==
            (NTSTATUS)0x80000005 &&
        io.Information == 19 && peeked[1] == 6 && memcmp(&peeked[4], "abc", 3) == 0);
  CHECK(p_NtFsControlFile(ours, NULL, NULL, NULL, &io, 0x11400C, NULL, 0, peeked, sizeof peeked) == 0 &&
        io.Information == 22 && peeked[0] == 3 && peeked[1] == 6);
  CHECK(CloseHandle(theirs));
  CHECK(p_NtReadFile(ours, event, NULL, NULL, &io, text, 32, NULL, NULL) >= 0 &&
        WaitForSingleObject(event, INFINITE) == WAIT_OBJECT_0 && io.Information == 6);
  CHECK(p_NtReadFile(ours, event, NULL, NULL, &io, text, 32, NULL, NULL) == BROKEN);
  CHECK(CloseHandle(ours) && CloseHandle(pipes) && CloseHandle(event));
}

static void nt_named(void) {
  FIND(NtFsControlFile);
  WCHAR name[80];
  _snwprintf(name, 80, L"\\??\\pipe\\bobbin-nt-%lu", GetCurrentProcessId());
  UNICODE_STRING as_text = text_of(name);
  OBJECT_ATTRIBUTES attributes = {
      .Length = sizeof attributes, .ObjectName = &as_text, .Attributes = OBJ_CASE_INSENSITIVE};
  HANDLE server, again, client, event = CreateEventW(NULL, TRUE, FALSE, NULL);
  IO_STATUS_BLOCK io;
  as_text.Length -= 2;  // another name
  CHECK(make(&again, &attributes, FILE_SHARE_READ, FILE_OPEN) == (NTSTATUS)0xC0000034);
  as_text.Length += 2;
  CHECK(make(&server, &attributes, FILE_SHARE_READ, FILE_CREATE) == 0);
  CHECK(make(&again, &attributes, FILE_SHARE_READ, FILE_OPEN_IF) == (NTSTATUS)0xC00000AB);
  CHECK(p_NtFsControlFile(server, event, NULL, NULL, &io, 0x110008, NULL, 0, NULL, 0) == PENDING);
  memcpy(name, L"\\\\.\\", 8);
  CHECK((client = CreateFileW(name, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL)) != INVALID_HANDLE_VALUE);
  CHECK(WaitForSingleObject(event, INFINITE) == WAIT_OBJECT_0 && io.Status == 0);
  DWORD count = 0;
  char text[8];
  OVERLAPPED sent = {.hEvent = event};
  CHECK(WriteFile(server, "x", 1, NULL, &sent) || GetLastError() == ERROR_IO_PENDING);
  CHECK(GetOverlappedResult(server, &sent, &count, TRUE) && ReadFile(client, text, 8, &count, NULL) &&
        count == 1);
  CHECK(p_NtFsControlFile(server, NULL, NULL, NULL, &io, 0x110004, NULL, 0, NULL, 0) == 0);
  CHECK(!ReadFile(client, text, 8, &count, NULL));
  CHECK(p_NtFsControlFile(server, NULL, NULL, NULL, &io, 0x90000, NULL, 0, NULL, 0) < 0);
  CHECK(CloseHandle(server) && CloseHandle(client) && CloseHandle(event));
}

int main(void) {
  anonymous();
  nt_anonymous();
  nt_named();
  return DONE();
}
