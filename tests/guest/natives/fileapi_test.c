// fileapi.h: every function's result, on files of our own in a folder of our own.
#include "check.h"

static char g_folder[MAX_PATH];

static const char* in_folder(const char* name) {
  static char paths[8][MAX_PATH];
  static int next;
  char* path = paths[next++ % 8];
  snprintf(path, MAX_PATH, "%s\\%s", g_folder, name);
  return path;
}

static const WCHAR* in_folder_w(const char* name) {
  static WCHAR paths[8][MAX_PATH];
  static int next;
  WCHAR* path = paths[next++ % 8];
  MultiByteToWideChar(CP_ACP, 0, in_folder(name), -1, path, MAX_PATH);
  return path;
}

static HANDLE make(const char* name, DWORD access, DWORD share, DWORD disposition, DWORD flags) {
  return CreateFileA(in_folder(name), access, share, NULL, disposition, flags, NULL);
}

static BOOL fails_with(BOOL result, DWORD error) { return !result && GetLastError() == error; }

static void test_opening(void) {
  HANDLE file = make("a.txt", GENERIC_READ | GENERIC_WRITE, 0, CREATE_NEW, 0);
  CHECK(file != INVALID_HANDLE_VALUE && GetLastError() == 0);
  CHECK(GetFileType(file) == FILE_TYPE_DISK);
  CHECK(make("a.txt", GENERIC_READ, 0, OPEN_EXISTING, 0) == INVALID_HANDLE_VALUE);
  CHECK(GetLastError() == ERROR_SHARING_VIOLATION);
  CHECK(CloseHandle(file));
  CHECK(make("a.txt", GENERIC_READ, 0, CREATE_NEW, 0) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_FILE_EXISTS);
  CHECK(make("none", GENERIC_READ, 0, OPEN_EXISTING, 0) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(make("none\\x", GENERIC_READ, 0, OPEN_EXISTING, 0) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_PATH_NOT_FOUND);
  CHECK(make("a?b", GENERIC_WRITE, 0, CREATE_ALWAYS, 0) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_INVALID_NAME);
  file = CreateFileW(in_folder_w("A.TXT"), GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_ALWAYS, 0, NULL);
  CHECK(file != INVALID_HANDLE_VALUE && GetLastError() == ERROR_ALREADY_EXISTS);
  CHECK(CloseHandle(file));
  file = make("gone", GENERIC_WRITE | DELETE, 0, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE);
  CHECK(file != INVALID_HANDLE_VALUE && CloseHandle(file));
  CHECK(GetFileAttributesA(in_folder("gone")) == INVALID_FILE_ATTRIBUTES);
  file = CreateFileA("NUL", GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
  CHECK(file != INVALID_HANDLE_VALUE && GetFileType(file) == FILE_TYPE_CHAR && CloseHandle(file));
}

static void test_content(void) {
  HANDLE file = make("data", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, CREATE_ALWAYS, 0);
  char buffer[32] = "";
  DWORD count = 0;
  DWORD high = 0;
  LARGE_INTEGER zero = {0};
  LARGE_INTEGER at;
  OVERLAPPED where = {0};
  CHECK(WriteFile(file, "0123456789", 10, &count, NULL) && count == 10);
  CHECK(FlushFileBuffers(file));
  CHECK(SetFilePointer(file, 2, NULL, FILE_BEGIN) == 2);
  CHECK(ReadFile(file, buffer, 3, &count, NULL) && count == 3 && memcmp(buffer, "234", 3) == 0);
  CHECK(SetFilePointerEx(file, zero, &at, FILE_CURRENT) && at.QuadPart == 5);
  CHECK(SetFilePointer(file, -20, NULL, FILE_CURRENT) == INVALID_SET_FILE_POINTER &&
        GetLastError() == ERROR_NEGATIVE_SEEK);
  where.Offset = 8;
  CHECK(ReadFile(file, buffer, 8, &count, &where) && count == 2 && memcmp(buffer, "89", 2) == 0);
  where.Offset = 10;
  CHECK(fails_with(ReadFile(file, buffer, 8, &count, &where), ERROR_HANDLE_EOF));
  CHECK(SetFilePointer(file, 0, NULL, FILE_END) == 10);
  CHECK(ReadFile(file, buffer, 8, &count, NULL) && count == 0);
  CHECK(GetFileSize(file, &high) == 10 && high == 0);
  CHECK(SetFilePointer(file, 4, NULL, FILE_BEGIN) == 4 && SetEndOfFile(file));
  CHECK(GetFileSizeEx(file, &at) && at.QuadPart == 4);
  CHECK(CloseHandle(file));
  file = make("data", GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING, 0);
  CHECK(fails_with(WriteFile(file, "x", 1, &count, NULL), ERROR_ACCESS_DENIED));
  CHECK(CloseHandle(file));
}

static void test_locks(void) {
  const DWORD both = FILE_SHARE_READ | FILE_SHARE_WRITE;
  HANDLE one = make("data", GENERIC_READ | GENERIC_WRITE, both, OPEN_EXISTING, 0);
  HANDLE two = make("data", GENERIC_READ | GENERIC_WRITE, both, OPEN_EXISTING, 0);
  char byte;
  DWORD count;
  OVERLAPPED range = {0};
  CHECK(LockFile(one, 0, 0, 2, 0));
  CHECK(fails_with(LockFile(two, 1, 0, 2, 0), ERROR_LOCK_VIOLATION));
  CHECK(fails_with(ReadFile(two, &byte, 1, &count, NULL), ERROR_LOCK_VIOLATION));
  CHECK(ReadFile(one, &byte, 1, &count, NULL) && count == 1);
  CHECK(UnlockFile(one, 0, 0, 2, 0));
  CHECK(fails_with(UnlockFile(one, 0, 0, 2, 0), ERROR_NOT_LOCKED));
  CHECK(LockFileEx(one, LOCKFILE_FAIL_IMMEDIATELY, 0, 2, 0, &range));
  CHECK(LockFileEx(two, LOCKFILE_FAIL_IMMEDIATELY, 0, 2, 0, &range));
  CHECK(UnlockFileEx(one, 0, 2, 0, &range) && UnlockFileEx(two, 0, 2, 0, &range));
  CHECK(CloseHandle(one) && CloseHandle(two));
}

static void test_facts(void) {
  HANDLE file = make("data", GENERIC_READ | FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ, OPEN_EXISTING, 0);
  FILETIME wanted = {0x12345680, 0x01D00000};
  FILETIME creation, access, write;
  BY_HANDLE_FILE_INFORMATION info;
  WIN32_FILE_ATTRIBUTE_DATA data;
  char name[MAX_PATH];
  WCHAR wide[MAX_PATH];
  CHECK(SetFileTime(file, NULL, NULL, &wanted));
  CHECK(GetFileTime(file, &creation, &access, &write) && CompareFileTime(&write, &wanted) == 0);
  CHECK(GetFileInformationByHandle(file, &info) && info.nFileSizeLow == 4 && info.nNumberOfLinks == 1);
  CHECK(GetFinalPathNameByHandleA(file, name, MAX_PATH, 0) != 0 && strncmp(name, "\\\\?\\", 4) == 0 &&
        strcmp(name + strlen(name) - 5, "\\data") == 0);
  CHECK(GetFinalPathNameByHandleW(file, wide, MAX_PATH, VOLUME_NAME_NONE) != 0 && wide[0] == '\\' &&
        wide[1] != '\\');
  CHECK(CloseHandle(file));
  CHECK(GetFileAttributesExA(in_folder("data"), GetFileExInfoStandard, &data) && data.nFileSizeLow == 4);
  CHECK(GetFileAttributesExW(in_folder_w("DATA"), GetFileExInfoStandard, &data) && data.nFileSizeLow == 4);
  CHECK(SetFileAttributesA(in_folder("data"), FILE_ATTRIBUTE_READONLY));
  CHECK((GetFileAttributesW(in_folder_w("data")) & FILE_ATTRIBUTE_READONLY) != 0);
  CHECK(fails_with(DeleteFileA(in_folder("data")), ERROR_ACCESS_DENIED));
  CHECK(SetFileAttributesW(in_folder_w("data"), FILE_ATTRIBUTE_NORMAL));
  CHECK((GetFileAttributesA(in_folder("data")) & FILE_ATTRIBUTE_READONLY) == 0);
  CHECK(GetFileAttributesA(g_folder) & FILE_ATTRIBUTE_DIRECTORY);
}

static void test_folders_and_searches(void) {
  WIN32_FIND_DATAA found;
  WIN32_FIND_DATAW found_w;
  HANDLE search;
  CHECK(CreateDirectoryA(in_folder("sub"), NULL) && CreateDirectoryW(in_folder_w("sub2"), NULL));
  CHECK(fails_with(CreateDirectoryA(in_folder("SUB"), NULL), ERROR_ALREADY_EXISTS));
  CHECK(fails_with(DeleteFileA(in_folder("sub")), ERROR_ACCESS_DENIED));
  CHECK(fails_with(RemoveDirectoryA(in_folder("data")), ERROR_DIRECTORY));
  search = FindFirstFileA(in_folder("su*"), &found);
  CHECK(search != INVALID_HANDLE_VALUE && strcmp(found.cFileName, "sub") == 0);
  CHECK(FindNextFileA(search, &found) && strcmp(found.cFileName, "sub2") == 0);
  CHECK(fails_with(FindNextFileA(search, &found), ERROR_NO_MORE_FILES));
  CHECK(FindClose(search));
  search = FindFirstFileW(in_folder_w("*.TXT"), &found_w);
  CHECK(search != INVALID_HANDLE_VALUE && lstrcmpW(found_w.cFileName, L"a.txt") == 0);
  CHECK(fails_with(FindNextFileW(search, &found_w), ERROR_NO_MORE_FILES));
  CHECK(FindClose(search));
  search = FindFirstFileExA(in_folder("*"), FindExInfoBasic, &found, FindExSearchNameMatch, NULL, 0);
  CHECK(search != INVALID_HANDLE_VALUE && strcmp(found.cFileName, ".") == 0 && FindClose(search));
  search =
      FindFirstFileExW(in_folder_w("data"), FindExInfoStandard, &found_w, FindExSearchNameMatch, NULL, 0);
  CHECK(search != INVALID_HANDLE_VALUE && found_w.nFileSizeLow == 4 && FindClose(search));
  CHECK(FindFirstFileA(in_folder("none*"), &found) == INVALID_HANDLE_VALUE &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(fails_with(RemoveDirectoryA(g_folder), ERROR_DIR_NOT_EMPTY));
  CHECK(RemoveDirectoryA(in_folder("sub")) && RemoveDirectoryW(in_folder_w("SUB2")));
}

static void test_paths(void) {
  char path[MAX_PATH];
  WCHAR wide[MAX_PATH];
  char* name = NULL;
  WCHAR* wide_name = NULL;
  CHECK(GetFullPathNameA("C:\\x\\..\\y/z. ", MAX_PATH, path, &name) == 6 && strcmp(path, "C:\\y\\z") == 0 &&
        strcmp(name, "z") == 0);
  CHECK(GetFullPathNameW(L"C:\\a\\", MAX_PATH, wide, &wide_name) == 5 && wide_name == NULL);
  CHECK(GetFullPathNameA("C:\\abc", 3, path, NULL) == 7);
  CHECK(GetLongPathNameA(in_folder("DATA"), path, MAX_PATH) != 0 &&
        strcmp(path + strlen(path) - 4, "data") == 0);
  CHECK(GetLongPathNameW(in_folder_w("A.TXT"), wide, MAX_PATH) != 0 &&
        lstrcmpW(wide + lstrlenW(wide) - 5, L"a.txt") == 0);
  CHECK(GetShortPathNameA(in_folder("data"), path, MAX_PATH) != 0);
  CHECK(GetShortPathNameW(in_folder_w("data"), wide, MAX_PATH) != 0);
  CHECK(GetTempPathA(MAX_PATH, path) != 0 && path[strlen(path) - 1] == '\\');
  CHECK(GetTempPathW(MAX_PATH, wide) == strlen(path));
  CHECK(GetTempFileNameA(g_folder, "abcdef", 0x1F, path) == 0x1F && strstr(path, "\\abc1") != NULL);
  UINT number = GetTempFileNameW(in_folder_w("."), L"t", 0, wide);
  CHECK(number != 0 && GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES && DeleteFileW(wide));
}

static void test_volumes(void) {
  char drives[128];
  WCHAR wide[128];
  DWORD serial, longest, flags, sectors, bytes, free_clusters, clusters;
  ULARGE_INTEGER caller, total, free_bytes;
  HANDLE volume;
  char root[4] = {g_folder[0], ':', '\\', 0};
  WCHAR root_w[4] = {(WCHAR)g_folder[0], ':', '\\', 0};
  CHECK(GetLogicalDrives() & 1u << (root[0] - 'A'));
  CHECK(GetLogicalDriveStringsA(sizeof drives, drives) % 4 == 0 && drives[1] == ':');
  CHECK(GetLogicalDriveStringsW(128, wide) % 4 == 0 && wide[2] == '\\');
  CHECK(GetDriveTypeA(root) == DRIVE_FIXED && GetDriveTypeW(root_w) == DRIVE_FIXED);
  CHECK(GetDriveTypeA("Q:\\") == DRIVE_NO_ROOT_DIR);
  CHECK(GetDiskFreeSpaceExA(g_folder, &caller, &total, &free_bytes) && total.QuadPart >= free_bytes.QuadPart);
  CHECK(GetDiskFreeSpaceExW(root_w, &caller, &total, NULL) && total.QuadPart != 0);
  CHECK(GetDiskFreeSpaceA(root, &sectors, &bytes, &free_clusters, &clusters) && bytes == 512);
  CHECK(GetDiskFreeSpaceW(root_w, &sectors, &bytes, &free_clusters, &clusters) && clusters != 0);
  CHECK(GetVolumeInformationA(root, drives, 128, &serial, &longest, &flags, NULL, 0) && longest == 255);
  CHECK(GetVolumeInformationW(root_w, NULL, 0, &serial, &longest, &flags, wide, 128) && wide[0] != 0);
  volume = FindFirstVolumeW(wide, 128);
  CHECK(volume != INVALID_HANDLE_VALUE && wide[0] == '\\' && wide[48] == '\\');
  while (FindNextVolumeW(volume, wide, 128)) continue;
  CHECK(GetLastError() == ERROR_NO_MORE_FILES && FindVolumeClose(volume));
  CHECK(AreFileApisANSI());
  SetFileApisToOEM();
  CHECK(!AreFileApisANSI());
  SetFileApisToANSI();
  CHECK(AreFileApisANSI());
}

// Newer than some systems' import libraries.
static void test_temp_path_2(void) {
  typedef DWORD(WINAPI * PathA)(DWORD, LPSTR);
  typedef DWORD(WINAPI * PathW)(DWORD, LPWSTR);
  PathA path_a = (PathA)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "GetTempPath2A");
  PathW path_w = (PathW)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "GetTempPath2W");
  char path[MAX_PATH];
  WCHAR wide[MAX_PATH];
  if (path_a == NULL || path_w == NULL) return;
  CHECK(path_a(MAX_PATH, path) == GetTempPathA(MAX_PATH, path));
  CHECK(path_w(MAX_PATH, wide) == GetTempPathW(MAX_PATH, wide));
}

int main(void) {
  char temp[MAX_PATH];
  CHECK(GetTempPathA(MAX_PATH, temp) != 0);
  snprintf(g_folder, sizeof g_folder, "%sbobbin-fileapi-%lu", temp, GetCurrentProcessId());
  CHECK(CreateDirectoryA(g_folder, NULL));
  test_opening();
  test_content();
  test_locks();
  test_facts();
  test_folders_and_searches();
  test_paths();
  test_volumes();
  test_temp_path_2();
  CHECK(DeleteFileA(in_folder("a.txt")) && DeleteFileW(in_folder_w("data")));
  CHECK(RemoveDirectoryA(g_folder));
  return DONE();
}
