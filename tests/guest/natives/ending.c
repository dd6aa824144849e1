// How a process can end: by the function that is named on the command line, with exit code 67. Never by
// main's return, and nothing after the call runs.
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

int main(int count, char** arguments) {
  NTDLL(LONG, NtTerminateProcess, (HANDLE, LONG));
  NTDLL(void, RtlExitUserProcess, (LONG));
  const char* by = count > 1 ? arguments[1] : "";
  printf("ok\n");
  fflush(stdout);
  if (!strcmp(by, "NtTerminateProcess")) return (int)NtTerminateProcess(GetCurrentProcess(), 67);
  if (!strcmp(by, "RtlExitUserProcess")) RtlExitUserProcess(67);
  if (!strcmp(by, "ExitProcess")) ExitProcess(67);
  if (!strcmp(by, "TerminateProcess")) return TerminateProcess(GetCurrentProcess(), 67);
  if (!strcmp(by, "ExitThread")) ExitThread(67);  // the last thread's exit code is the process's
  printf("still here after %s\n", by);
  return 1;
}
