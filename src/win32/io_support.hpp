// What the natives about files, consoles and processes share: handles to files, strings in and out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
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

/// Who is told of an operation by an OVERLAPPED: its event, if it has one, and the file's port. With a
/// `routine`, the calling thread is, and hEvent is its own affair.
[[nodiscard]] inline Result<io::Asker> asker_of(abi::OVERLAPPED& overlapped, void* routine = nullptr) {
  io::Asker asker{.block = reinterpret_cast<abi::IO_STATUS_BLOCK*>(&overlapped),
                  .context = &overlapped,
                  .routine = routine,
                  .thread = &thread::current_waiter()};
  constexpr sync::Handle kNoPort = 1;
  const sync::Handle handle = handle_value(overlapped.hEvent);
  if (routine != nullptr) return asker;
  if ((handle & kNoPort) != 0) asker.context = nullptr;
  if ((handle & ~kNoPort) == 0) return asker;
  auto event = services().handles.get<sync::Event>(handle & ~kNoPort, sync::Kind::event);
  if (!event) return propagate(event);
  asker.event = std::move(*event);
  return asker;
}

/// What the thread that asked answers to its caller: TRUE, or FALSE and last error.
[[nodiscard]] inline abi::BOOL begun(const std::optional<io::Outcome>& outcome, abi::DWORD* count = nullptr) {
  if (!outcome) return failed(abi::ERROR_IO_PENDING);
  if (!outcome->good()) return failed(abi::win32_error(outcome->status));
  if (count != nullptr) *count = static_cast<abi::DWORD>(outcome->transferred);
  return abi::TRUE;
}

/// Waits for the end of an operation on a file that is not opened for overlapped ones.
[[nodiscard]] inline io::Outcome carry_out(io::File& file, io::Operation operation) {
  abi::IO_STATUS_BLOCK block{};
  const auto event = sync::Ref<sync::Event>::adopt(new sync::Event(true, false));
  operation.asker = {.block = &block, .event = event};
  auto& operations = services().files.operations();
  if (const auto outcome = operations.begin(file, std::move(operation))) return *outcome;
  (void)wait_for(*event, deadline_of(INFINITE));
  (void)operations.cancel(file, &block, nullptr);  // if the thread is being stopped
  return {static_cast<std::uint32_t>(block.Status), block.Information};
}

/// How an operation ended. Waits for its event if it has one, else for the file; nothing, and last error, if
/// it has not ended by then.
[[nodiscard]] std::optional<io::Outcome> overlapped_outcome(abi::HANDLE handle,
                                                            const abi::OVERLAPPED& overlapped,
                                                            abi::DWORD milliseconds, bool alertable);

/// Begins what ntdll's functions are asked for.
[[nodiscard]] inline abi::NTSTATUS begin_nt(io::File& file, abi::HANDLE event, void* routine, void* context,
                                            abi::IO_STATUS_BLOCK* block, io::Operation operation) {
  operation.asker = {.block = block,
                     .context = context,
                     .routine = routine,
                     .thread = &thread::current_waiter(),
                     .called = io::Asker::Called::by_ntdll};
  if (event != nullptr) {
    auto object = services().handles.get<sync::Event>(handle_value(event), sync::Kind::event);
    if (!object) return nt(object.error());
    operation.asker.event = std::move(*object);
  }
  const auto outcome = services().files.operations().begin(file, std::move(operation));
  return nt(outcome ? outcome->status : std::uint32_t{abi::STATUS_PENDING});
}

[[nodiscard]] inline io::Operation reading(io::File& file, void* buffer, std::size_t size, io::Asker asker) {
  const std::span into(static_cast<std::byte*>(buffer), size);
  return {.kind = io::Operation::Kind::read,
          .fd = file.fd(),
          .attempt = [&file, into] { return file.try_read(into); },
          .asker = std::move(asker)};
}
[[nodiscard]] inline io::Operation writing(io::File& file, const void* buffer, std::size_t size,
                                           io::Asker asker) {
  const std::span from(static_cast<const std::byte*>(buffer), size);
  return {.kind = io::Operation::Kind::write,
          .fd = file.fd(),
          .attempt = [&file, from, done = std::size_t{0}]() mutable { return file.try_write(from, done); },
          .asker = std::move(asker)};
}

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
