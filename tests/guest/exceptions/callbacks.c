// Case 40: exceptions that TLS callbacks and DllMain do not handle are swallowed. The thread lives, the
// module's DllMain is told all the same; out of a PROCESS_ATTACH it is a refusal, and then there is no
// PROCESS_DETACH.
#include <windows.h>

#include <stdio.h>

static DWORD WINAPI thread_main(void* argument) {
  puts("thread runs");
  fflush(stdout);
  return 7;
}

int main(void) {
  HMODULE dll = LoadLibraryA("callbacks_dll.dll");
  printf("loaded: %d\n", dll != NULL);
  fflush(stdout);
  HANDLE thread = CreateThread(NULL, 0, thread_main, NULL, 0, NULL);
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  printf("thread ended: %lu\n", code);
  fflush(stdout);
  FreeLibrary(dll);
  SetEnvironmentVariableA("RAISE", "1");
  dll = LoadLibraryA("callbacks_dll.dll");
  printf("loaded: %d, error %lu\n", dll != NULL, GetLastError());
  return 0;
}
