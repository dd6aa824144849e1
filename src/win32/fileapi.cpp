// fileapi.h: files, folders, volumes.
#include <climits>

#include "sync/dispatcher.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- opening, reading, writing ---------------------------------------------------------------------------

HANDLE create_file(std::u16string_view path, DWORD access, DWORD share, const SECURITY_ATTRIBUTES* security,
                   DWORD disposition, DWORD flags) {
  auto opened = services().files.open(path, {access, share, disposition, flags});
  if (!opened) {
    failed_handle(opened.error());
    if (opened.error().status == STATUS_OBJECT_NAME_COLLISION) set_last_error(ERROR_FILE_EXISTS);
    return INVALID_HANDLE_VALUE;
  }
  const bool existed = opened->existed && (disposition == CREATE_ALWAYS || disposition == OPEN_ALWAYS);
  const bool inheritable = security != nullptr && security->bInheritHandle != FALSE;
  auto handle = services().handles.insert(std::move(opened->file), inheritable);
  if (!handle) return failed_handle(handle.error());
  set_last_error(existed ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
  return as_handle(*handle);
}

HANDLE CreateFileW(LPCWSTR path, DWORD access, DWORD share, SECURITY_ATTRIBUTES* security, DWORD disposition,
                   DWORD flags, HANDLE) {
  return create_file(view(path), access, share, security, disposition, flags);
}

HANDLE CreateFileA(LPCSTR path, DWORD access, DWORD share, SECURITY_ATTRIBUTES* security, DWORD disposition,
                   DWORD flags, HANDLE) {
  return create_file(wide(path), access, share, security, disposition, flags);
}

std::optional<std::uint64_t> offset_of(const OVERLAPPED* overlapped) {
  if (overlapped == nullptr) return std::nullopt;
  return std::uint64_t{overlapped->OffsetHigh} << 32 | overlapped->Offset;
}

/// Writes an outcome where an overlapped caller looks for it, and signals its event: I/O is complete on
/// return.
void complete(OVERLAPPED* overlapped, std::uint32_t status, std::size_t count) {
  if (overlapped == nullptr) return;
  overlapped->Internal = status;
  overlapped->InternalHigh = count;
  if (overlapped->hEvent == nullptr) return;
  // The low bit says: no completion port.
  const sync::Handle event = handle_number(overlapped->hEvent) & ~sync::Handle{1};
  auto object = services().handles.get<sync::Event>(event, sync::Kind::event);
  if (object) (*object)->set();
}

BOOL ReadFile(HANDLE handle, LPVOID buffer, DWORD size, DWORD* count, OVERLAPPED* overlapped) {
  if (count != nullptr) *count = 0;
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto got =
      (*file)->read({static_cast<std::byte*>(buffer), size}, offset_of(overlapped), thread::current_waiter());
  if (!got) {
    complete(overlapped, got.error().status, 0);
    return failed(got.error());
  }
  if (count != nullptr) *count = static_cast<DWORD>(*got);
  const bool at_end =
      *got == 0 && size != 0 && overlapped != nullptr && (*file)->file_kind() == io::FileKind::disk;
  complete(overlapped, at_end ? STATUS_END_OF_FILE : STATUS_SUCCESS, *got);
  return at_end ? failed_with(ERROR_HANDLE_EOF)
                : TRUE;  // without OVERLAPPED, the end is success and no bytes
}

BOOL WriteFile(HANDLE handle, LPCVOID buffer, DWORD size, DWORD* count, OVERLAPPED* overlapped) {
  if (count != nullptr) *count = 0;
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto put = (*file)->write({static_cast<const std::byte*>(buffer), size}, offset_of(overlapped),
                                  thread::current_waiter());
  complete(overlapped, put ? STATUS_SUCCESS : put.error().status, put ? *put : 0);
  if (!put) return failed(put.error());
  if (count != nullptr) *count = static_cast<DWORD>(*put);
  return TRUE;
}

BOOL FlushFileBuffers(HANDLE handle) {
  auto file = file_of(handle);
  return file ? done((*file)->flush()) : failed(file.error());
}

DWORD GetFileType(HANDLE handle) {
  auto file = file_of(handle);
  if (!file) return static_cast<DWORD>(failed(file.error()));
  set_last_error(ERROR_SUCCESS);
  switch ((*file)->file_kind()) {
    case io::FileKind::disk:
    case io::FileKind::folder:
      return FILE_TYPE_DISK;
    case io::FileKind::pipe:
      return FILE_TYPE_PIPE;
    default:
      return FILE_TYPE_CHAR;
  }
}

const Export kExports[] = {
    NATIVE(kKernel32, CreateFileA), NATIVE(kKernel32, CreateFileW), NATIVE(kKernel32, FlushFileBuffers),
    NATIVE(kKernel32, GetFileType), NATIVE(kKernel32, ReadFile),    NATIVE(kKernel32, WriteFile),
};

}  // namespace

std::span<const Export> fileapi_natives() { return kExports; }

}  // namespace bobbin::win32
