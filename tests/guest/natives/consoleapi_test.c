// consoleapi.h: without a terminal its functions refuse what is no console; with the argument "terminal" the
// runner has put us on one (80 columns, 25 rows) and typed three lines: "abc", "xyz", "q".
#include "check.h"

#include <string.h>

static int refused(BOOL result) { return !result && GetLastError() == ERROR_INVALID_HANDLE; }

static void without_terminal(void) {
  char text[16];
  INPUT_RECORD records[4];
  CONSOLE_SCREEN_BUFFER_INFO info;
  DWORD count = 0;
  HANDLE in = GetStdHandle(STD_INPUT_HANDLE), out = GetStdHandle(STD_OUTPUT_HANDLE);
  CHECK(refused(GetConsoleMode(in, &count)));
  CHECK(refused(SetConsoleMode(out, 0)));
  CHECK(refused(ReadConsoleA(in, text, 4, &count, NULL)));
  CHECK(refused(ReadConsoleW(in, text, 4, &count, NULL)));
  CHECK(refused(WriteConsoleA(out, "x", 1, &count, NULL)));
  CHECK(refused(WriteConsoleW(out, L"x", 1, &count, NULL)));
  CHECK(refused(ReadConsoleInputA(in, records, 4, &count)));
  CHECK(refused(ReadConsoleInputW(in, records, 4, &count)));
  CHECK(refused(PeekConsoleInputA(in, records, 4, &count)));
  CHECK(refused(PeekConsoleInputW(in, records, 4, &count)));
  CHECK(refused(GetNumberOfConsoleInputEvents(in, &count)));
  CHECK(refused(FlushConsoleInputBuffer(in)));
  CHECK(refused(GetConsoleScreenBufferInfo(out, &info)));
  CHECK(refused(SetConsoleTextAttribute(out, 7)));
  CONSOLE_CURSOR_INFO cursor = {25, TRUE};
  COORD corner = {0, 0};
  CHECK(refused(SetConsoleCursorPosition(out, corner)));
  CHECK(refused(SetConsoleCursorInfo(out, &cursor)));
  CHECK(refused(FillConsoleOutputCharacterA(out, 'x', 1, corner, &count)));
  CHECK(refused(FillConsoleOutputAttribute(out, 7, 1, corner, &count)));
  CHECK(refused(SetConsoleActiveScreenBuffer(out)));
  CHECK(CreateConsoleScreenBuffer(GENERIC_READ, 0, NULL, CONSOLE_TEXTMODE_BUFFER, NULL) ==
        INVALID_HANDLE_VALUE);
}

static void code_pages_and_titles(void) {
  char title[64];
  WCHAR wide[64];
  CHECK(GetConsoleCP() == CP_UTF8);
  CHECK(GetConsoleOutputCP() == CP_UTF8);
  CHECK(SetConsoleCP(CP_UTF8));
  CHECK(SetConsoleOutputCP(CP_UTF8));
  CHECK(!SetConsoleOutputCP(437) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(SetConsoleTitleA("spool"));
  CHECK(GetConsoleTitleA(title, sizeof title) == 5 && strcmp(title, "spool") == 0);
  CHECK(SetConsoleTitleW(L"bobbin"));
  CHECK(GetConsoleTitleW(wide, 64) == 6 && wide[0] == L'b' && wide[6] == 0);
  CHECK(GetConsoleWindow() == NULL);
  CHECK(!AllocConsole() && GetLastError() == ERROR_ACCESS_DENIED);
  CHECK(!AttachConsole((DWORD)-1) && GetLastError() == ERROR_ACCESS_DENIED);
  CHECK(!FreeConsole() && GetLastError() == ERROR_NOT_SUPPORTED);
}

static void with_terminal(void) {
  char text[64] = {0};
  WCHAR wide[64] = {0};
  INPUT_RECORD records[16];
  CONSOLE_SCREEN_BUFFER_INFO info;
  DWORD count = 0, mode = 0;
  typedef BOOL(WINAPI * Verify)(HANDLE);
  Verify verify = (Verify)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "VerifyConsoleIoHandle");
  HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
  HANDLE out =
      CreateFileA("CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
  CHECK(out != INVALID_HANDLE_VALUE);
  CHECK(verify(in) && verify(out));
  CHECK(GetConsoleMode(out, &mode) && (mode & ENABLE_PROCESSED_OUTPUT));
  CHECK(SetConsoleMode(out, mode));
  CHECK(GetConsoleMode(in, &mode) && (mode & ENABLE_LINE_INPUT));
  CHECK(SetConsoleMode(in, mode));
  CHECK(WriteConsoleA(out, "hello ", 6, &count, NULL) && count == 6);
  CHECK(WriteConsoleW(out, L"\x20AC\n", 2, &count, NULL) && count == 2);
  CHECK(GetConsoleScreenBufferInfo(out, &info) && info.dwSize.X == 80 && info.srWindow.Bottom == 24);
  CHECK(SetConsoleTextAttribute(out, FOREGROUND_RED));
  CHECK(SetConsoleTextAttribute(out, 7));
  CONSOLE_CURSOR_INFO cursor = {25, TRUE};
  COORD corner = {2, 3};
  CHECK(SetConsoleCursorPosition(out, corner) && SetConsoleCursorInfo(out, &cursor));
  CHECK(FillConsoleOutputCharacterA(out, ' ', 4, corner, &count) && count == 4);
  CHECK(!FillConsoleOutputAttribute(out, 7, 1, corner, &count) && GetLastError() == ERROR_NOT_SUPPORTED);
  CHECK(SetConsoleActiveScreenBuffer(out));
  CHECK(ReadConsoleA(in, text, sizeof text, &count, NULL) && count == 5 && memcmp(text, "abc\r\n", 5) == 0);
  CHECK(ReadConsoleW(in, wide, 64, &count, NULL) && count == 5 && memcmp(wide, L"xyz\r\n", 10) == 0);
  CHECK(SetConsoleMode(in, 0));  // key by key from here on
  CHECK(PeekConsoleInputA(in, records, 1, &count) && count == 1 &&
        records[0].Event.KeyEvent.uChar.AsciiChar == 'q');
  CHECK(PeekConsoleInputW(in, records, 1, &count) && count == 1 && records[0].EventType == KEY_EVENT);
  CHECK(GetNumberOfConsoleInputEvents(in, &count) && count >= 1);
  CHECK(ReadConsoleInputA(in, records, 1, &count) && count == 1 &&
        records[0].Event.KeyEvent.uChar.AsciiChar == 'q');
  CHECK(ReadConsoleInputW(in, records, 1, &count) && count == 1 && records[0].EventType == KEY_EVENT);
  CHECK(FlushConsoleInputBuffer(in));
  CHECK(GetNumberOfConsoleInputEvents(in, &count) && count == 0);
  CHECK(SetConsoleMode(in, mode));
  CHECK(CloseHandle(out));
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "terminal") == 0) {
    with_terminal();
  } else {
    without_terminal();
    code_pages_and_titles();
  }
  return DONE();
}
