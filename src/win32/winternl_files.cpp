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
  constexpr std::u16string_view kNamedPipe = u"\\Device\\NamedPipe";
  if (attributes.RootDirectory == nullptr) {
    if (name.starts_with(kNamedPipe))
      return std::u16string(u"\\\\.\\pipe").append(name.substr(kNamedPipe.size()));
    if (name.starts_with(u"\\\?\?\\")) return std::u16string(u"\\\\?\\").append(name.substr(4));
    return fail({.kind = ErrorKind::invalid,
                 .status = STATUS_OBJECT_PATH_NOT_FOUND,
                 .what = "there is no such folder of objects"});
  }
  auto folder = file_of(attributes.RootDirectory);
  if (!folder) return propagate(folder);
  if ((*folder)->file_kind() == io::FileKind::pipe_folder)
    return std::u16string(u"\\\\.\\pipe\\").append(name);
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

/// An open file as its opener gets it.
NTSTATUS hand_out(HANDLE* handle, IO_STATUS_BLOCK* io, Result<sync::Ref<io::File>> file,
                  const OBJECT_ATTRIBUTES& attributes, ULONG_PTR information) {
  if (!file) return complete(io, file.error().status, 0);
  auto inserted = services().handles.insert(std::move(*file), (attributes.Attributes & OBJ_INHERIT) != 0);
  if (!inserted) return complete(io, inserted.error().status, 0);
  *handle = guest_handle(*inserted);
  return complete(io, STATUS_SUCCESS, information);
}

enum : ULONG_PTR { FILE_OPENED = 1, FILE_CREATED = 2, FILE_OVERWRITTEN = 3 };

bool is_overlapped(ULONG options) {
  return (options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT)) == 0;
}

NTSTATUS NtCreateFile(HANDLE* handle, DWORD access, const OBJECT_ATTRIBUTES* attributes, IO_STATUS_BLOCK* io,
                      const LARGE_INTEGER*, ULONG file_attributes, ULONG share, ULONG disposition,
                      ULONG options, PVOID, ULONG extended_size) {
  const auto how = win32_disposition(disposition);
  if (!how || extended_size != 0 || attributes == nullptr || attributes->ObjectName == nullptr)
    return complete(io, STATUS_INVALID_PARAMETER, 0);
  if (attributes->ObjectName->Length == 0 && attributes->RootDirectory != nullptr) {
    // The other end of a pipe whose one end is known.
    auto server = file_of(attributes->RootDirectory);
    if (server && (*server)->pipe()) {
      auto client = services().files.pipes().open_client(**server, io::specific_access(access),
                                                         is_overlapped(options) ? FILE_FLAG_OVERLAPPED : 0u);
      return hand_out(handle, io, std::move(client), *attributes, FILE_OPENED);
    }
  }
  auto path = path_of(*attributes);
  if (!path) return complete(io, path.error().status, 0);
  if (io::NamedPipes::is_folder(*path))
    return hand_out(handle, io, io::NamedPipes::open_folder(), *attributes, FILE_OPENED);
  const bool made_folder = (options & FILE_DIRECTORY_FILE) != 0 && disposition == FILE_CREATE;
  if (made_folder) {
    if (auto made = services().files.create_folder(*path); !made) return complete(io, made.error().status, 0);
  }
  DWORD flags = file_attributes;
  if ((options & FILE_NON_DIRECTORY_FILE) == 0) flags |= FILE_FLAG_BACKUP_SEMANTICS;
  if ((options & FILE_WRITE_THROUGH) != 0) flags |= FILE_FLAG_WRITE_THROUGH;
  if ((options & FILE_DELETE_ON_CLOSE) != 0) flags |= FILE_FLAG_DELETE_ON_CLOSE;
  if ((options & FILE_OPEN_REPARSE_POINT) != 0) flags |= FILE_FLAG_OPEN_REPARSE_POINT;
  if (is_overlapped(options)) flags |= FILE_FLAG_OVERLAPPED;
  auto opened = services().files.open(*path, {access, share, made_folder ? OPEN_EXISTING : *how, flags});
  if (!opened) return complete(io, opened.error().status, 0);
  if ((options & FILE_DIRECTORY_FILE) != 0 && opened->file->file_kind() != io::FileKind::folder)
    return complete(io, STATUS_NOT_A_DIRECTORY, 0);
  const bool existed = opened->existed && !made_folder;
  return hand_out(handle, io, std::move(opened->file), *attributes,
                  !existed                                             ? FILE_CREATED
                  : *how == CREATE_ALWAYS || *how == TRUNCATE_EXISTING ? FILE_OVERWRITTEN
                                                                       : FILE_OPENED);
}

NTSTATUS NtOpenFile(HANDLE* handle, DWORD access, const OBJECT_ATTRIBUTES* attributes, IO_STATUS_BLOCK* io,
                    ULONG share, ULONG options) {
  return NtCreateFile(handle, access, attributes, io, nullptr, 0, share, FILE_OPEN, options, nullptr, 0);
}

/// Without a name, in the folder of pipes, it makes one that is opened relative to its handle: that is how
/// Rust's standard library makes anonymous pipes, one end of which can wait. `share` says what clients may
/// do.
NTSTATUS NtCreateNamedPipeFile(HANDLE* handle, ULONG, const OBJECT_ATTRIBUTES* attributes,
                               IO_STATUS_BLOCK* io, ULONG share, ULONG disposition, ULONG options, ULONG type,
                               ULONG read_mode, ULONG completion_mode, ULONG most, ULONG in_size,
                               ULONG out_size, const LARGE_INTEGER* default_wait) {
  constexpr ULONG kShareRead = 1, kShareWrite = 2, kMessages = 1, kUnlimited = 0xFFFFFFFF;
  const bool may_exist = disposition == FILE_OPEN || disposition == FILE_OPEN_IF;
  if (attributes == nullptr || attributes->ObjectName == nullptr || default_wait == nullptr ||
      default_wait->QuadPart > 0 || (share & (kShareRead | kShareWrite)) == 0 || most == 0 ||
      (disposition != FILE_CREATE && !may_exist))
    return complete(io, STATUS_INVALID_PARAMETER, 0);
  if (((type | read_mode) & kMessages) != 0 || completion_mode != 0)
    return complete(io, STATUS_NOT_SUPPORTED, 0);
  const auto path = path_of(*attributes);
  if (!path) return complete(io, path.error().status, 0);
  const auto found = io::NamedPipes::name_in(*path);
  const bool anonymous = attributes->RootDirectory != nullptr && io::NamedPipes::is_folder(*path);
  if (!found && !anonymous) return complete(io, STATUS_OBJECT_NAME_INVALID, 0);
  const std::u16string_view name = found.value_or(u"");
  io::NamedPipes& pipes = services().files.pipes();
  const bool existed = found && pipes.exists(name);
  if (disposition == FILE_OPEN && !existed) return complete(io, STATUS_OBJECT_NAME_NOT_FOUND, 0);
  io::PipeTerms terms{
      .to_server = (share & kShareWrite) != 0, .to_client = (share & kShareRead) != 0, .most = most};
  static_assert(kUnlimited == INFINITE);
  constexpr LONGLONG kMillisecond = 10'000;
  if (default_wait->QuadPart != 0)
    terms.default_wait = static_cast<std::uint32_t>(-default_wait->QuadPart / kMillisecond);
  DWORD flags = is_overlapped(options) ? FILE_FLAG_OVERLAPPED : 0u;
  if ((options & FILE_WRITE_THROUGH) != 0) flags |= FILE_FLAG_WRITE_THROUGH;
  return hand_out(handle, io, pipes.create(name, terms, flags, std::max(in_size, out_size), !may_exist),
                  *attributes, existed ? FILE_OPENED : FILE_CREATED);
}

/// Nothing, or the position that an operation names; -1 appends, -2 means where the file stands.
std::optional<std::uint64_t> position_in(const LARGE_INTEGER* offset) {
  constexpr LONGLONG kWhereItStands = -2;
  if (offset == nullptr || offset->QuadPart == kWhereItStands) return std::nullopt;
  return static_cast<std::uint64_t>(offset->QuadPart);
}

/// Tells who asked of an operation that was over at once.
void tell(io::File& file, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io) {
  if (event != nullptr) {
    auto object = services().handles.get<sync::Event>(handle_value(event), sync::Kind::event);
    if (object) (*object)->set();
  }
  const io::Outcome outcome{static_cast<std::uint32_t>(io->Status), io->Information};
  if (routine != nullptr) {
    sync::queue_apc(thread::current_waiter(),
                    {routine, {reinterpret_cast<ULONG_PTR>(context), reinterpret_cast<ULONG_PTR>(io)}});
  } else if (context != nullptr) {
    file.completed(context, outcome, false);
  }
}

NTSTATUS NtReadFile(HANDLE handle, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io,
                    PVOID buffer, ULONG size, const LARGE_INTEGER* offset, ULONG*) {
  auto file = file_of(handle);
  if (!file) return nt(file.error());
  if ((*file)->overlaps())
    return begin_nt(**file, event, routine, context, io, reading(**file, buffer, size, {}));
  const auto got =
      (*file)->read({static_cast<std::byte*>(buffer), size}, position_in(offset), thread::current_waiter());
  if (!got) return complete(io, got.error().status, 0);
  const bool at_end = *got == 0 && size != 0 && !(*file)->socket();
  if (at_end) return complete(io, STATUS_END_OF_FILE, 0);
  complete(io, STATUS_SUCCESS, *got);
  tell(**file, event, routine, context, io);
  return nt(STATUS_SUCCESS);
}

NTSTATUS NtWriteFile(HANDLE handle, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io,
                     const void* buffer, ULONG size, const LARGE_INTEGER* offset, ULONG*) {
  auto file = file_of(handle);
  if (!file) return nt(file.error());
  if ((*file)->overlaps())
    return begin_nt(**file, event, routine, context, io, writing(**file, buffer, size, {}));
  const auto put = (*file)->write({static_cast<const std::byte*>(buffer), size}, position_in(offset),
                                  thread::current_waiter());
  if (!put) return complete(io, put.error().status, 0);
  complete(io, STATUS_SUCCESS, *put);
  tell(**file, event, routine, context, io);
  return nt(STATUS_SUCCESS);
}

const Export kExports[] = {
    NT_NATIVE(kNtdll, NtCreateFile), NT_NATIVE(kNtdll, NtCreateNamedPipeFile), NT_NATIVE(kNtdll, NtOpenFile),
    NT_NATIVE(kNtdll, NtReadFile),   NT_NATIVE(kNtdll, NtWriteFile),
};

}  // namespace

std::span<const Export> winternl_files_natives() { return kExports; }

}  // namespace bobbin::win32
