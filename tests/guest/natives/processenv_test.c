// processenv.h: standard handles, command line, environment, current directory, search.
#include "check.h"

static void test_handles_and_line(void) {
  HANDLE output = GetStdHandle(STD_OUTPUT_HANDLE);
  CHECK(output != NULL && output != INVALID_HANDLE_VALUE);
  CHECK(SetStdHandle(STD_ERROR_HANDLE, output) && GetStdHandle(STD_ERROR_HANDLE) == output);
  CHECK(GetStdHandle(7) == INVALID_HANDLE_VALUE && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(strstr(GetCommandLineA(), "processenv_test") != NULL);
  CHECK(lstrlenW(GetCommandLineW()) >= (int)strlen("processenv_test"));
}

static void test_environment(void) {
  char text[64];
  WCHAR wide[64];
  CHECK(SetEnvironmentVariableA("BobbinTest", "one") && GetEnvironmentVariableA("BOBBINTEST", text, 64) == 3);
  CHECK(strcmp(text, "one") == 0);
  CHECK(GetEnvironmentVariableA("BobbinTest", text, 2) == 4);
  CHECK(SetEnvironmentVariableW(L"BobbinTest", L"\x00e4") &&
        GetEnvironmentVariableW(L"bobbintest", wide, 64) == 1);
  CHECK(wide[0] == 0x00e4);
  CHECK(SetEnvironmentVariableA("BobbinTest", "two"));
  CHECK(ExpandEnvironmentStringsA("<%bobbintest%>%no%", text, 64) == 10 && strcmp(text, "<two>%no%") == 0);
  CHECK(ExpandEnvironmentStringsW(L"%BobbinTest%", wide, 64) == 4 && lstrcmpW(wide, L"two") == 0);
  LPCH strings = GetEnvironmentStrings();
  CHECK(strings != NULL && FreeEnvironmentStringsA(strings));
  LPWCH block = GetEnvironmentStringsW();
  int seen = 0;
  for (const WCHAR* line = block; *line; line += lstrlenW(line) + 1)
    seen += lstrcmpW(line, L"BobbinTest=two") == 0;
  CHECK(seen == 1 && FreeEnvironmentStringsW(block));
  CHECK(SetEnvironmentVariableA("BobbinTest", NULL));
  CHECK(GetEnvironmentVariableA("BobbinTest", text, 64) == 0 && GetLastError() == ERROR_ENVVAR_NOT_FOUND);
}

static void test_directory_and_search(void) {
  char before[MAX_PATH], temp[MAX_PATH], now[MAX_PATH];
  WCHAR wide[MAX_PATH];
  char* name = NULL;
  WCHAR* wide_name = NULL;
  DWORD length = GetCurrentDirectoryA(MAX_PATH, before);
  CHECK(length != 0 && before[1] == ':' && GetCurrentDirectoryA(1, now) == length + 1);
  CHECK(GetTempPathA(MAX_PATH, temp) != 0 && SetCurrentDirectoryA(temp));
  CHECK(GetCurrentDirectoryW(MAX_PATH, wide) == strlen(temp) - 1);
  CHECK(!SetCurrentDirectoryA("no such folder") && GetLastError() == ERROR_FILE_NOT_FOUND);
  HANDLE file = CreateFileA("bobbin-search.tst", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
  CHECK(file != INVALID_HANDLE_VALUE && CloseHandle(file));
  CHECK(SearchPathA(NULL, "bobbin-search", ".tst", MAX_PATH, now, &name) != 0 &&
        strcmp(name, "bobbin-search.tst") == 0);
  CHECK(SearchPathW(wide, L"bobbin-search.tst", NULL, MAX_PATH, wide, &wide_name) != 0 && wide_name != NULL);
  CHECK(SearchPathA(NULL, "bobbin-nothing", NULL, MAX_PATH, now, NULL) == 0 &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(DeleteFileA("bobbin-search.tst"));
  WCHAR back[MAX_PATH];
  CHECK(MultiByteToWideChar(CP_ACP, 0, before, -1, back, MAX_PATH) != 0 && SetCurrentDirectoryW(back));
  CHECK(NeedCurrentDirectoryForExePathA("a\\b") && NeedCurrentDirectoryForExePathW(L"a"));
}

int main(void) {
  test_handles_and_line();
  test_environment();
  test_directory_and_search();
  return DONE();
}
