// Moving, copying, linking, information classes.
#include "check.h"

typedef LONG(WINAPI* QueryFile)(HANDLE, void*, void*, ULONG, ULONG);

static BOOL fails_with(BOOL result, DWORD error) { return !result && GetLastError() == error; }

static void test_names(void) {
  HANDLE file = CreateFileA("a", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
  DWORD count;
  CHECK(WriteFile(file, "four", 4, &count, NULL));
  CHECK(fails_with(MoveFileA("a", "b"), ERROR_SHARING_VIOLATION));
  CHECK(CloseHandle(file));
  CHECK(MoveFileA("a", "b") && MoveFileW(L"b", L"a"));
  CHECK(CopyFileA("a", "b", TRUE) && fails_with(CopyFileA("a", "b", TRUE), ERROR_FILE_EXISTS));
  CHECK(CopyFileW(L"a", L"b", FALSE) && CopyFileExW(L"a", L"c", NULL, NULL, NULL, 0));
  CHECK(fails_with(MoveFileExA("a", "b", 0), ERROR_ALREADY_EXISTS));
  CHECK(MoveFileExA("c", "b", MOVEFILE_REPLACE_EXISTING) && MoveFileExW(L"b", L"B", 0));
  CHECK(CreateHardLinkA("h1", "a", NULL) && CreateHardLinkW(L"h2", L"a", NULL));
  CHECK(DeleteFileA("h2") && CopyFileA("a", "h2", TRUE) && ReplaceFileW(L"h1", L"h2", NULL, 0, NULL, NULL));
  CHECK(DeleteFileA("h1") && CreateHardLinkA("h1", "b", NULL));
  CHECK(MoveFileExA("b", "h1", MOVEFILE_REPLACE_EXISTING));  // onto another name of the same file
  CHECK(fails_with(DeleteFileA("b"), ERROR_FILE_NOT_FOUND) && DeleteFileA("h1"));
  // Under Wine only the answer is looked at.
  CHECK(CreateSymbolicLinkA("s1", "a", 0) && CreateSymbolicLinkW(L"s2", L"a", 0));
  CHECK(running_under_wine() || ((GetFileAttributesA("s1") & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
                                 fails_with(CreateSymbolicLinkA("s1", "a", 0), ERROR_ALREADY_EXISTS) &&
                                 CopyFileA("s2", "s3", TRUE) && DeleteFileA("s3") && DeleteFileA("s1") &&
                                 DeleteFileA("s2") && GetFileAttributesA("a") != INVALID_FILE_ATTRIBUTES));
}

static void test_classes(void) {
  HANDLE file = CreateFileA("a", GENERIC_READ | GENERIC_WRITE | DELETE, 7, NULL, OPEN_EXISTING, 0, NULL);
  FILE_BASIC_INFO basic;
  FILE_STANDARD_INFO standard;
  FILE_END_OF_FILE_INFO end = {{{2, 0}}};
  FILE_DISPOSITION_INFO gone = {TRUE};
  LONGLONG status[2];
  QueryFile query = (QueryFile)(void*)GetProcAddress(GetModuleHandleA("ntdll"), "NtQueryInformationFile");
  CHECK(GetFileInformationByHandleEx(file, FileBasicInfo, &basic, sizeof basic) &&
        basic.LastWriteTime.QuadPart != 0);
  CHECK(SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end));
  CHECK(GetFileInformationByHandleEx(file, FileStandardInfo, &standard, sizeof standard) &&
        standard.EndOfFile.QuadPart == 2);
  CHECK(query(file, status, &standard, sizeof standard, 5) == 0 && standard.EndOfFile.QuadPart == 2);
  CHECK(CancelIo(file) && fails_with(CancelIoEx(file, NULL), ERROR_NOT_FOUND));
  CHECK(SetFileInformationByHandle(file, FileDispositionInfo, &gone, sizeof gone) && CloseHandle(file));
  CHECK(GetFileAttributesA("a") == INVALID_FILE_ATTRIBUTES);
  CHECK(SetHandleCount(20) == 20);
}

/* Both forms of a listing say what FindFirstFile says, in one call or in many. */
static int count_listed(HANDLE folder, int first, int next, DWORD size, int name_at) {
  int count = 0, which = first;
  char room[4096];
  for (; GetFileInformationByHandleEx(folder, which, room, size); which = next) {
    for (char* at = room;; at += *(DWORD*)at) {
      CHECK(*(DWORD*)(at + 60) != 0 && *(WCHAR*)(at + name_at) != 0);
      ++count;
      if (*(DWORD*)at == 0) break;
    }
  }
  CHECK(GetLastError() == ERROR_NO_MORE_FILES);
  return count;
}

static void listings(void) {
  WCHAR folder[MAX_PATH], name[MAX_PATH];
  CHECK(GetTempPathW(MAX_PATH, folder));
  _snwprintf(folder + wcslen(folder), 64, L"bobbin-listing-%lu", GetCurrentProcessId());
  CHECK(CreateDirectoryW(folder, NULL));
  for (int i = 0; i < 20; ++i) {
    _snwprintf(name, MAX_PATH, L"%ls\\%d", folder, i);
    CHECK(CloseHandle(CreateFileW(name, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL)));
  }
  HANDLE open =
      CreateFileW(folder, FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  CHECK(count_listed(open, FileIdBothDirectoryRestartInfo, FileIdBothDirectoryInfo, 4096, 104) == 22);
  CHECK(count_listed(open, FileIdBothDirectoryRestartInfo, FileIdBothDirectoryInfo, 300, 104) == 22);
  CHECK(count_listed(open, 15, 14, 128, 68) == 22);
  DWORD serial = 0, longest = 0;
  BY_HANDLE_FILE_INFORMATION about;
  CHECK(GetVolumeInformationByHandleW(open, NULL, 0, &serial, &longest, NULL, NULL, 0) && longest == 255);
  CHECK(GetFileInformationByHandle(open, &about) &&
        (running_under_wine() || about.dwVolumeSerialNumber == serial));
  CHECK(CloseHandle(open));
  for (int i = 0; i < 20; ++i) {
    _snwprintf(name, MAX_PATH, L"%ls\\%d", folder, i);
    CHECK(DeleteFileW(name));
  }
  CHECK(RemoveDirectoryW(folder));
}

int main(void) {
  listings();
  char folder[MAX_PATH], name[32];
  CHECK(GetTempPathA(MAX_PATH, folder) != 0 && SetCurrentDirectoryA(folder));
  snprintf(name, sizeof name, "bobbin-winbase-%lu", GetCurrentProcessId());
  CHECK(CreateDirectoryA(name, NULL) && SetCurrentDirectoryA(name));
  test_names();
  test_classes();
  CHECK(SetCurrentDirectoryA("..") && RemoveDirectoryA(name));
  return DONE();
}
