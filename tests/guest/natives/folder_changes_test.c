// ReadDirectoryChangesW and FindFirstChangeNotification: what changes in a folder, told by events, procedure
// calls and completion ports, and what is told when it is too much.
#define _WIN32_WINNT 0x0A00
#include "../check.h"

static char g_root[MAX_PATH];
static BYTE g_room[4096] __attribute__((aligned(4)));

static int fails(BOOL done, DWORD error) { return !done && GetLastError() == error; }
static HANDLE event(void) { return CreateEventW(NULL, TRUE, FALSE, NULL); }

static HANDLE folder(DWORD flags) {
  HANDLE made =
      CreateFileA(g_root, FILE_LIST_DIRECTORY, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                  OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | flags, NULL);
  CHECK(made != INVALID_HANDLE_VALUE);
  return made;
}

static const char* in_root(const char* name) {
  static char paths[4][MAX_PATH];
  static int at;
  char* path = paths[at++ % 4];
  snprintf(path, MAX_PATH, "%s\\%s", g_root, name);
  return path;
}
static int make(const char* name) {
  HANDLE file = CreateFileA(in_root(name), GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
  return file != INVALID_HANDLE_VALUE && CloseHandle(file);
}

#define NAMES (FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME)

/// Reads on until `text` is what has come ("+a" added, "-a" removed, "~a" modified, "<a" and ">a" renamed).
static void expect(HANDLE watched, BOOL tree, DWORD filter, OVERLAPPED* over, const char* text) {
  char all[512] = "";
  for (;;) {
    DWORD size = 0;
    CHECK(GetOverlappedResult(watched, over, &size, TRUE) && size != 0);
    if (size == 0) break;
    FILE_NOTIFY_INFORMATION* one = (void*)g_room;
    for (;;) {
      char name[MAX_PATH];
      int count = WideCharToMultiByte(CP_ACP, 0, one->FileName, one->FileNameLength / 2, name, MAX_PATH - 1,
                                      NULL, NULL);
      name[count] = 0;
      snprintf(all + strlen(all), sizeof all - strlen(all), "%c%s ", "?+-~<>"[one->Action], name);
      if (one->NextEntryOffset == 0) break;
      one = (void*)((BYTE*)one + one->NextEntryOffset);
    }
    CHECK(ReadDirectoryChangesW(watched, g_room, sizeof g_room, tree, filter, NULL, over, NULL));
    if (strlen(all) >= strlen(text)) break;
  }
  if (strcmp(all, text) != 0) printf("got %s\n", all);
  CHECK(strcmp(all, text) == 0);
}

static void names(void) {
  HANDLE watched = folder(FILE_FLAG_OVERLAPPED);
  OVERLAPPED over = {.hEvent = event()};
  CHECK(fails(ReadDirectoryChangesW(watched, g_room, sizeof g_room, FALSE, 0, NULL, &over, NULL),
              ERROR_INVALID_PARAMETER));
  CHECK(ReadDirectoryChangesW(watched, g_room, sizeof g_room, FALSE, NAMES, NULL, &over, NULL));
  CHECK(WaitForSingleObject(over.hEvent, 0) == WAIT_TIMEOUT);
  CHECK(make("a"));
  expect(watched, FALSE, NAMES, &over, "+a ");
  CHECK(MoveFileA(in_root("a"), in_root("b")));
  expect(watched, FALSE, NAMES, &over, "<a >b ");
  CHECK(CreateDirectoryA(in_root("d"), NULL));
  expect(watched, FALSE, NAMES, &over, "+d ");
  CHECK(make("d\\not-told") && DeleteFileA(in_root("b")));
  expect(watched, FALSE, NAMES, &over, "-b ");
  CHECK(DeleteFileA(in_root("d\\not-told")) && RemoveDirectoryA(in_root("d")));
  expect(watched, FALSE, NAMES, &over, "-d ");
  DWORD count = 0;
  CHECK(!HasOverlappedIoCompleted(&over) && CancelIoEx(watched, &over));
  CHECK(fails(GetOverlappedResult(watched, &over, &count, TRUE), ERROR_OPERATION_ABORTED));
  CHECK(CloseHandle(watched) && CloseHandle(over.hEvent));
}

static void trees(void) {
  CHECK(CreateDirectoryA(in_root("d"), NULL) && CreateDirectoryA(in_root("d\\e"), NULL));
  HANDLE watched = folder(FILE_FLAG_OVERLAPPED);
  OVERLAPPED over = {.hEvent = event()};
  CHECK(ReadDirectoryChangesW(watched, g_room, sizeof g_room, TRUE, NAMES, NULL, &over, NULL));
  CHECK(make("d\\e\\f"));
  expect(watched, TRUE, NAMES, &over, "+d\\e\\f ");
  CHECK(CreateDirectoryA(in_root("d\\new"), NULL) && make("d\\new\\g"));
  expect(watched, TRUE, NAMES, &over, "+d\\new +d\\new\\g ");
  CHECK(MoveFileA(in_root("d\\new"), in_root("d\\old")));
  expect(watched, TRUE, NAMES, &over, "<d\\new >d\\old ");
  CHECK(DeleteFileA(in_root("d\\old\\g")));
  expect(watched, TRUE, NAMES, &over, "-d\\old\\g ");
  CHECK(RemoveDirectoryA(in_root("d\\old")) && DeleteFileA(in_root("d\\e\\f")) &&
        RemoveDirectoryA(in_root("d\\e")));
  expect(watched, TRUE, NAMES, &over, "-d\\old -d\\e\\f -d\\e ");
  CHECK(RemoveDirectoryA(in_root("d")));
  CHECK(CloseHandle(watched));
  CHECK(WaitForSingleObject(over.hEvent, INFINITE) == WAIT_OBJECT_0 && CloseHandle(over.hEvent));
}

static void contents(void) {
  CHECK(make("w"));
  HANDLE watched = folder(FILE_FLAG_OVERLAPPED);
  OVERLAPPED over = {.hEvent = event()};
  DWORD count = 0;
  CHECK(ReadDirectoryChangesW(watched, g_room, sizeof g_room, FALSE, FILE_NOTIFY_CHANGE_SIZE, NULL, &over,
                              NULL));
  HANDLE file = CreateFileA(in_root("w"), GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
  CHECK(WriteFile(file, "hello", 5, &count, NULL) && CloseHandle(file));
  expect(watched, FALSE, FILE_NOTIFY_CHANGE_SIZE, &over, "~w ");
  CHECK(DeleteFileA(in_root("w")) && CloseHandle(watched) && CloseHandle(over.hEvent));
}

static DWORD g_error, g_bytes, g_calls;
static void CALLBACK completed(DWORD error, DWORD bytes, OVERLAPPED* overlapped) {
  g_error = error;
  g_bytes = bytes;
  g_calls += overlapped->hEvent == (HANDLE)5;
}

static void calls_and_ports(void) {
  HANDLE watched = folder(FILE_FLAG_OVERLAPPED), port, again;
  OVERLAPPED over = {.hEvent = (HANDLE)5}, plain = {0}, *got = NULL;
  DWORD count = 0;
  ULONG_PTR key = 0;
  CHECK(ReadDirectoryChangesW(watched, g_room, sizeof g_room, FALSE, NAMES, NULL, &over, completed));
  CHECK(SleepEx(0, TRUE) == 0 && make("c") && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_calls == 1 && g_error == 0 && g_bytes == 14);
  CHECK(CloseHandle(watched));

  // More than there is room for is told as such, and forgotten.
  again = folder(FILE_FLAG_OVERLAPPED);
  CHECK((port = CreateIoCompletionPort(again, NULL, 9, 0)) != NULL);
  CHECK(ReadDirectoryChangesW(again, g_room, 20, FALSE, NAMES, NULL, &plain, NULL));
  CHECK(make("a-name-that-does-not-fit-into-that"));
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 0 && key == 9 &&
        got == &plain);
  CHECK(ReadDirectoryChangesW(again, g_room, 20, FALSE, NAMES, NULL, &plain, NULL) &&
        DeleteFileA(in_root("c")));
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 14 && got == &plain);
  CHECK(ReadDirectoryChangesW(again, g_room, 20, FALSE, NAMES, NULL, &plain, NULL) && CancelIo(again));
  CHECK(fails(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE), ERROR_OPERATION_ABORTED));
  CHECK(DeleteFileA(in_root("a-name-that-does-not-fit-into-that")) && CloseHandle(again) &&
        CloseHandle(port));
}

static DWORD WINAPI waits(void* watched) {
  DWORD count = 0;
  return ReadDirectoryChangesW(watched, g_room, sizeof g_room, FALSE, NAMES, &count, NULL, NULL) ? count : 0;
}

static void notices(void) {
  HANDLE notice = FindFirstChangeNotificationA(g_root, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME);
  CHECK(notice != INVALID_HANDLE_VALUE && WaitForSingleObject(notice, 0) == WAIT_TIMEOUT);
  CHECK(make("n") && WaitForSingleObject(notice, INFINITE) == WAIT_OBJECT_0);
  CHECK(FindNextChangeNotification(notice));
  CHECK(DeleteFileA(in_root("n")) && WaitForSingleObject(notice, INFINITE) == WAIT_OBJECT_0);
  CHECK(FindCloseChangeNotification(notice));
  CHECK(FindFirstChangeNotificationW(L"not there", TRUE, FILE_NOTIFY_CHANGE_FILE_NAME) ==
            INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
}

int main(void) {
  char here[MAX_PATH];
  CHECK(GetTempPathA(MAX_PATH, here) != 0);
  do {
    CHECK(GetTempFileNameA(here, "bob", 0, g_root) != 0 && DeleteFileA(g_root));
  } while (!CreateDirectoryA(g_root, NULL));  // another program may have taken the name in between
  names();
  if (!running_under_wine()) trees();  // Wine 8 does not watch what is in folders that were there before
  contents();
  calls_and_ports();
  HANDLE watched = folder(0);
  HANDLE thread = CreateThread(NULL, 0, waits, watched, 0, NULL);
  // The thread may not have begun to watch yet: a change comes until it has.
  DWORD code = 0;
  do {
    CHECK(make("s") && DeleteFileA(in_root("s")));
  } while (WaitForSingleObject(thread, 1) == WAIT_TIMEOUT);
  CHECK(GetExitCodeThread(thread, &code) && code != 0 && CloseHandle(thread) && CloseHandle(watched));
  notices();
  CHECK(RemoveDirectoryA(g_root));
  return DONE();
}
