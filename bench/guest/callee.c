// callee.dll: what host/calls.cpp calls, and what calls it back.
#include <windows.h>

__declspec(dllexport) int add(int a, int b) { return a + b; }

__declspec(dllexport) int repeat(int (*function)(int), int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += function(i);
  return sum;
}

BOOL start(HINSTANCE instance, DWORD reason, void* reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
