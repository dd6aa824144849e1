// Processes: ourselves.
#include "check.h"

int main(void) {
  HANDLE self = GetCurrentProcess();
  DWORD code = 0, size = MAX_PATH, count = 0;
  DWORD_PTR mask = 0, system = 0;
  FILETIME creation, ended, kernel, user;
  BOOL wow64 = TRUE;
  char path[MAX_PATH];
  WCHAR wide[MAX_PATH];
  STARTUPINFOA info = {0};
  STARTUPINFOW info_w = {0};
  PROCESS_INFORMATION child;
  CHECK(GetProcessId(self) == GetCurrentProcessId() && GetCurrentProcessId() != 0);
  CHECK(GetExitCodeProcess(self, &code) && code == STILL_ACTIVE);
  CHECK(GetProcessTimes(self, &creation, &ended, &kernel, &user) && creation.dwHighDateTime != 0);
  CHECK(GetProcessAffinityMask(self, &mask, &system) && mask != 0 && (mask & ~system) == 0);
  CHECK(SetProcessAffinityMask(self, mask));
  DWORD priority = GetPriorityClass(self);  // what the host gave us
  CHECK(priority != 0 && SetPriorityClass(self, priority) && GetPriorityClass(self) == priority);
  CHECK(GetProcessHandleCount(self, &count) && count != 0);
  CHECK(IsWow64Process(self, &wow64) && !wow64);
  CHECK(QueryFullProcessImageNameA(self, 0, path, &size) && strstr(path, "processapi_test") != NULL);
  size = MAX_PATH;
  CHECK(QueryFullProcessImageNameW(self, 0, wide, &size) && wide[1] == ':');
  GetStartupInfoA(&info);
  GetStartupInfoW(&info_w);
  CHECK(info.cb == sizeof info && info_w.cb == sizeof info_w);
  HANDLE again = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, GetCurrentProcessId());
  CHECK(again != NULL && GetProcessId(again) == GetCurrentProcessId() && CloseHandle(again));
  info.dwFlags = info_w.dwFlags = 0;
  CHECK(!CreateProcessA("no-such-program.exe", NULL, NULL, NULL, FALSE, 0, NULL, NULL, &info, &child));
  CHECK(GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(!CreateProcessW(L"no-such-program.exe", NULL, NULL, NULL, FALSE, 0, NULL, NULL, &info_w, &child));
  CHECK(!TerminateProcess(NULL, 1) && GetLastError() == ERROR_INVALID_HANDLE);
  return DONE();
}
