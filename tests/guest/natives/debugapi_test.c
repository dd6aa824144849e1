// There is no debugger. (What a breakpoint does is seen when exceptions are dispatched: part 4/4.)
#include "../check.h"

int main(void) {
  BOOL present = TRUE;
  CHECK(!IsDebuggerPresent());
  CHECK(CheckRemoteDebuggerPresent(GetCurrentProcess(), &present) && !present);
  SetLastError(0);
  CHECK(!CheckRemoteDebuggerPresent(NULL, &present) && GetLastError() == ERROR_INVALID_PARAMETER);
  OutputDebugStringA("a line for whoever listens\n");
  OutputDebugStringW(L"and another");
  // Under Wine the text passes through other functions, which set it.
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER || running_under_wine());
  return DONE();
}
