// consoleapi.h: Ctrl-C reaches the handlers, newest first, on a thread of their own.
#include "check.h"

static HANDLE g_done;
static DWORD g_event = 99, g_thread;
static int g_asked_old;

static BOOL WINAPI older(DWORD event) {
  (void)event;
  ++g_asked_old;
  return FALSE;
}

static BOOL WINAPI newer(DWORD event) {
  g_event = event;
  g_thread = GetCurrentThreadId();
  SetEvent(g_done);
  return TRUE;
}

int main(void) {
  g_done = CreateEventA(NULL, TRUE, FALSE, NULL);
  CHECK(SetConsoleCtrlHandler(older, TRUE));
  CHECK(SetConsoleCtrlHandler(newer, TRUE));
  CHECK(!SetConsoleCtrlHandler((PHANDLER_ROUTINE)main, FALSE) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!GenerateConsoleCtrlEvent(7, 0) && GetLastError() == ERROR_INVALID_PARAMETER);
  if (!running_under_wine()) {  // without a console Wine has nowhere to send it
    CHECK(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    CHECK(WaitForSingleObject(g_done, INFINITE) == WAIT_OBJECT_0);
    CHECK(g_event == CTRL_C_EVENT);
    CHECK(g_thread != GetCurrentThreadId());
    CHECK(g_asked_old == 0);
  }
  CHECK(SetConsoleCtrlHandler(newer, FALSE));
  CHECK(SetConsoleCtrlHandler(older, FALSE));
  CloseHandle(g_done);
  return DONE();
}
