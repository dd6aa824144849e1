// Operations that have to wait: overlapped reads and writes of named pipes, told of by events, procedure
// calls and completion ports; their cancellation; and a child whose output comes through two such pipes at
// once, as Rust's std::process::Command and libuv do it.
#define _WIN32_WINNT 0x0A00
#include "../check.h"

static WCHAR g_name[80];

/// A name that no other process has.
static const WCHAR* fresh_name(void) {
  static int count;
  _snwprintf(g_name, 80, L"\\\\.\\pipe\\bobbin-%lu-%d", GetCurrentProcessId(), ++count);
  return g_name;
}

static HANDLE server_of(const WCHAR* name, DWORD access, DWORD most) {
  return CreateNamedPipeW(name, access | FILE_FLAG_OVERLAPPED,
                          PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, most, 4096, 4096, 0, NULL);
}
static HANDLE client_of(const WCHAR* name, DWORD access) {
  return CreateFileW(name, access, 0, NULL, OPEN_EXISTING, 0, NULL);
}
static HANDLE event(void) { return CreateEventW(NULL, TRUE, FALSE, NULL); }
static int pends(BOOL done) { return !done && GetLastError() == ERROR_IO_PENDING; }
static int fails(BOOL done, DWORD error) { return !done && GetLastError() == error; }

/// Who comes when, and what there is to say of each.
static void names(void) {
  HANDLE made, other, client;
  DWORD count = 0;
  char text[8];
  CHECK(fails(WaitNamedPipeW(fresh_name(), 1), ERROR_FILE_NOT_FOUND));
  CHECK((client = client_of(g_name, GENERIC_READ)) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(CreateNamedPipeA("no pipe", PIPE_ACCESS_DUPLEX, 0, 1, 0, 0, 0, NULL) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_INVALID_NAME);
  CHECK((made = server_of(g_name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 2)) !=
        INVALID_HANDLE_VALUE);
  CHECK(GetFileType(made) == FILE_TYPE_PIPE);
  if (!running_under_wine())  // Wine 8 does not know the flag
    CHECK(server_of(g_name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 2) == INVALID_HANDLE_VALUE &&
          GetLastError() == ERROR_ACCESS_DENIED);
  CHECK((other = server_of(g_name, PIPE_ACCESS_DUPLEX, 2)) != INVALID_HANDLE_VALUE);
  CHECK(server_of(g_name, PIPE_ACCESS_DUPLEX, 2) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_PIPE_BUSY);
  CHECK(CloseHandle(other));
  CHECK(WaitNamedPipeW(g_name, NMPWAIT_WAIT_FOREVER));
  CHECK(fails(ReadFile(made, text, 8, &count, NULL), ERROR_PIPE_LISTENING));
  CHECK((client = client_of(g_name, GENERIC_READ | GENERIC_WRITE)) != INVALID_HANDLE_VALUE);
  CHECK(client_of(g_name, GENERIC_READ) == INVALID_HANDLE_VALUE && GetLastError() == ERROR_PIPE_BUSY);
  CHECK(fails(WaitNamedPipeW(g_name, 1), ERROR_SEM_TIMEOUT));
  OVERLAPPED none = {.hEvent = event()};
  CHECK(fails(ConnectNamedPipe(made, &none), ERROR_PIPE_CONNECTED));
  CHECK(fails(ConnectNamedPipe(client, &none), ERROR_INVALID_FUNCTION));
  CHECK(WriteFile(client, "ask", 3, &count, NULL) && count == 3);
  CHECK(PeekNamedPipe(made, text, 8, &count, NULL, NULL) && count == 3 && text[2] == 'k');
  CHECK(CloseHandle(client));
  CHECK(ReadFile(made, text, 8, &count, &none) && count == 3);
  CHECK(fails(ReadFile(made, text, 8, &count, &none), ERROR_BROKEN_PIPE));
  CHECK(fails(ConnectNamedPipe(made, &none), ERROR_NO_DATA));

  // Disconnected, it waits for the next one.
  CHECK(DisconnectNamedPipe(made) && !DisconnectNamedPipe(made));
  CHECK(fails(ReadFile(made, text, 8, &count, &none), ERROR_PIPE_NOT_CONNECTED));
  CHECK(pends(ConnectNamedPipe(made, &none)) && WaitForSingleObject(none.hEvent, 0) == WAIT_TIMEOUT);
  CHECK((client = client_of(g_name, GENERIC_READ | GENERIC_WRITE)) != INVALID_HANDLE_VALUE);
  CHECK(GetOverlappedResult(made, &none, &count, TRUE));
  CHECK(WriteFile(made, "reply", 5, &count, &none) || GetLastError() == ERROR_IO_PENDING);
  CHECK(ReadFile(client, text, 8, &count, NULL) && count == 5);
  CHECK(CloseHandle(made) && CloseHandle(client) && CloseHandle(none.hEvent));

  // One way only.
  CHECK((made = server_of(fresh_name(), PIPE_ACCESS_INBOUND, 1)) != INVALID_HANDLE_VALUE);
  CHECK(client_of(g_name, GENERIC_READ) == INVALID_HANDLE_VALUE && GetLastError() == ERROR_ACCESS_DENIED);
  CHECK(CloseHandle(made) && fails(WaitNamedPipeA("\\\\.\\pipe\\bobbin-none", 1), ERROR_FILE_NOT_FOUND));
}

static DWORD WINAPI connects(void* server) {
  return ConnectNamedPipe(server, NULL) || GetLastError() == ERROR_PIPE_CONNECTED;
}

/// A server without overlapped operations waits in the call.
static void synchronous(void) {
  HANDLE server = CreateNamedPipeW(fresh_name(), PIPE_ACCESS_OUTBOUND, PIPE_TYPE_BYTE, 1, 4096, 0, 0, NULL);
  HANDLE thread = CreateThread(NULL, 0, connects, server, 0, NULL);
  HANDLE client = client_of(g_name, GENERIC_READ);
  DWORD code = 0, count = 0;
  CHECK(client != INVALID_HANDLE_VALUE);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0 && GetExitCodeThread(thread, &code) &&
        code == 1);
  char text[8];
  CHECK(WriteFile(server, "x", 1, &count, NULL) && ReadFile(client, text, 8, &count, NULL) && count == 1);
  CHECK(CloseHandle(thread) && CloseHandle(server) && CloseHandle(client));
}

static DWORD g_error, g_bytes, g_calls;
static void CALLBACK completed(DWORD error, DWORD bytes, OVERLAPPED* overlapped) {
  g_error = error;
  g_bytes = bytes + (DWORD)(ULONG_PTR)overlapped->hEvent;
  ++g_calls;
}

/// A pair of ends; the server's is the one that reads.
static void pair(HANDLE* server, HANDLE* client) {
  *server = server_of(fresh_name(), PIPE_ACCESS_INBOUND, 1);
  *client = CreateFileW(g_name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  CHECK(*server != INVALID_HANDLE_VALUE && *client != INVALID_HANDLE_VALUE);
}

/// As libuv writes: the pipe is full, and goes on once somebody reads.
static void put(HANDLE client, const char* text, DWORD size) {
  OVERLAPPED written = {.hEvent = event()};
  DWORD count = 0;
  CHECK(WriteFile(client, text, size, NULL, &written) || GetLastError() == ERROR_IO_PENDING);
  CHECK(GetOverlappedResult(client, &written, &count, TRUE) && count == size && CloseHandle(written.hEvent));
}

static void by_event(void) {
  HANDLE server, client;
  DWORD count = 0;
  char text[8] = "", more[8] = "";
  pair(&server, &client);
  OVERLAPPED first = {.hEvent = event()}, second = {.hEvent = event()}, plain = {0};
  CHECK(pends(ReadFile(server, text, 3, NULL, &first)) && pends(ReadFile(server, more, 8, NULL, &second)));
  CHECK(!HasOverlappedIoCompleted(&first) &&
        fails(GetOverlappedResult(server, &first, &count, FALSE), ERROR_IO_INCOMPLETE));
  CHECK(fails(GetOverlappedResultEx(server, &first, &count, 1, FALSE), WAIT_TIMEOUT));
  put(client, "abcdef", 6);
  HANDLE both[2] = {first.hEvent, second.hEvent};
  CHECK(WaitForMultipleObjects(2, both, TRUE, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetOverlappedResult(server, &first, &count, FALSE) && count == 3 && memcmp(text, "abc", 3) == 0);
  CHECK(GetOverlappedResult(server, &second, &count, FALSE) && count == 3 && memcmp(more, "def", 3) == 0);
  // Without an event, the file tells.
  CHECK(pends(ReadFile(server, text, 8, NULL, &plain)));
  put(client, "gh", 2);
  CHECK(GetOverlappedResult(server, &plain, &count, TRUE) && count == 2);
  // Who asks for nothing is told when there is something.
  CHECK(pends(ReadFile(server, text, 0, NULL, &first)));
  put(client, "i", 1);
  CHECK(GetOverlappedResult(server, &first, &count, TRUE) && count == 0);
  CHECK(ReadFile(server, text, 8, &count, &first) && count == 1);
  // The end of the other side.
  CHECK(pends(ReadFile(server, text, 8, NULL, &first)) && CloseHandle(client));
  CHECK(fails(GetOverlappedResult(server, &first, &count, TRUE), ERROR_BROKEN_PIPE));
  CHECK(CloseHandle(server) && CloseHandle(first.hEvent) && CloseHandle(second.hEvent));
}

static DWORD WINAPI writes_much(void* client) {
  static char much[300000];
  memset(much, 'm', sizeof much);
  put(client, much, sizeof much);
  return CloseHandle(client);
}

static void by_call(void) {
  HANDLE server, client;
  static char text[1000];
  pair(&server, &client);
  OVERLAPPED at = {.hEvent = (HANDLE)1000};
  CHECK(ReadFileEx(server, text, 8, &at, completed) && SleepEx(0, TRUE) == 0 && g_calls == 0);
  put(client, "bytes", 5);
  CHECK(SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION && g_error == 0 && g_bytes == 1005);
  OVERLAPPED from = {.hEvent = (HANDLE)2000};
  CHECK(WriteFileEx(client, "more", 4, &from, completed) && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_bytes == 2004 && g_calls == 2);
  // More than a pipe holds.
  HANDLE thread = CreateThread(NULL, 0, writes_much, client, 0, NULL);
  DWORD sum = 0;
  do {
    g_bytes = 1000;
    BOOL begun = ReadFileEx(server, text, sizeof text, &at, completed);
    CHECK(begun || GetLastError() == ERROR_BROKEN_PIPE);
    if (!begun) break;
    CHECK(SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
    sum += g_bytes - 1000;
  } while (g_error == 0);
  CHECK(sum == 300004 && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(CloseHandle(thread) && CloseHandle(server));
}

static void by_port(void) {
  HANDLE server, client, port;
  DWORD count = 0;
  ULONG_PTR key = 0;
  char text[8];
  OVERLAPPED read = {0}, *got = NULL;
  pair(&server, &client);
  CHECK((port = CreateIoCompletionPort(server, NULL, 77, 0)) != NULL);
  CHECK(pends(ReadFile(server, text, 8, NULL, &read)));
  CHECK(fails(GetQueuedCompletionStatus(port, &count, &key, &got, 0), WAIT_TIMEOUT));
  put(client, "port", 4);
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 4 && key == 77 &&
        got == &read);
  CHECK(pends(ReadFile(server, text, 8, NULL, &read)) && CancelIoEx(server, &read));
  CHECK(fails(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE), ERROR_OPERATION_ABORTED) &&
        got == &read);
  CHECK(pends(ReadFile(server, text, 8, NULL, &read)) && CloseHandle(client));
  CHECK(fails(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE), ERROR_BROKEN_PIPE) &&
        got == &read);
  CHECK(CloseHandle(server) && CloseHandle(port));
}

static DWORD WINAPI begins_and_ends(void* argument) {
  void** of = argument;
  return pends(ReadFile(of[0], of[1], 1, NULL, of[2]));
}

static void cancelled(void) {
  HANDLE server, client;
  DWORD count = 0, code = 0;
  static char text[8];
  static OVERLAPPED first, second;
  first.hEvent = event(), second.hEvent = event();
  pair(&server, &client);
  if (!running_under_wine())  // Wine 8 does not say that nothing was under way
    CHECK(fails(CancelIoEx(server, NULL), ERROR_NOT_FOUND));
  CHECK(CancelIo(server));
  CHECK(pends(ReadFile(server, text, 8, NULL, &first)) && pends(ReadFile(server, text, 8, NULL, &second)));
  CHECK(CancelIoEx(server, &second) &&
        fails(GetOverlappedResult(server, &second, &count, TRUE), ERROR_OPERATION_ABORTED));
  CHECK(!HasOverlappedIoCompleted(&first) && CancelIo(server));
  CHECK(fails(GetOverlappedResult(server, &first, &count, TRUE), ERROR_OPERATION_ABORTED));
  // A thread that ends takes what it has asked for with it.
  void* argument[] = {server, text, &first};
  HANDLE thread = CreateThread(NULL, 0, begins_and_ends, argument, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0 && GetExitCodeThread(thread, &code) &&
        code == 1);
  CHECK(WaitForSingleObject(first.hEvent, INFINITE) == WAIT_OBJECT_0);
  CHECK(fails(GetOverlappedResult(server, &first, &count, TRUE), ERROR_OPERATION_ABORTED));
  // So does the last handle.
  CHECK(pends(ReadFile(server, text, 8, NULL, &first)) && CloseHandle(server));
  CHECK(WaitForSingleObject(first.hEvent, INFINITE) == WAIT_OBJECT_0 && (LONG)first.Internal < 0);
  CHECK(CloseHandle(client) && CloseHandle(thread) && CloseHandle(first.hEvent) &&
        CloseHandle(second.hEvent));
}

// ---- a child that writes to stdout and stderr ------------------------------------------------------------

#define LINES 3000

static int child(void) {
  for (int i = 0; i < LINES; ++i) {
    printf("out %d\n", i);
    fprintf(stderr, "err %d\n", i);
  }
  return 7;
}

struct stream {
  HANDLE ours, theirs;
  OVERLAPPED overlapped;
  char all[65536];
  DWORD size;
};

static void open_stream(struct stream* s) {
  SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
  s->ours = server_of(fresh_name(), PIPE_ACCESS_INBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE, 1);
  s->theirs = CreateFileW(g_name, GENERIC_WRITE, 0, &inherit, OPEN_EXISTING, 0, NULL);
  s->overlapped.hEvent = event();
  CHECK(s->ours != INVALID_HANDLE_VALUE && s->theirs != INVALID_HANDLE_VALUE);
}

/// True until the end.
static int read_on(struct stream* s) {
  if (ReadFile(s->ours, s->all + s->size, sizeof s->all - s->size, NULL, &s->overlapped)) return 1;
  CHECK(GetLastError() == ERROR_IO_PENDING || GetLastError() == ERROR_BROKEN_PIPE);
  return GetLastError() == ERROR_IO_PENDING;
}
static int take(struct stream* s) {
  DWORD count = 0;
  if (GetOverlappedResult(s->ours, &s->overlapped, &count, TRUE)) return s->size += count, 1;
  CHECK(GetLastError() == ERROR_BROKEN_PIPE);
  return 0;
}

static int is_whole(const struct stream* s, const char* word) {
  const char* at = s->all;
  for (int i = 0; i < LINES; ++i) {
    char line[32];
    int size = snprintf(line, sizeof line, "%s %d\r\n", word, i);
    if (strncmp(at, line, size) != 0) return 0;
    at += size;
  }
  return at == s->all + s->size;
}

static void output_of_child(void) {
  static struct stream streams[2];
  WCHAR self[MAX_PATH], line[MAX_PATH + 16];
  DWORD code = 0;
  open_stream(&streams[0]);
  open_stream(&streams[1]);
  GetModuleFileNameW(NULL, self, MAX_PATH);
  _snwprintf(line, MAX_PATH + 16, L"\"%ls\" child", self);
  STARTUPINFOW info = {.cb = sizeof info,
                       .dwFlags = STARTF_USESTDHANDLES,
                       .hStdOutput = streams[0].theirs,
                       .hStdError = streams[1].theirs};
  PROCESS_INFORMATION it;
  CHECK(CreateProcessW(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &info, &it));
  CHECK(CloseHandle(streams[0].theirs) && CloseHandle(streams[1].theirs));
  int open[2] = {read_on(&streams[0]), read_on(&streams[1])};
  while (open[0] && open[1]) {
    HANDLE events[2] = {streams[0].overlapped.hEvent, streams[1].overlapped.hEvent};
    DWORD i = WaitForMultipleObjects(2, events, FALSE, INFINITE);
    CHECK(i < 2);
    if (i >= 2) break;
    open[i] = take(&streams[i]) && read_on(&streams[i]);
  }
  for (int i = 0; i < 2; ++i) {
    while (open[i]) open[i] = take(&streams[i]) && read_on(&streams[i]);
  }
  CHECK(is_whole(&streams[0], "out") && is_whole(&streams[1], "err"));
  CHECK(WaitForSingleObject(it.hProcess, INFINITE) == WAIT_OBJECT_0 &&
        GetExitCodeProcess(it.hProcess, &code) && code == 7);
  CHECK(CloseHandle(it.hProcess) && CloseHandle(it.hThread));
  for (int i = 0; i < 2; ++i)
    CHECK(CloseHandle(streams[i].ours) && CloseHandle(streams[i].overlapped.hEvent));
}

int main(int argc, char** argv) {
  if (argc > 1) return child();
  names();
  synchronous();
  by_event();
  by_call();
  by_port();
  cancelled();
  output_of_child();
  return DONE();
}
