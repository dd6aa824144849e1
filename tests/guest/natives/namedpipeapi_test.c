// Anonymous pipes: bytes through, a look ahead, both ends' end.
#include "check.h"

int main(void) {
  HANDLE read, write;
  DWORD count = 0, available = 0, left = 1, mode = PIPE_READMODE_BYTE | PIPE_WAIT;
  char text[8] = "";
  CHECK(CreatePipe(&read, &write, NULL, 0) && GetFileType(read) == FILE_TYPE_PIPE);
  CHECK(SetNamedPipeHandleState(read, &mode, NULL, NULL));
  CHECK(PeekNamedPipe(read, NULL, 0, NULL, &available, NULL) && available == 0);
  CHECK(WriteFile(write, "hello", 5, &count, NULL) && count == 5);
  CHECK(PeekNamedPipe(read, text, 2, &count, &available, &left) && count == 2 && available == 5 &&
        text[1] == 'e');
  CHECK(ReadFile(read, text, 8, &count, NULL) && count == 5 && memcmp(text, "hello", 5) == 0);
  CHECK(CloseHandle(write));
  CHECK(!ReadFile(read, text, 8, &count, NULL) && GetLastError() == ERROR_BROKEN_PIPE);
  CHECK(CloseHandle(read) && CreatePipe(&read, &write, NULL, 0) && CloseHandle(read));
  CHECK(!WriteFile(write, "x", 1, &count, NULL) && GetLastError() == ERROR_NO_DATA && CloseHandle(write));
  return DONE();
}
