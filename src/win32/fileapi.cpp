// fileapi.h: open files. (Files by name are in fileapi_names.cpp, volumes in fileapi_volumes.cpp.)
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
    failed(opened.error(), INVALID_HANDLE_VALUE);
    if (opened.error().status == STATUS_OBJECT_NAME_COLLISION) set_last_error(ERROR_FILE_EXISTS);
    return INVALID_HANDLE_VALUE;
  }
  const bool existed = opened->existed && (disposition == CREATE_ALWAYS || disposition == OPEN_ALWAYS);
  const bool inheritable = security != nullptr && security->bInheritHandle != FALSE;
  auto handle = services().handles.insert(std::move(opened->file), inheritable);
  if (!handle) return failed(handle.error(), INVALID_HANDLE_VALUE);
  set_last_error(existed ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
  return guest_handle(*handle);
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

/// Writes an outcome where an overlapped caller looks for it, signals its event, and if it is a good one
/// tells the file's completion port: what a file on disk is asked for is complete on return.
void complete(io::File& file, OVERLAPPED* overlapped, std::uint32_t status, std::size_t count) {
  if (overlapped == nullptr) return;
  overlapped->Internal = status;
  overlapped->InternalHigh = count;
  const sync::Handle event = handle_value(overlapped->hEvent);
  constexpr sync::Handle kNoPort = 1;
  if ((event & ~kNoPort) != 0) {
    auto object = services().handles.get<sync::Event>(event & ~kNoPort, sync::Kind::event);
    if (object) (*object)->set();
  }
  if (status == STATUS_SUCCESS && (event & kNoPort) == 0) file.completed(overlapped, {status, count}, false);
}

/// Reads or writes what may have to wait.
template <class Make, class Buffer>
BOOL transfer(io::File& file, Make make, Buffer buffer, DWORD size, DWORD* count, OVERLAPPED* overlapped,
              PVOID routine = nullptr) {
  auto asker = asker_of(*overlapped, routine);
  if (!asker) return failed(asker.error());
  const auto outcome = services().files.operations().begin(file, make(file, buffer, size, std::move(*asker)));
  const BOOL done = begun(outcome, count);
  return routine != nullptr && !outcome ? TRUE : done;
}

BOOL ReadFile(HANDLE handle, LPVOID buffer, DWORD size, DWORD* count, OVERLAPPED* overlapped) {
  if (count != nullptr) *count = 0;
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  if (overlapped != nullptr && (*file)->overlaps())
    return transfer(**file, reading, buffer, size, count, overlapped);
  const auto got =
      (*file)->read({static_cast<std::byte*>(buffer), size}, offset_of(overlapped), thread::current_waiter());
  if (!got) {
    complete(**file, overlapped, got.error().status, 0);
    return failed(got.error());
  }
  if (count != nullptr) *count = static_cast<DWORD>(*got);
  const bool at_end =
      *got == 0 && size != 0 && overlapped != nullptr && (*file)->file_kind() == io::FileKind::disk;
  complete(**file, overlapped, at_end ? STATUS_END_OF_FILE : STATUS_SUCCESS, *got);
  return at_end ? failed(ERROR_HANDLE_EOF) : TRUE;  // without OVERLAPPED, the end is success and no bytes
}

BOOL WriteFile(HANDLE handle, LPCVOID buffer, DWORD size, DWORD* count, OVERLAPPED* overlapped) {
  if (count != nullptr) *count = 0;
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  if (overlapped != nullptr && (*file)->overlaps())
    return transfer(**file, writing, buffer, size, count, overlapped);
  const auto put = (*file)->write({static_cast<const std::byte*>(buffer), size}, offset_of(overlapped),
                                  thread::current_waiter());
  complete(**file, overlapped, put ? STATUS_SUCCESS : put.error().status, put ? *put : 0);
  if (!put) return failed(put.error());
  if (count != nullptr) *count = static_cast<DWORD>(*put);
  return TRUE;
}

/// What ReadFileEx and WriteFileEx have in common: the outcome comes to `routine`, as a procedure call.
BOOL ended_with_call(BOOL done, DWORD count, OVERLAPPED* overlapped, PVOID routine) {
  const DWORD error = done ? ERROR_SUCCESS : current_teb()->LastErrorValue;
  if (!done && error != ERROR_HANDLE_EOF) return FALSE;
  sync::queue_apc(thread::current_waiter(),
                  {routine, {error, count, reinterpret_cast<ULONG_PTR>(overlapped)}});
  set_last_error(ERROR_SUCCESS);
  return TRUE;
}

/// hEvent is the caller's to use as it likes.
OVERLAPPED without_event(const OVERLAPPED& of) {
  OVERLAPPED plain = of;
  plain.hEvent = nullptr;
  return plain;
}

/// What ReadFileEx and WriteFileEx share: `transfer` reads or writes by an OVERLAPPED without event.
template <class Transfer>
BOOL transfer_then_call(OVERLAPPED* overlapped, PVOID routine, Transfer transfer) {
  if (overlapped == nullptr || routine == nullptr) return failed(ERROR_INVALID_PARAMETER);
  OVERLAPPED plain = without_event(*overlapped);
  DWORD count = 0;
  const BOOL done = transfer(&count, &plain);
  overlapped->Internal = plain.Internal;
  overlapped->InternalHigh = plain.InternalHigh;
  return ended_with_call(done, count, overlapped, routine);
}

BOOL ReadFileEx(HANDLE handle, LPVOID buffer, DWORD size, OVERLAPPED* overlapped, PVOID routine) {
  if (auto file = file_of(handle); file && (*file)->overlaps() && overlapped != nullptr)
    return transfer(**file, reading, buffer, size, nullptr, overlapped, routine);
  return transfer_then_call(overlapped, routine, [=](DWORD* count, OVERLAPPED* plain) {
    return ReadFile(handle, buffer, size, count, plain);
  });
}

BOOL WriteFileEx(HANDLE handle, LPCVOID buffer, DWORD size, OVERLAPPED* overlapped, PVOID routine) {
  if (auto file = file_of(handle); file && (*file)->overlaps() && overlapped != nullptr)
    return transfer(**file, writing, buffer, size, nullptr, overlapped, routine);
  return transfer_then_call(overlapped, routine, [=](DWORD* count, OVERLAPPED* plain) {
    return WriteFile(handle, buffer, size, count, plain);
  });
}

BOOL FlushFileBuffers(HANDLE handle) {
  auto file = file_of(handle);
  return file ? done((*file)->flush()) : failed(file.error());
}

DWORD GetFileType(HANDLE handle) {
  auto file = file_of(handle);
  if (!file) return failed<DWORD>(file.error());
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

// ---- position and size -----------------------------------------------------------------------------------

BOOL SetFilePointerEx(HANDLE handle, LARGE_INTEGER distance, LARGE_INTEGER* position, DWORD origin) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto at = (*file)->seek(distance.QuadPart, origin);
  if (!at) return failed(at.error());
  if (position != nullptr) position->QuadPart = static_cast<LONGLONG>(*at);
  return TRUE;
}

DWORD SetFilePointer(HANDLE handle, LONG low, LONG* high, DWORD origin) {
  LARGE_INTEGER distance{.QuadPart = low};
  if (high != nullptr)
    distance.QuadPart = static_cast<LONGLONG>(std::uint64_t(std::uint32_t(*high)) << 32 | DWORD(low));
  LARGE_INTEGER position;
  if (SetFilePointerEx(handle, distance, &position, origin) == FALSE) return INVALID_SET_FILE_POINTER;
  if (high != nullptr) *high = position.u.HighPart;
  set_last_error(ERROR_SUCCESS);  // a low half of all ones is no failure
  return position.u.LowPart;
}

BOOL GetFileSizeEx(HANDLE handle, LARGE_INTEGER* size) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  if ((*file)->file_kind() != io::FileKind::disk) return failed(ERROR_INVALID_FUNCTION);
  const auto info = (*file)->info();
  if (!info) return failed(info.error());
  size->QuadPart = static_cast<LONGLONG>(info->size);
  return TRUE;
}

DWORD GetFileSize(HANDLE handle, DWORD* high) {
  LARGE_INTEGER size;
  if (GetFileSizeEx(handle, &size) == FALSE) return INVALID_FILE_SIZE;
  if (high != nullptr) *high = static_cast<DWORD>(size.u.HighPart);
  set_last_error(ERROR_SUCCESS);
  return size.u.LowPart;
}

BOOL SetEndOfFile(HANDLE handle) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto at = (*file)->position();
  if (!at) return failed(at.error());
  return done((*file)->resize(*at));
}

BOOL LockFileEx(HANDLE handle, DWORD flags, DWORD, DWORD low, DWORD high, OVERLAPPED* overlapped) {
  constexpr DWORD kFailImmediately = 1;
  constexpr DWORD kExclusive = 2;
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  if (overlapped == nullptr) return failed(ERROR_INVALID_PARAMETER);
  const auto locked =
      (*file)->lock(*offset_of(overlapped), std::uint64_t{high} << 32 | low, (flags & kExclusive) != 0,
                    (flags & kFailImmediately) != 0, thread::current_waiter());
  complete(**file, overlapped, locked ? STATUS_SUCCESS : locked.error().status, 0);
  return done(locked);
}

BOOL LockFile(HANDLE handle, DWORD offset, DWORD offset_high, DWORD low, DWORD high) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  return done((*file)->lock(std::uint64_t{offset_high} << 32 | offset, std::uint64_t{high} << 32 | low, true,
                            true, thread::current_waiter()));
}

BOOL UnlockFile(HANDLE handle, DWORD offset, DWORD offset_high, DWORD low, DWORD high) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  return done((*file)->unlock(std::uint64_t{offset_high} << 32 | offset, std::uint64_t{high} << 32 | low));
}

BOOL UnlockFileEx(HANDLE handle, DWORD, DWORD low, DWORD high, OVERLAPPED* overlapped) {
  if (overlapped == nullptr) return failed(ERROR_INVALID_PARAMETER);
  return UnlockFile(handle, overlapped->Offset, overlapped->OffsetHigh, low, high);
}

// ---- what is known about a file --------------------------------------------------------------------------

BOOL GetFileTime(HANDLE handle, FILETIME* creation, FILETIME* access, FILETIME* write) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto info = (*file)->info();
  if (!info) return failed(info.error());
  if (creation != nullptr) *creation = file_time(info->creation_time);
  if (access != nullptr) *access = file_time(info->access_time);
  if (write != nullptr) *write = file_time(info->write_time);
  return TRUE;
}

/// A time to set; nothing for none, and for the two values that mean "leave it".
std::optional<std::uint64_t> time_to_set(const FILETIME* time) {
  const std::uint64_t value = time == nullptr ? 0 : time_of(*time);
  return value == 0 || value == ULLONG_MAX ? std::nullopt : std::optional(value);
}

// The host keeps no creation time that can be set: one that comes alone is refused, one beside others is
// left.
BOOL SetFileTime(HANDLE handle, const FILETIME* creation, const FILETIME* access, const FILETIME* write) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const io::NewTimes times{.access = time_to_set(access), .write = time_to_set(write)};
  if (time_to_set(creation) && !times.access && !times.write) return failed(ERROR_NOT_SUPPORTED);
  return done((*file)->set_times(times));
}

BOOL GetFileInformationByHandle(HANDLE handle, BY_HANDLE_FILE_INFORMATION* out) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto info = (*file)->info();
  if (!info) return failed(info.error());
  fill_common(*out, *info);
  out->dwVolumeSerialNumber = serial_number(info->id.device);
  out->nNumberOfLinks = info->links;
  out->nFileIndexHigh = static_cast<DWORD>(info->id.inode >> 32);
  out->nFileIndexLow = static_cast<DWORD>(info->id.inode);
  return TRUE;
}

constexpr DWORD kVolumeNameDos = 0;
constexpr DWORD kVolumeNameNone = 4;

std::optional<std::u16string> final_path(HANDLE handle, DWORD flags) {
  auto file = file_of(handle);
  const auto path = file ? services().files.path_of(**file) : fail(file.error());
  const DWORD form = flags & 7;
  if (!path)
    failed(path.error());
  else if (form == kVolumeNameDos)
    return u"\\\\?\\" + *path;
  else if (form == kVolumeNameNone)
    return path->substr(2);
  else
    set_last_error(ERROR_NOT_SUPPORTED);  // names of volumes and devices of a kernel that is not there
  return std::nullopt;
}

DWORD GetFinalPathNameByHandleW(HANDLE handle, LPWSTR buffer, DWORD size, DWORD flags) {
  const auto path = final_path(handle, flags);
  return path ? deliver_terminated(*path, buffer, size) : 0;
}

DWORD GetFinalPathNameByHandleA(HANDLE handle, LPSTR buffer, DWORD size, DWORD flags) {
  const auto path = final_path(handle, flags);
  return path ? deliver_terminated(narrow(*path), buffer, size) : 0;
}

const Export kExports[] = {
    NATIVE(kKernel32, CreateFileA),
    NATIVE(kKernel32, CreateFileW),
    NATIVE(kKernel32, FlushFileBuffers),
    NATIVE(kKernel32, GetFileInformationByHandle),
    NATIVE(kKernel32, GetFileSize),
    NATIVE(kKernel32, GetFileSizeEx),
    NATIVE(kKernel32, GetFileTime),
    NATIVE(kKernel32, GetFileType),
    NATIVE(kKernel32, GetFinalPathNameByHandleA),
    NATIVE(kKernel32, GetFinalPathNameByHandleW),
    NATIVE(kKernel32, LockFile),
    NATIVE(kKernel32, LockFileEx),
    NATIVE(kKernel32, ReadFile),
    NATIVE(kKernel32, ReadFileEx),
    NATIVE(kKernel32, SetEndOfFile),
    NATIVE(kKernel32, SetFilePointer),
    NATIVE(kKernel32, SetFilePointerEx),
    NATIVE(kKernel32, SetFileTime),
    NATIVE(kKernel32, UnlockFile),
    NATIVE(kKernel32, UnlockFileEx),
    NATIVE(kKernel32, WriteFile),
    NATIVE(kKernel32, WriteFileEx),
};

}  // namespace

std::span<const Export> fileapi_natives() { return kExports; }

}  // namespace bobbin::win32
