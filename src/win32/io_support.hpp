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
#include "win32/handles.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {

[[nodiscard]] inline Result<sync::Ref<io::File>> find_file(abi::HANDLE handle) {
  return services().handles.get<io::File>(handle_value(handle), sync::Kind::file);
}
[[nodiscard]] inline Borrowed<io::File> file_of(abi::HANDLE handle) { return find_file(handle); }

[[nodiscard]] inline std::u16string_view view(abi::LPCWSTR text) {
  return text == nullptr ? std::u16string_view() : std::u16string_view(text);
}

/// A path or other name from the ANSI code page (UTF-8); every byte survives.
[[nodiscard]] inline std::u16string wide(abi::LPCSTR text) {
  return text == nullptr ? std::u16string() : nls::name_to_utf16(text);
}
[[nodiscard]] inline std::string narrow(std::u16string_view text) { return nls::name_to_utf8(text); }

[[nodiscard]] inline abi::FILETIME file_time(std::uint64_t time) {
  return {static_cast<abi::DWORD>(time), static_cast<abi::DWORD>(time >> 32)};
}
[[nodiscard]] inline std::uint64_t time_of(const abi::FILETIME& time) {
  return std::uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
}

/// The fields that all structures about files begin with.
template <class Data>
void fill_common(Data& data, const io::FileInfo& info) {
  data.dwFileAttributes = info.attributes;
  data.ftCreationTime = file_time(info.creation_time);
  data.ftLastAccessTime = file_time(info.access_time);
  data.ftLastWriteTime = file_time(info.write_time);
  data.nFileSizeHigh = static_cast<abi::DWORD>(info.size >> 32);
  data.nFileSizeLow = static_cast<abi::DWORD>(info.size);
}

/// A volume's serial number: the host's device number, folded.
[[nodiscard]] inline abi::DWORD serial_number(std::uint64_t device) {
  return static_cast<abi::DWORD>(device ^ device >> 32);
}

[[nodiscard]] inline abi::RTL_USER_PROCESS_PARAMETERS& process_parameters() {
  return *abi::current_teb()->ProcessEnvironmentBlock->ProcessParameters;
}

}  // namespace bobbin::win32
