// winternl.h: files as ntdll opens, reads and writes them. Rust's standard library writes to standard streams
// this way, and opens what it removes relative to an open folder.
#include <optional>
#include <string>

#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr ULONG OBJ_INHERIT = 2;

enum : ULONG { FILE_SUPERSEDE, FILE_OPEN, FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE, FILE_OVERWRITE_IF };
enum : ULONG {
  FILE_DIRECTORY_FILE = 0x1,
  FILE_WRITE_THROUGH = 0x2,
  FILE_SYNCHRONOUS_IO_ALERT = 0x10,
  FILE_SYNCHRONOUS_IO_NONALERT = 0x20,
  FILE_NON_DIRECTORY_FILE = 0x40,
  FILE_DELETE_ON_CLOSE = 0x1000,
  FILE_OPEN_REPARSE_POINT = 0x200000,
};

NTSTATUS complete(IO_STATUS_BLOCK* io, std::uint32_t status, ULONG_PTR information) {
  *io = {{.Status = nt(status)}, information};
  return nt(status);
}

/// The Win32 path that an object's name means: `\??\C:\x`, or a name in an open folder.
Result<std::u16string> path_of(const OBJECT_ATTRIBUTES& attributes) {
  const UNICODE_STRING& given = *attributes.ObjectName;
  const std::u16string_view name(given.Buffer, given.Length / sizeof(WCHAR));
  if (attributes.RootDirectory == nullptr) {
    if (name.starts_with(u"\\\?\?\\")) return std::u16string(u"\\\\?\\").append(name.substr(4));
    return fail({.kind = ErrorKind::invalid,
                 .status = STATUS_OBJECT_PATH_NOT_FOUND,
                 .what = "there is no such folder of objects"});
  }
  auto folder = file_of(attributes.RootDirectory);
  if (!folder) return propagate(folder);
  auto path = services().files.path_of(**folder);
  if (path && !name.empty()) path->append(u"\\").append(name);
  return path;
}

std::optional<DWORD> win32_disposition(ULONG disposition) {
  switch (disposition) {
    case FILE_OPEN:
      return OPEN_EXISTING;
    case FILE_CREATE:
      return CREATE_NEW;
    case FILE_OPEN_IF:
      return OPEN_ALWAYS;
    case FILE_OVERWRITE:
      return TRUNCATE_EXISTING;
    case FILE_SUPERSEDE:
    case FILE_OVERWRITE_IF:
      return CREATE_ALWAYS;
    default:
      return std::nullopt;
  }
}

NTSTATUS NtCreateFile(HANDLE* handle, DWORD access, const OBJECT_ATTRIBUTES* attributes, IO_STATUS_BLOCK* io,
                      const LARGE_INTEGER*, ULONG file_attributes, ULONG share, ULONG disposition,
                      ULONG options, PVOID, ULONG extended_size) {
  const auto how = win32_disposition(disposition);
  if (!how || extended_size != 0 || attributes == nullptr || attributes->ObjectName == nullptr)
    return complete(io, STATUS_INVALID_PARAMETER, 0);
  auto path = path_of(*attributes);
  if (!path) return complete(io, path.error().status, 0);
  const bool made_folder = (options & FILE_DIRECTORY_FILE) != 0 && disposition == FILE_CREATE;
  if (made_folder) {
    if (auto made = services().files.create_folder(*path); !made) return complete(io, made.error().status, 0);
  }
  DWORD flags = file_attributes;
  if ((options & FILE_NON_DIRECTORY_FILE) == 0) flags |= FILE_FLAG_BACKUP_SEMANTICS;
  if ((options & FILE_WRITE_THROUGH) != 0) flags |= FILE_FLAG_WRITE_THROUGH;
  if ((options & FILE_DELETE_ON_CLOSE) != 0) flags |= FILE_FLAG_DELETE_ON_CLOSE;
  if ((options & FILE_OPEN_REPARSE_POINT) != 0) flags |= FILE_FLAG_OPEN_REPARSE_POINT;
  if ((options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT)) == 0)
    flags |= FILE_FLAG_OVERLAPPED;
  auto opened = services().files.open(*path, {access, share, made_folder ? OPEN_EXISTING : *how, flags});
  if (!opened) return complete(io, opened.error().status, 0);
  if ((options & FILE_DIRECTORY_FILE) != 0 && opened->file->file_kind() != io::FileKind::folder)
    return complete(io, STATUS_NOT_A_DIRECTORY, 0);
  auto inserted =
      services().handles.insert(std::move(opened->file), (attributes->Attributes & OBJ_INHERIT) != 0);
  if (!inserted) return complete(io, inserted.error().status, 0);
  *handle = guest_handle(*inserted);
  constexpr ULONG_PTR kOpened = 1, kCreated = 2, kOverwritten = 3;
  const bool existed = opened->existed && !made_folder;
  return complete(io, STATUS_SUCCESS,
                  !existed                                             ? kCreated
                  : *how == CREATE_ALWAYS || *how == TRUNCATE_EXISTING ? kOverwritten
                                                                       : kOpened);
}

NTSTATUS NtOpenFile(HANDLE* handle, DWORD access, const OBJECT_ATTRIBUTES* attributes, IO_STATUS_BLOCK* io,
                    ULONG share, ULONG options) {
  return NtCreateFile(handle, access, attributes, io, nullptr, 0, share, FILE_OPEN, options, nullptr, 0);
}

/// Named pipes are made by CreateNamedPipe only.
NTSTATUS NtCreateNamedPipeFile(HANDLE*, ULONG, const OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK* io, ULONG, ULONG,
                               ULONG, ULONG, ULONG, ULONG, ULONG, ULONG, ULONG, const LARGE_INTEGER*) {
  return complete(io, STATUS_NOT_SUPPORTED, 0);
}

/// Nothing, or the position that an operation names; -1 appends, -2 means where the file stands.
std::optional<std::uint64_t> position_in(const LARGE_INTEGER* offset) {
  constexpr LONGLONG kWhereItStands = -2;
  if (offset == nullptr || offset->QuadPart == kWhereItStands) return std::nullopt;
  return static_cast<std::uint64_t>(offset->QuadPart);
}

/// The event of an operation that is over.
void signal(HANDLE event) {
  if (event == nullptr) return;
  auto object = services().handles.get<sync::Event>(handle_value(event), sync::Kind::event);
  if (object) (*object)->set();
}

/// Begins what may have to wait.
NTSTATUS begin(io::File& file, HANDLE event, io::Operation operation) {
  if (event != nullptr) {
    auto object = services().handles.get<sync::Event>(handle_value(event), sync::Kind::event);
    if (!object) return nt(object.error());
    operation.asker.event = std::move(*object);
  }
  const auto outcome = services().files.operations().begin(file, std::move(operation));
  return nt(outcome ? outcome->status : std::uint32_t{STATUS_PENDING});
}

/// Without a procedure call: `routine` must be null.
NTSTATUS NtReadFile(HANDLE handle, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io,
                    PVOID buffer, ULONG size, const LARGE_INTEGER* offset, ULONG*) {
  if (routine != nullptr) return nt(STATUS_NOT_SUPPORTED);
  auto file = file_of(handle);
  if (!file) return nt(file.error());
  if ((*file)->overlaps())
    return begin(**file, event,
                 reading(**file, buffer, size,
                         {.block = io, .context = context, .thread = &thread::current_waiter()}));
  const auto got =
      (*file)->read({static_cast<std::byte*>(buffer), size}, position_in(offset), thread::current_waiter());
  if (!got) return complete(io, got.error().status, 0);
  signal(event);
  const bool at_end = *got == 0 && size != 0;
  return complete(io, at_end ? STATUS_END_OF_FILE : STATUS_SUCCESS, *got);
}

NTSTATUS NtWriteFile(HANDLE handle, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io,
                     const void* buffer, ULONG size, const LARGE_INTEGER* offset, ULONG*) {
  if (routine != nullptr) return nt(STATUS_NOT_SUPPORTED);
  auto file = file_of(handle);
  if (!file) return nt(file.error());
  if ((*file)->overlaps())
    return begin(**file, event,
                 writing(**file, buffer, size,
                         {.block = io, .context = context, .thread = &thread::current_waiter()}));
  const auto put = (*file)->write({static_cast<const std::byte*>(buffer), size}, position_in(offset),
                                  thread::current_waiter());
  if (!put) return complete(io, put.error().status, 0);
  signal(event);
  return complete(io, STATUS_SUCCESS, *put);
}

const Export kExports[] = {
    NT_NATIVE(kNtdll, NtCreateFile), NT_NATIVE(kNtdll, NtCreateNamedPipeFile), NT_NATIVE(kNtdll, NtOpenFile),
    NT_NATIVE(kNtdll, NtReadFile),   NT_NATIVE(kNtdll, NtWriteFile),
};

}  // namespace

std::span<const Export> winternl_files_natives() { return kExports; }

}  // namespace bobbin::win32
