// consoleapi.h, consoleapi2.h, consoleapi3.h: the console.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "process/process.hpp"
#include "win32/ctrl_events.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr UINT kUtf8 = 65001;

io::Console& console() { return services().files.console(); }

std::unexpected<Error> no_console(const char* what) {
  return fail({.kind = ErrorKind::invalid, .status = STATUS_INVALID_HANDLE, .what = what});
}

Borrowed<io::File> console_of(HANDLE handle) {
  auto file = find_file(handle);
  if (file && !io::is_console((*file)->file_kind())) return no_console("the handle names no console");
  return file;
}
Borrowed<io::File> side_of(HANDLE handle, io::FileKind side) {
  auto file = find_file(handle);
  if (file && (*file)->file_kind() != side) return no_console("the handle is not that side of a console");
  return file;
}
auto input_of(HANDLE handle) { return side_of(handle, io::FileKind::console_input); }
auto output_of(HANDLE handle) { return side_of(handle, io::FileKind::console_output); }

BOOL write_text(io::File& file, std::string_view text) {
  const auto put = file.write(std::as_bytes(std::span(text)), std::nullopt, thread::current_waiter());
  return put ? TRUE : failed(put.error());
}

BOOL GetConsoleMode(HANDLE handle, DWORD* mode) {
  auto file = console_of(handle);
  if (!file) return failed(file.error());
  if ((*file)->file_kind() == io::FileKind::console_output) {
    *mode = console().output_mode();
    return TRUE;
  }
  const auto now = console().input_mode((*file)->fd());
  if (!now) return failed(now.error());
  *mode = *now;
  return TRUE;
}

BOOL SetConsoleMode(HANDLE handle, DWORD mode) {
  auto file = console_of(handle);
  if (!file) return failed(file.error());
  return done((*file)->file_kind() == io::FileKind::console_output
                  ? console().set_output_mode(mode)
                  : console().set_input_mode((*file)->fd(), mode));
}

BOOL ReadConsoleW(HANDLE handle, LPVOID buffer, DWORD units, DWORD* count, LPVOID) {
  auto file = input_of(handle);
  if (!file) return failed(file.error());
  const auto got = console().read((*file)->fd(), std::span(static_cast<char16_t*>(buffer), units),
                                  thread::current_waiter());
  if (!got) return failed(got.error());
  *count = static_cast<DWORD>(*got);
  return TRUE;
}

BOOL ReadConsoleA(HANDLE handle, LPVOID buffer, DWORD size, DWORD* count, LPVOID) {
  auto file = input_of(handle);
  if (!file) return failed(file.error());
  const auto got = console().read((*file)->fd(), std::span(static_cast<std::byte*>(buffer), size),
                                  thread::current_waiter());
  if (!got) return failed(got.error());
  *count = static_cast<DWORD>(*got);
  return TRUE;
}

BOOL WriteConsoleW(HANDLE handle, LPCVOID text, DWORD units, DWORD* count, LPVOID) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  if (write_text(**file, console().encode_output({static_cast<LPCWSTR>(text), units})) == FALSE) return FALSE;
  if (count != nullptr) *count = units;
  return TRUE;
}

BOOL WriteConsoleA(HANDLE handle, LPCVOID text, DWORD size, DWORD* count, LPVOID) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  if (write_text(**file, {static_cast<LPCSTR>(text), size}) == FALSE) return FALSE;
  if (count != nullptr) *count = size;
  return TRUE;
}

BOOL console_events(HANDLE handle, INPUT_RECORD* records, DWORD size, DWORD* count, bool take) {
  auto file = input_of(handle);
  if (!file) return failed(file.error());
  const auto got = console().events((*file)->fd(), {records, size}, take, take, thread::current_waiter());
  if (!got) return failed(got.error());
  *count = static_cast<DWORD>(*got);
  return TRUE;
}

BOOL ReadConsoleInputW(HANDLE handle, INPUT_RECORD* records, DWORD size, DWORD* count) {
  return console_events(handle, records, size, count, true);
}
BOOL PeekConsoleInputW(HANDLE handle, INPUT_RECORD* records, DWORD size, DWORD* count) {
  return console_events(handle, records, size, count, false);
}

/// The A functions give one byte per event: a character beyond ASCII has none of its own and becomes '?'.
BOOL narrow_events(BOOL result, INPUT_RECORD* records, const DWORD* count) {
  for (DWORD i = 0; result != FALSE && i < *count; ++i) {
    auto& character = records[i].Event.uChar;
    if (character.UnicodeChar > 0x7F) character.UnicodeChar = u'?';
  }
  return result;
}
BOOL ReadConsoleInputA(HANDLE handle, INPUT_RECORD* records, DWORD size, DWORD* count) {
  return narrow_events(ReadConsoleInputW(handle, records, size, count), records, count);
}
BOOL PeekConsoleInputA(HANDLE handle, INPUT_RECORD* records, DWORD size, DWORD* count) {
  return narrow_events(PeekConsoleInputW(handle, records, size, count), records, count);
}

BOOL GetNumberOfConsoleInputEvents(HANDLE handle, DWORD* count) {
  auto file = input_of(handle);
  if (!file) return failed(file.error());
  *count = static_cast<DWORD>(console().count_events((*file)->fd()));
  return TRUE;
}

BOOL FlushConsoleInputBuffer(HANDLE handle) {
  auto file = input_of(handle);
  if (!file) return failed(file.error());
  console().flush_input((*file)->fd());
  return TRUE;
}

// A terminal here speaks UTF-8 and nothing else.
UINT GetConsoleCP() { return kUtf8; }
UINT GetConsoleOutputCP() { return kUtf8; }
BOOL SetConsoleCP(UINT code_page) { return code_page == kUtf8 ? TRUE : failed(ERROR_INVALID_PARAMETER); }
BOOL SetConsoleOutputCP(UINT code_page) { return SetConsoleCP(code_page); }

BOOL GetConsoleScreenBufferInfo(HANDLE handle, CONSOLE_SCREEN_BUFFER_INFO* out) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  winsize size{};
  if (ioctl((*file)->fd(), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size = {24, 80, 0, 0};
  const auto columns = static_cast<SHORT>(size.ws_col);
  const auto rows = static_cast<SHORT>(size.ws_row);
  *out = {.dwSize = {columns, rows},
          .dwCursorPosition = {0, 0},
          .wAttributes = console().attributes(),
          .srWindow = {0, 0, static_cast<SHORT>(columns - 1), static_cast<SHORT>(rows - 1)},
          .dwMaximumWindowSize = {columns, rows}};
  return TRUE;
}

BOOL SetConsoleTextAttribute(HANDLE handle, WORD attributes) {
  auto file = output_of(handle);
  return file ? write_text(**file, console().set_attributes(attributes)) : failed(file.error());
}

// What a terminal does by escape sequences. It has one screen, and is not asked where its cursor stands.

/// The sequence that puts the cursor there; a terminal counts from 1.
std::string cursor_at(COORD at) {
  return "\x1b[" + std::to_string(at.Y + 1) + ";" + std::to_string(at.X + 1) + "H";
}

BOOL SetConsoleCursorPosition(HANDLE handle, COORD at) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  return at.X < 0 || at.Y < 0 ? failed(ERROR_INVALID_PARAMETER) : write_text(**file, cursor_at(at));
}

struct CONSOLE_CURSOR_INFO {
  DWORD dwSize;  ///< of the cursor, in percent of its cell
  BOOL bVisible;
};

BOOL SetConsoleCursorInfo(HANDLE handle, const CONSOLE_CURSOR_INFO* info) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  if (info == nullptr || info->dwSize == 0 || info->dwSize > 100) return failed(ERROR_INVALID_PARAMETER);
  return write_text(**file, info->bVisible ? "\x1b[?25h" : "\x1b[?25l");
}

/// The cursor stays where it is.
BOOL FillConsoleOutputCharacterA(HANDLE handle, CHAR character, DWORD count, COORD at, DWORD* written) {
  auto file = output_of(handle);
  if (!file) return failed(file.error());
  const std::string text =
      "\x1b"
      "7" +
      cursor_at(at) + std::string(count, character) +
      "\x1b"
      "8";
  if (write_text(**file, text) == FALSE) return FALSE;
  *written = count;
  return TRUE;
}

/// Cells that are there already cannot be given other colours.
BOOL FillConsoleOutputAttribute(HANDLE handle, WORD, DWORD, COORD, DWORD*) {
  auto file = output_of(handle);
  return failed(file ? ERROR_NOT_SUPPORTED : win32_error(file.error().status));
}

HANDLE CreateConsoleScreenBuffer(DWORD, DWORD, SECURITY_ATTRIBUTES*, DWORD, LPVOID) {
  return failed(ERROR_NOT_SUPPORTED, INVALID_HANDLE_VALUE);
}

BOOL SetConsoleActiveScreenBuffer(HANDLE handle) {
  auto file = output_of(handle);
  return file ? TRUE : failed(file.error());
}

HANDLE GetConsoleWindow() { return nullptr; }  // a terminal's window is not the program's

DWORD GetConsoleTitleW(LPWSTR buffer, DWORD size) {
  const std::u16string title = console().title();
  deliver_terminated(std::u16string_view(title).substr(0, size == 0 ? 0 : size - 1), buffer, size);
  return static_cast<DWORD>(title.size());
}
DWORD GetConsoleTitleA(LPSTR buffer, DWORD size) {
  const std::string title = narrow(console().title());
  deliver_terminated(std::string_view(title).substr(0, size == 0 ? 0 : size - 1), buffer, size);
  return static_cast<DWORD>(title.size());
}

BOOL SetConsoleTitleW(LPCWSTR title) {
  if (title == nullptr) return failed(ERROR_INVALID_PARAMETER);
  const std::string sequence = console().set_title(title);
  auto file = output_of(process_parameters().StandardOutput);
  return file ? write_text(**file, sequence) : TRUE;  // without a terminal there is nowhere to show it
}
BOOL SetConsoleTitleA(LPCSTR title) {
  return SetConsoleTitleW(title == nullptr ? nullptr : wide(title).c_str());
}

// The terminal is given, and there is one at most.
BOOL AllocConsole() { return failed(ERROR_ACCESS_DENIED); }
BOOL FreeConsole() { return failed(ERROR_NOT_SUPPORTED); }
BOOL AttachConsole(DWORD) { return failed(ERROR_ACCESS_DENIED); }
BOOL VerifyConsoleIoHandle(HANDLE handle) {
  auto file = console_of(handle);
  return file ? TRUE : failed(file.error());
}

bool is_command() { return services().process.options().is_whole_process; }

/// Ctrl-C is SIGINT. NULL, TRUE ignores it, and so do children started then, on both systems.
BOOL ignore_ctrl_c(bool ignore) {
  // In a library the signal's disposition is the host program's own affair.
  if (!is_command()) return failed(ERROR_NOT_SUPPORTED);
  signal(SIGINT, ignore ? SIG_IGN : SIG_DFL);
  if (!ignore && !console().handlers().empty()) deliver_ctrl_events();
  return TRUE;
}

BOOL SetConsoleCtrlHandler(LPVOID handler, BOOL add) {
  if (handler == nullptr) return ignore_ctrl_c(add != FALSE);
  if (add == FALSE) return console().remove_handler(handler) ? TRUE : failed(ERROR_INVALID_PARAMETER);
  console().add_handler(handler);
  // In a library Ctrl-C is the host program's own affair.
  if (is_command()) deliver_ctrl_events();
  return TRUE;
}

/// Sends Ctrl-C to ourselves: there is no process group that is Windows' alone.
BOOL GenerateConsoleCtrlEvent(DWORD event, DWORD group) {
  if (event > CTRL_BREAK_EVENT) return failed(ERROR_INVALID_PARAMETER);
  if (group != 0 || !is_command()) return failed(ERROR_NOT_SUPPORTED);
  raise(event == CTRL_C_EVENT ? SIGINT : SIGQUIT);
  return TRUE;
}

const Export kExports[] = {
    NATIVE(kKernel32, AllocConsole),
    NATIVE(kKernel32, AttachConsole),
    NATIVE(kKernel32, CreateConsoleScreenBuffer),
    NATIVE(kKernel32, FillConsoleOutputAttribute),
    NATIVE(kKernel32, FillConsoleOutputCharacterA),
    NATIVE(kKernel32, FlushConsoleInputBuffer),
    NATIVE(kKernel32, FreeConsole),
    NATIVE(kKernel32, GenerateConsoleCtrlEvent),
    NATIVE(kKernel32, GetConsoleCP),
    NATIVE(kKernel32, GetConsoleMode),
    NATIVE(kKernel32, GetConsoleOutputCP),
    PARTIAL(kKernel32, GetConsoleScreenBufferInfo, "always answers 0,0 for the position of the cursor"),
    NATIVE(kKernel32, GetConsoleTitleA),
    NATIVE(kKernel32, GetConsoleTitleW),
    NATIVE(kKernel32, GetConsoleWindow),
    NATIVE(kKernel32, GetNumberOfConsoleInputEvents),
    NATIVE(kKernel32, PeekConsoleInputA),
    NATIVE(kKernel32, PeekConsoleInputW),
    NATIVE(kKernel32, ReadConsoleA),
    NATIVE(kKernel32, ReadConsoleInputA),
    NATIVE(kKernel32, ReadConsoleInputW),
    NATIVE(kKernel32, ReadConsoleW),
    NATIVE(kKernel32, SetConsoleActiveScreenBuffer),
    NATIVE(kKernel32, SetConsoleCP),
    NATIVE(kKernel32, SetConsoleCtrlHandler),
    NATIVE(kKernel32, SetConsoleCursorInfo),
    NATIVE(kKernel32, SetConsoleCursorPosition),
    NATIVE(kKernel32, SetConsoleMode),
    NATIVE(kKernel32, SetConsoleOutputCP),
    NATIVE(kKernel32, SetConsoleTextAttribute),
    NATIVE(kKernel32, SetConsoleTitleA),
    NATIVE(kKernel32, SetConsoleTitleW),
    NATIVE(kKernel32, VerifyConsoleIoHandle),
    NATIVE(kKernel32, WriteConsoleA),
    NATIVE(kKernel32, WriteConsoleW),
};

}  // namespace

std::span<const Export> consoleapi_natives() { return kExports; }

}  // namespace bobbin::win32
