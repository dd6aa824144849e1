// winuser.h, what command-line programs use of it: case of characters, steps through strings, and questions
// about windows and keyboards, of which there are none.
#include "nls/characters.hpp"
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

BOBBIN_MS_ABI PVOID GetForegroundWindow() { return nullptr; }

DWORD GetWindowThreadProcessId(PVOID, DWORD*) { return failed<DWORD>(ERROR_INVALID_WINDOW_HANDLE); }

/// US English.
PVOID GetKeyboardLayout(DWORD) { return reinterpret_cast<PVOID>(std::uintptr_t{0x04090409}); }

/// Keys arrive as the terminal's characters: no key has a translation.
int ToUnicodeEx(UINT, UINT, const BYTE*, LPWSTR, int, UINT, PVOID) { return 0; }

const Export kExports[] = {
    NATIVE(kUser32, CharPrevExA),
    NATIVE(kUser32, CharUpperW),
    HOT(kUser32, GetForegroundWindow),
    NATIVE(kUser32, GetKeyboardLayout),
    NATIVE(kUser32, GetWindowThreadProcessId),
    NATIVE(kUser32, ToUnicodeEx),
};

}  // namespace

std::span<const Export> winuser_natives() { return kExports; }

}  // namespace bobbin::win32
