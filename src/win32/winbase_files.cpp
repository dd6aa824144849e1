// winbase.h's functions about files (moving, copying, linking, information classes), and their ntdll twin.
#include <cstring>

#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- moving, copying, linking ----------------------------------------------------------------------------

constexpr DWORD kReplaceExisting = 1;
constexpr DWORD kCopyAllowed = 2;
constexpr DWORD kDelayUntilReboot = 4;

BOOL move_file(std::u16string_view from, LPCWSTR to, DWORD flags) {
  if ((flags & kDelayUntilReboot) != 0) return failed(ERROR_NOT_SUPPORTED);
  if (to == nullptr) return failed(ERROR_INVALID_PARAMETER);
  return done(
      services().files.rename(from, to, (flags & kReplaceExisting) != 0, (flags & kCopyAllowed) != 0));
}

BOOL MoveFileExW(LPCWSTR from, LPCWSTR to, DWORD flags) { return move_file(view(from), to, flags); }
BOOL MoveFileExA(LPCSTR from, LPCSTR to, DWORD flags) {
  const std::u16string target = wide(to);
  return move_file(wide(from), to == nullptr ? nullptr : target.c_str(), flags);
}
BOOL MoveFileW(LPCWSTR from, LPCWSTR to) { return MoveFileExW(from, to, kCopyAllowed); }
BOOL MoveFileA(LPCSTR from, LPCSTR to) { return MoveFileExA(from, to, kCopyAllowed); }

BOOL copy_file(std::u16string_view from, std::u16string_view to, bool fail_if_exists) {
  const auto copied = services().files.copy(from, to, fail_if_exists);
  if (copied) return TRUE;
  failed(copied.error());
  if (copied.error().status == STATUS_OBJECT_NAME_COLLISION) set_last_error(ERROR_FILE_EXISTS);
  return FALSE;
}
BOOL CopyFileW(LPCWSTR from, LPCWSTR to, BOOL fail_if_exists) {
  return copy_file(view(from), view(to), fail_if_exists != FALSE);
}
BOOL CopyFileA(LPCSTR from, LPCSTR to, BOOL fail_if_exists) {
  return copy_file(wide(from), wide(to), fail_if_exists != FALSE);
}

BOOL CopyFileExW(LPCWSTR from, LPCWSTR to, LPVOID progress, LPVOID, BOOL* cancel, DWORD flags) {
  constexpr DWORD kFailIfExists = 1;
  constexpr DWORD kRequestAborted = 1235;
  if (progress != nullptr) return failed(ERROR_NOT_SUPPORTED);  // the kernel copies; nobody could be told
  if (cancel != nullptr && *cancel != FALSE) return failed(kRequestAborted);
  return CopyFileW(from, to, (flags & kFailIfExists) != 0);
}

BOOL CreateHardLinkW(LPCWSTR name, LPCWSTR existing, SECURITY_ATTRIBUTES*) {
  return done(services().files.hard_link(view(name), view(existing)));
}
BOOL CreateHardLinkA(LPCSTR name, LPCSTR existing, SECURITY_ATTRIBUTES*) {
  return CreateHardLinkW(wide(name).c_str(), wide(existing).c_str(), nullptr);
}

// The host's links do not know whether they lead to a folder: the flag that says so is not needed.
BOOLEAN CreateSymbolicLinkW(LPCWSTR name, LPCWSTR target, DWORD) {
  return static_cast<BOOLEAN>(done(services().files.symbolic_link(view(name), view(target))));
}
BOOLEAN CreateSymbolicLinkA(LPCSTR name, LPCSTR target, DWORD flags) {
  return CreateSymbolicLinkW(wide(name).c_str(), wide(target).c_str(), flags);
}

BOOL ReplaceFileW(LPCWSTR replaced, LPCWSTR replacement, LPCWSTR backup, DWORD, LPVOID, LPVOID) {
  const auto existing = services().files.info(view(replaced));
  if (!existing) return failed(existing.error());
  const auto moved =
      backup == nullptr ? Result<void>() : services().files.rename(view(replaced), view(backup), true, false);
  if (!moved) return failed(moved.error());
  return done(services().files.rename(view(replacement), view(replaced), true, false));
}

// ---- information classes ---------------------------------------------------------------------------------

template <class T>
T& out_as(LPVOID out) {
  return *static_cast<T*>(out);
}

FILE_BASIC_INFORMATION basic(const io::FileInfo& info) {
  const auto time = [](std::uint64_t t) { return static_cast<LONGLONG>(t); };
  return {time(info.creation_time), time(info.access_time), time(info.write_time), time(info.change_time),
          info.attributes};
}

FILE_STANDARD_INFORMATION standard(const io::File& file, const io::FileInfo& info) {
  const bool folder = (info.attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  return {static_cast<LONGLONG>(info.allocated), static_cast<LONGLONG>(info.size), info.links,
          static_cast<BOOLEAN>(file.delete_pending()), static_cast<BOOLEAN>(folder)};
}

FILE_ID_INFORMATION identity(const io::FileInfo& info) {
  FILE_ID_INFORMATION id{.VolumeSerialNumber = info.id.device, .FileId = {}};
  std::memcpy(id.FileId, &info.id.inode, sizeof info.id.inode);
  return id;
}

/// The path on its volume, `\folder\name`; pipes and consoles have none.
std::u16string name_on_volume(const io::File& file) {
  const auto path = services().files.path_of(file);
  return path ? path->substr(2) : std::u16string();
}

/// Fills a name that may be longer than the room for it; STATUS_BUFFER_OVERFLOW tells that it was cut.
std::uint32_t fill_name(FILE_NAME_INFORMATION& out, const std::u16string& name, std::size_t room) {
  const std::size_t wanted = 2 * name.size();
  const std::size_t fits = std::min(wanted, room - offsetof(FILE_NAME_INFORMATION, FileName));
  out.FileNameLength = static_cast<ULONG>(wanted);
  std::memcpy(out.FileName, name.data(), fits);
  return fits < wanted ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

/// What both functions about information classes need: room for `Data`, and the file's facts.
template <class Data, class Make>
std::uint32_t answer(LPVOID out, DWORD size, Make make) {
  if (size < sizeof(Data)) return STATUS_INFO_LENGTH_MISMATCH;
  out_as<Data>(out) = make();
  return STATUS_SUCCESS;
}

std::uint32_t answer_all(const io::File& file, const io::FileInfo& info, LPVOID out, DWORD size) {
  constexpr std::size_t kName = offsetof(FILE_ALL_INFORMATION, NameInformation);
  if (size < sizeof(FILE_ALL_INFORMATION)) return STATUS_INFO_LENGTH_MISMATCH;
  auto& all = out_as<FILE_ALL_INFORMATION>(out);
  all = {};
  all.BasicInformation = basic(info);
  all.StandardInformation = standard(file, info);
  all.IndexNumber = static_cast<LONGLONG>(info.id.inode);
  all.AccessFlags = file.access();
  all.CurrentByteOffset = static_cast<LONGLONG>(file.position().value_or(0));
  return fill_name(all.NameInformation, name_on_volume(file), size - kName);
}

/// What every entry of a listing begins with (FILE_FULL_DIR_INFO up to its name).
struct DIRECTORY_ENTRY {
  ULONG NextEntryOffset;
  ULONG FileIndex;
  LONGLONG CreationTime, LastAccessTime, LastWriteTime, ChangeTime;
  LONGLONG EndOfFile, AllocationSize;
  ULONG FileAttributes;
  ULONG FileNameLength;
  ULONG EaSize;  ///< the tag of a reparse point
};
constexpr std::size_t kNameInFull = 68;  // FILE_FULL_DIR_INFO
constexpr std::size_t kIdInBoth = 96;    // FILE_ID_BOTH_DIR_INFO: after a short name, of which there is none
constexpr std::size_t kNameInBoth = 104;
static_assert(offsetof(DIRECTORY_ENTRY, EaSize) == 64);

/// As many entries of an open folder as fit, from where the last call came to.
std::uint32_t list_folder(io::File& folder, bool restart, bool with_id, LPVOID out, DWORD size) {
  auto search = services().files.listing(folder, restart);
  if (!search) return search.error().status;
  auto* const start = static_cast<std::byte*>(out);
  const std::size_t name_at = with_id ? kNameInBoth : kNameInFull;
  std::size_t at = 0;
  DIRECTORY_ENTRY* last = nullptr;
  for (;;) {
    const auto found = (*search)->next();
    if (!found && last != nullptr) break;
    if (!found) return found.error().status;
    const std::size_t name_size = 2 * found->name.size();
    if (at + name_at + name_size > size) {
      (*search)->put_back();
      if (last != nullptr) break;
      return STATUS_BUFFER_OVERFLOW;
    }
    if (last != nullptr)
      last->NextEntryOffset = static_cast<ULONG>(start + at - reinterpret_cast<std::byte*>(last));
    last = reinterpret_cast<DIRECTORY_ENTRY*>(start + at);
    const auto time = [](std::uint64_t t) { return static_cast<LONGLONG>(t); };
    const io::FileInfo& info = found->info;
    const DIRECTORY_ENTRY entry{.NextEntryOffset = 0,
                                .FileIndex = 0,
                                .CreationTime = time(info.creation_time),
                                .LastAccessTime = time(info.access_time),
                                .LastWriteTime = time(info.write_time),
                                .ChangeTime = time(info.change_time),
                                .EndOfFile = static_cast<LONGLONG>(info.size),
                                .AllocationSize = static_cast<LONGLONG>(info.allocated),
                                .FileAttributes = info.attributes,
                                .FileNameLength = static_cast<ULONG>(name_size),
                                .EaSize = info.reparse_tag};
    std::memset(start + at, 0, name_at);
    std::memcpy(start + at, &entry, kNameInFull);  // without the padding at its end, where a name may stand
    if (with_id) std::memcpy(start + at + kIdInBoth, &info.id.inode, sizeof info.id.inode);
    std::memcpy(start + at + name_at, found->name.data(), name_size);
    at = (at + name_at + name_size + 7) & ~std::size_t{7};
    if (at >= size) break;
  }
  return STATUS_SUCCESS;
}

BOOL GetFileInformationByHandleEx(HANDLE handle, DWORD information_class, LPVOID out, DWORD size) {
  probe_for_write(out, size);
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto info = (*file)->info();
  if (!info) return failed(info.error());
  const auto reply = [&]() -> std::uint32_t {
    switch (information_class) {
      case 0:
        return answer<FILE_BASIC_INFORMATION>(out, size, [&] { return basic(*info); });
      case 1:
        return answer<FILE_STANDARD_INFORMATION>(out, size, [&] { return standard(**file, *info); });
      case 2:
        if (size < sizeof(FILE_NAME_INFORMATION)) return STATUS_INFO_LENGTH_MISMATCH;
        return fill_name(out_as<FILE_NAME_INFORMATION>(out), name_on_volume(**file), size);
      case 9:
        return answer<FILE_ATTRIBUTE_TAG_INFORMATION>(
            out, size, [&] { return FILE_ATTRIBUTE_TAG_INFORMATION{info->attributes, info->reparse_tag}; });
      case 10:
      case 11:
        return list_folder(**file, information_class == 11, true, out, size);
      case 14:
      case 15:
        return list_folder(**file, information_class == 15, false, out, size);
      case 18:
        return answer<FILE_ID_INFORMATION>(out, size, [&] { return identity(*info); });
      default:
        return STATUS_INVALID_INFO_CLASS;
    }
  }();
  return reply == STATUS_SUCCESS ? TRUE : failed(win32_error(reply));
}

/// FILE_RENAME_INFO: the flag (or flags), and the new path.
Result<void> rename_by(io::File& file, const FILE_RENAME_INFORMATION& request, DWORD size, bool extended) {
  constexpr std::size_t kName = offsetof(FILE_RENAME_INFORMATION, FileName);
  if (size < kName || request.FileNameLength > size - kName || request.RootDirectory != nullptr) {
    return fail({.kind = ErrorKind::invalid,
                 .status = STATUS_INVALID_PARAMETER,
                 .what = "FILE_RENAME_INFO does not fit its size, or is relative to a handle"});
  }
  const bool replace = extended ? (request.Flags & 1) != 0 : request.ReplaceIfExists != 0;
  return services().files.rename(file, {request.FileName, request.FileNameLength / 2}, replace);
}

Result<void> set_basic(io::File& file, const FILE_BASIC_INFORMATION& wanted) {
  const auto time = [](LONGLONG t) {
    return t > 0 ? std::optional(static_cast<std::uint64_t>(t)) : std::nullopt;
  };
  const io::NewTimes times{.access = time(wanted.LastAccessTime), .write = time(wanted.LastWriteTime)};
  if (times.access || times.write) {
    auto set = file.set_times(times);
    if (!set) return set;
  }
  return wanted.FileAttributes == 0 ? Result<void>() : file.set_attributes(wanted.FileAttributes);
}

BOOL SetFileInformationByHandle(HANDLE handle, DWORD information_class, LPVOID in, DWORD size) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto fits = [&](std::size_t wanted) { return size >= wanted; };
  switch (information_class) {
    case 0:
      if (!fits(sizeof(FILE_BASIC_INFORMATION))) return failed(ERROR_BAD_LENGTH);
      return done(set_basic(**file, out_as<FILE_BASIC_INFORMATION>(in)));
    case 3:
    case 22:
      return done(rename_by(**file, out_as<FILE_RENAME_INFORMATION>(in), size, information_class == 22));
    case 4:
      if (!fits(1)) return failed(ERROR_BAD_LENGTH);
      return done((*file)->set_delete_pending(out_as<BOOLEAN>(in) != 0));
    case 21:
      if (!fits(4)) return failed(ERROR_BAD_LENGTH);
      return done((*file)->set_delete_pending((out_as<DWORD>(in) & 1) != 0));
    case 6:
      if (!fits(8) || out_as<LONGLONG>(in) < 0) return failed(ERROR_INVALID_PARAMETER);
      return done((*file)->resize(out_as<ULONGLONG>(in)));
    default:
      return failed(ERROR_INVALID_PARAMETER);
  }
}

/// The information classes of ntdll, which number them otherwise.
std::uint32_t nt_answer(const io::File& file, const io::FileInfo& info, LPVOID out, ULONG size, ULONG which) {
  switch (which) {
    case 4:
      return answer<FILE_BASIC_INFORMATION>(out, size, [&] { return basic(info); });
    case 5:
      return answer<FILE_STANDARD_INFORMATION>(out, size, [&] { return standard(file, info); });
    case 6:
      return answer<ULONGLONG>(out, size, [&] { return info.id.inode; });
    case 7:
      return answer<ULONG>(out, size, [] { return 0u; });  // no extended attributes
    case 8:
      return answer<ULONG>(out, size, [&] { return file.access(); });
    case 9:
      if (size < sizeof(FILE_NAME_INFORMATION)) return STATUS_INFO_LENGTH_MISMATCH;
      return fill_name(out_as<FILE_NAME_INFORMATION>(out), name_on_volume(file), size);
    case 14:
      return answer<ULONGLONG>(out, size, [&] { return file.position().value_or(0); });
    case 16:
      return answer<ULONG>(out, size, [] { return 0x20u; });  // FILE_SYNCHRONOUS_IO_NONALERT
    case 17:
      return answer<ULONG>(out, size, [] { return 0u; });  // byte alignment
    case 18:
      return answer_all(file, info, out, size);
    case 35:
      return answer<FILE_ATTRIBUTE_TAG_INFORMATION>(
          out, size, [&] { return FILE_ATTRIBUTE_TAG_INFORMATION{info.attributes, info.reparse_tag}; });
    default:
      return STATUS_INVALID_INFO_CLASS;
  }
}

NTSTATUS NtQueryInformationFile(HANDLE handle, IO_STATUS_BLOCK* io, LPVOID out, ULONG size, ULONG which) {
  const auto answer_it = [&]() -> std::uint32_t {
    auto file = file_of(handle);
    if (!file) return file.error().status;
    const auto info = (*file)->info();
    return info ? nt_answer(**file, *info, out, size, which) : info.error().status;
  };
  const std::uint32_t status = answer_it();
  io->Status = static_cast<NTSTATUS>(status);
  io->Information = status == STATUS_SUCCESS || status == STATUS_BUFFER_OVERFLOW ? size : 0;
  return io->Status;
}

UINT SetHandleCount(UINT count) { return count; }

const Export kExports[] = {
    NATIVE(kKernel32, CopyFileA),
    NATIVE(kKernel32, CopyFileExW),
    NATIVE(kKernel32, CopyFileW),
    NATIVE(kKernel32, CreateHardLinkA),
    NATIVE(kKernel32, CreateHardLinkW),
    NATIVE(kKernel32, CreateSymbolicLinkA),
    NATIVE(kKernel32, CreateSymbolicLinkW),
    SYSTEM_CALL(kKernel32, GetFileInformationByHandleEx),
    NATIVE(kKernel32, MoveFileA),
    NATIVE(kKernel32, MoveFileExA),
    NATIVE(kKernel32, MoveFileExW),
    NATIVE(kKernel32, MoveFileW),
    NT_NATIVE(kNtdll, NtQueryInformationFile),
    NATIVE(kKernel32, ReplaceFileW),
    NATIVE(kKernel32, SetFileInformationByHandle),
    NATIVE(kKernel32, SetHandleCount),
};

}  // namespace

std::span<const Export> winbase_files_natives() { return kExports; }

}  // namespace bobbin::win32
