// winuser.h, what command-line programs and libraries use of it: case of characters, steps through strings,
// and questions about windows, messages and keyboards, of which there are none. What would make a window
// fails; what takes one finds its handle invalid; the queue of messages is empty for ever.
#include <cstdio>
#include <map>
#include <mutex>

#include "nls/characters.hpp"
#include "sync/dispatcher.hpp"
#include "win32/handles.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr DWORD ERROR_INVALID_WINDOW_HANDLE = 1400;

/// A pointer below 64 KiB is a character.
bool is_character(LPCVOID text) { return reinterpret_cast<std::uintptr_t>(text) < 0x10000; }

LPWSTR CharUpperW(LPWSTR text) {
  if (is_character(text)) {
    const auto unit = static_cast<WCHAR>(reinterpret_cast<std::uintptr_t>(text));
    return reinterpret_cast<LPWSTR>(std::uintptr_t{nls::to_upper(unit)});
  }
  for (LPWSTR at = text; *at != 0; ++at) *at = nls::to_upper(*at);
  return text;
}

/// The start of the character before `current`, in UTF-8 (which the ANSI code page is) or one byte each.
LPSTR CharPrevExA(WORD code_page, LPCSTR start, LPCSTR current, DWORD) {
  constexpr WORD kAnsi = 0, kUtf8 = 65001;
  if (current > start) --current;
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80; };
  if (code_page == kAnsi || code_page == kUtf8) {
    for (int most = 3; most > 0 && current > start && continues(*current); --most) --current;
  }
  return const_cast<LPSTR>(current);
}

// ---- windows ---------------------------------------------------------------------------------------------

/// GetFocus and its like: no window is it.
BOBBIN_MS_ABI PVOID no_window() { return nullptr; }

PVOID GetProcessWindowStation() { return failed<PVOID>(ERROR_NOT_SUPPORTED); }
BOOL AllowSetForegroundWindow(DWORD) { return failed(ERROR_ACCESS_DENIED); }

struct POINT {
  LONG x, y;
};
BOOL GetCursorPos(POINT*) { return failed(ERROR_ACCESS_DENIED); }
BOOL GetCaretPos(POINT*) { return failed(ERROR_ACCESS_DENIED); }

constexpr DWORD ERROR_CANNOT_FIND_WND_CLASS = 1407;
constexpr DWORD ERROR_CLASS_DOES_NOT_EXIST = 1411;

WORD RegisterClassW(LPCVOID) { return failed<WORD>(ERROR_NOT_SUPPORTED); }
BOOL UnregisterClassW(LPCWSTR, PVOID) { return failed(ERROR_CLASS_DOES_NOT_EXIST); }
PVOID CreateWindowExW(DWORD, LPCWSTR, LPCWSTR, DWORD, int, int, int, int, PVOID, PVOID, PVOID, PVOID) {
  return failed<PVOID>(ERROR_CANNOT_FIND_WND_CLASS);
}

BOOL IsWindow(PVOID) { return failed(ERROR_INVALID_WINDOW_HANDLE); }
BOOL DestroyWindow(PVOID) { return failed(ERROR_INVALID_WINDOW_HANDLE); }
LONG_PTR DefWindowProcW(PVOID, UINT, ULONG_PTR, LONG_PTR) {
  return failed<LONG_PTR>(ERROR_INVALID_WINDOW_HANDLE);
}
LONG_PTR GetWindowLongPtrW(PVOID, int) { return failed<LONG_PTR>(ERROR_INVALID_WINDOW_HANDLE); }
LONG_PTR SetWindowLongPtrW(PVOID, int, LONG_PTR) { return failed<LONG_PTR>(ERROR_INVALID_WINDOW_HANDLE); }
DWORD GetWindowThreadProcessId(PVOID, DWORD*) { return failed<DWORD>(ERROR_INVALID_WINDOW_HANDLE); }

PVOID LoadIconW(HMODULE, LPCWSTR) { return failed<PVOID>(ERROR_RESOURCE_NAME_NOT_FOUND); }

/// Nobody can press a button; what it says must not be lost.
int MessageBoxW(PVOID, LPCWSTR text, LPCWSTR title, UINT) {
  std::fprintf(stderr, "bobbin: a message box: %s: %s\n", title == nullptr ? "Error" : narrow(title).c_str(),
               narrow(view(text)).c_str());
  return failed(ERROR_NOT_SUPPORTED);
}

// ---- messages --------------------------------------------------------------------------------------------

/// GetInputState, GetMessageTime and their like: there was no message.
BOBBIN_MS_ABI DWORD no_message() { return 0; }

/// PostMessage to no window would be the thread's own queue, of which there is none.
BOOL PostMessageW(PVOID window, UINT, ULONG_PTR, LONG_PTR) {
  return failed(window == nullptr ? ERROR_NOT_SUPPORTED : ERROR_INVALID_WINDOW_HANDLE);
}

/// One number for each name, whatever its case, as long as the process lives.
UINT RegisterWindowMessageW(LPCWSTR name) {
  constexpr UINT kFirst = 0xC000, kMost = 0x4000;
  static std::mutex mutex;
  static std::map<std::u16string, UINT> numbers;  // guarded by mutex
  if (name == nullptr || *name == 0) return failed<UINT>(ERROR_INVALID_PARAMETER);
  std::u16string folded(name);
  for (char16_t& unit : folded) unit = nls::to_upper(unit);
  const std::scoped_lock lock(mutex);
  if (numbers.size() == kMost) return failed<UINT>(ERROR_NOT_ENOUGH_MEMORY);
  return numbers.try_emplace(std::move(folded), kFirst + static_cast<UINT>(numbers.size())).first->second;
}

/// Waits for the handles alone, since no message comes; for all of them and a message, until time is up.
DWORD MsgWaitForMultipleObjectsEx(DWORD count, const HANDLE* handles, DWORD milliseconds, DWORD,
                                  DWORD flags) {
  constexpr DWORD kWaitAll = 1, kAlertable = 2, WAIT_TIMEOUT = 258;
  const bool alertable = (flags & kAlertable) != 0;
  const os::Deadline deadline = deadline_of(milliseconds);
  if (count != 0 && (flags & kWaitAll) == 0) {
    auto waited = wait_for_many(count, handles, false, deadline, alertable);
    return waited ? *waited : (failed(waited.error()), WAIT_FAILED);
  }
  const auto slept = sync::wait({}, false, deadline, thread::current_waiter(), alertable);
  return slept.kind == sync::WaitOutcome::Kind::alerted ? ended(slept) : WAIT_TIMEOUT;
}

// ---- keyboards -------------------------------------------------------------------------------------------

/// US English.
PVOID GetKeyboardLayout(DWORD) { return reinterpret_cast<PVOID>(std::uintptr_t{0x04090409}); }

/// Keys arrive as the terminal's characters: no key has a translation.
int ToUnicodeEx(UINT, UINT, const BYTE*, LPWSTR, int, UINT, PVOID) { return 0; }

const Export kExports[] = {
    NATIVE(kUser32, AllowSetForegroundWindow),
    NATIVE(kUser32, CharPrevExA),
    NATIVE(kUser32, CharUpperW),
    NATIVE(kUser32, CreateWindowExW),
    NATIVE(kUser32, DefWindowProcW),
    NATIVE(kUser32, DestroyWindow),
    HOT_AS(kUser32, "DispatchMessageW", no_message),
    HOT_AS(kUser32, "GetActiveWindow", no_window),
    HOT_AS(kUser32, "GetCapture", no_window),
    NATIVE(kUser32, GetCaretPos),
    HOT_AS(kUser32, "GetClipboardOwner", no_window),
    HOT_AS(kUser32, "GetClipboardViewer", no_window),
    NATIVE(kUser32, GetCursorPos),
    HOT_AS(kUser32, "GetDesktopWindow", no_window),
    HOT_AS(kUser32, "GetFocus", no_window),
    HOT_AS(kUser32, "GetForegroundWindow", no_window),
    HOT_AS(kUser32, "GetInputState", no_message),
    NATIVE(kUser32, GetKeyboardLayout),
    HOT_AS(kUser32, "GetMessagePos", no_message),
    HOT_AS(kUser32, "GetMessageTime", no_message),
    HOT_AS(kUser32, "GetOpenClipboardWindow", no_window),
    NATIVE(kUser32, GetProcessWindowStation),
    HOT_AS(kUser32, "GetQueueStatus", no_message),
    NATIVE(kUser32, GetWindowLongPtrW),
    NATIVE(kUser32, GetWindowThreadProcessId),
    NATIVE(kUser32, IsWindow),
    NATIVE(kUser32, LoadIconW),
    NATIVE(kUser32, MessageBoxW),
    NATIVE(kUser32, MsgWaitForMultipleObjectsEx),
    HOT_AS(kUser32, "PeekMessageW", no_message),
    NATIVE(kUser32, PostMessageW),
    NATIVE(kUser32, RegisterClassW),
    NATIVE(kUser32, RegisterWindowMessageW),
    NATIVE(kUser32, SetWindowLongPtrW),
    NATIVE(kUser32, ToUnicodeEx),
    HOT_AS(kUser32, "TranslateMessage", no_message),
    NATIVE(kUser32, UnregisterClassW),
};

}  // namespace

std::span<const Export> winuser_natives() { return kExports; }

}  // namespace bobbin::win32
