// What the natives about files, consoles and processes share: handles to files, strings in and out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "abi/io.hpp"
#include "io/files.hpp"
#include "nls/utf.hpp"
#include "sync/handle_table.hpp"
#include "thread/thread.hpp"
#include "win32/native.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {

[[nodiscard]] inline sync::Handle handle_number(abi::HANDLE handle) {
  return reinterpret_cast<sync::Handle>(handle);
}
[[nodiscard]] inline abi::HANDLE as_handle(sync::Handle handle) {
  return reinterpret_cast<abi::HANDLE>(handle);
}

[[nodiscard]] inline Result<sync::Ref<io::File>> file_of(abi::HANDLE handle) {
  return services().handles.get<io::File>(handle_number(handle), sync::Kind::file);
}

/// FALSE and last error, from a Win32 number.
inline int failed_with(std::uint32_t code) {
  set_last_error(code);
  return 0;
}

inline abi::BOOL done(const Result<void>& result) { return result ? abi::TRUE : failed(result.error()); }

/// INVALID_HANDLE_VALUE and last error.
inline abi::HANDLE failed_handle(const Error& error) {
  failed(error);
  return abi::INVALID_HANDLE_VALUE;
}

[[nodiscard]] inline std::u16string_view view(abi::LPCWSTR text) {
  return text == nullptr ? std::u16string_view() : std::u16string_view(text);
}

/// A path or other name from the ANSI code page (UTF-8); every byte survives.
[[nodiscard]] inline std::u16string wide(abi::LPCSTR text) {
  return text == nullptr ? std::u16string() : nls::name_to_utf16(text);
}
[[nodiscard]] inline std::string narrow(std::u16string_view text) { return nls::name_to_utf8(text); }

/// The rule of GetCurrentDirectory and its kind: the length without NUL if it fits, else the size with NUL.
template <class Char>
abi::DWORD copy_out(std::basic_string_view<Char> text, Char* buffer, abi::DWORD capacity) {
  if (buffer == nullptr || text.size() >= capacity) return static_cast<abi::DWORD>(text.size() + 1);
  *std::copy(text.begin(), text.end(), buffer) = 0;
  return static_cast<abi::DWORD>(text.size());
}
inline abi::DWORD copy_out(const std::u16string& text, abi::LPWSTR buffer, abi::DWORD capacity) {
  return copy_out(std::u16string_view(text), buffer, capacity);
}
inline abi::DWORD copy_out(const std::string& text, abi::LPSTR buffer, abi::DWORD capacity) {
  return copy_out(std::string_view(text), buffer, capacity);
}

[[nodiscard]] inline abi::FILETIME file_time(std::uint64_t time) {
  return {static_cast<abi::DWORD>(time), static_cast<abi::DWORD>(time >> 32)};
}
[[nodiscard]] inline std::uint64_t time_of(const abi::FILETIME& time) {
  return std::uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
}

[[nodiscard]] inline abi::RTL_USER_PROCESS_PARAMETERS& process_parameters() {
  return *abi::current_teb()->ProcessEnvironmentBlock->ProcessParameters;
}

}  // namespace bobbin::win32
