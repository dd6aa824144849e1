// fileapi.h: files, folders, volumes.
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <atomic>
#include <climits>

#include "process/process.hpp"

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

/// Writes an outcome where an overlapped caller looks for it, and signals its event: I/O is complete on
/// return.
void complete(OVERLAPPED* overlapped, std::uint32_t status, std::size_t count) {
  if (overlapped == nullptr) return;
  overlapped->Internal = status;
  overlapped->InternalHigh = count;
  if (overlapped->hEvent == nullptr) return;
  // The low bit says: no completion port.
  const sync::Handle event = handle_value(overlapped->hEvent) & ~sync::Handle{1};
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
  return at_end ? failed(ERROR_HANDLE_EOF) : TRUE;  // without OVERLAPPED, the end is success and no bytes
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
  complete(overlapped, locked ? STATUS_SUCCESS : locked.error().status, 0);
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

/// The fields that all structures about files begin with.
template <class Data>
void fill_common(Data& data, const io::FileInfo& info) {
  data.dwFileAttributes = info.attributes;
  data.ftCreationTime = file_time(info.creation_time);
  data.ftLastAccessTime = file_time(info.access_time);
  data.ftLastWriteTime = file_time(info.write_time);
  data.nFileSizeHigh = static_cast<DWORD>(info.size >> 32);
  data.nFileSizeLow = static_cast<DWORD>(info.size);
}

/// A volume's serial number: the host's device number, folded.
DWORD serial_number(std::uint64_t device) { return static_cast<DWORD>(device ^ device >> 32); }

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

/// About a path; devices answer as Windows' do.
Result<io::FileInfo> info_of_path(std::u16string_view path) {
  if (io::device_of(path) == io::Device::none) return services().files.info(path);
  io::FileInfo device;
  device.attributes = FILE_ATTRIBUTE_ARCHIVE;
  return device;
}

DWORD GetFileAttributesW(LPCWSTR path) {
  const auto info = info_of_path(view(path));
  if (info) return info->attributes;
  failed(info.error());
  return INVALID_FILE_ATTRIBUTES;
}
DWORD GetFileAttributesA(LPCSTR path) { return GetFileAttributesW(wide(path).c_str()); }

BOOL GetFileAttributesExW(LPCWSTR path, DWORD level, LPVOID out) {
  if (level != 0) return failed(ERROR_INVALID_PARAMETER);  // GetFileExInfoStandard
  const auto info = info_of_path(view(path));
  if (!info) return failed(info.error());
  fill_common(*static_cast<WIN32_FILE_ATTRIBUTE_DATA*>(out), *info);
  return TRUE;
}
BOOL GetFileAttributesExA(LPCSTR path, DWORD level, LPVOID out) {
  return GetFileAttributesExW(wide(path).c_str(), level, out);
}

BOOL SetFileAttributesW(LPCWSTR path, DWORD attributes) {
  return done(services().files.set_attributes(view(path), attributes));
}
BOOL SetFileAttributesA(LPCSTR path, DWORD attributes) {
  return SetFileAttributesW(wide(path).c_str(), attributes);
}

// ---- names -----------------------------------------------------------------------------------------------

BOOL DeleteFileW(LPCWSTR path) { return done(services().files.remove_file(view(path))); }
BOOL DeleteFileA(LPCSTR path) { return DeleteFileW(wide(path).c_str()); }
BOOL CreateDirectoryW(LPCWSTR path, SECURITY_ATTRIBUTES*) {
  return done(services().files.create_folder(view(path)));
}
BOOL CreateDirectoryA(LPCSTR path, SECURITY_ATTRIBUTES*) {
  return CreateDirectoryW(wide(path).c_str(), nullptr);
}
BOOL RemoveDirectoryW(LPCWSTR path) { return done(services().files.remove_folder(view(path))); }
BOOL RemoveDirectoryA(LPCSTR path) { return RemoveDirectoryW(wide(path).c_str()); }

/// FindFirstFile's structure in either character width.
template <class Char>
void fill_find_data(FindData<Char>& data, const io::Found& found) {
  data = {};
  fill_common(data, found.info);
  data.dwReserved0 = found.info.reparse_tag;
  if constexpr (sizeof(Char) == 1)
    deliver_terminated(narrow(found.name), data.cFileName, MAX_PATH);
  else
    deliver_terminated(found.name, data.cFileName, MAX_PATH);
}

template <class Char>
BOOL find_next(io::Search& search, FindData<Char>* data) {
  const auto found = search.next();
  if (!found) return failed(found.error());
  fill_find_data(*data, *found);
  return TRUE;
}

template <class Char>
HANDLE find_first(std::u16string_view pattern, DWORD level, FindData<Char>* data, DWORD search_operation) {
  constexpr DWORD kFindExInfoBasic = 1;
  constexpr DWORD kSearchLimitToDirectories = 1;
  if (level > kFindExInfoBasic || search_operation > kSearchLimitToDirectories)
    return failed(ERROR_INVALID_PARAMETER, INVALID_HANDLE_VALUE);
  auto search = services().files.search(pattern, search_operation == kSearchLimitToDirectories);
  if (!search) return failed(search.error(), INVALID_HANDLE_VALUE);
  if (find_next(**search, data) == FALSE) return failed(ERROR_FILE_NOT_FOUND, INVALID_HANDLE_VALUE);
  auto handle = services().handles.insert(std::move(*search));
  return handle ? guest_handle(*handle) : failed(handle.error(), INVALID_HANDLE_VALUE);
}

HANDLE FindFirstFileExW(LPCWSTR pattern, DWORD level, LPVOID data, DWORD operation, LPVOID, DWORD) {
  return find_first(view(pattern), level, static_cast<WIN32_FIND_DATAW*>(data), operation);
}
HANDLE FindFirstFileExA(LPCSTR pattern, DWORD level, LPVOID data, DWORD operation, LPVOID, DWORD) {
  return find_first(wide(pattern), level, static_cast<WIN32_FIND_DATAA*>(data), operation);
}
HANDLE FindFirstFileW(LPCWSTR pattern, WIN32_FIND_DATAW* data) {
  return find_first(view(pattern), 0, data, 0);
}
HANDLE FindFirstFileA(LPCSTR pattern, WIN32_FIND_DATAA* data) {
  return find_first(wide(pattern), 0, data, 0);
}

/// The search behind a handle (those of volumes are of the same kind).
sync::Ref<io::Search> search_of(HANDLE handle) {
  auto object = services().handles.get(handle_value(handle));
  auto* search = object ? dynamic_cast<io::Search*>(object->get()) : nullptr;
  if (search == nullptr) set_last_error(ERROR_INVALID_HANDLE);
  return sync::Ref<io::Search>(search);
}

template <class Char>
BOOL find_next_by_handle(HANDLE handle, FindData<Char>* data) {
  const auto search = search_of(handle);
  return search ? find_next(*search, data) : FALSE;
}
BOOL FindNextFileW(HANDLE handle, WIN32_FIND_DATAW* data) { return find_next_by_handle(handle, data); }
BOOL FindNextFileA(HANDLE handle, WIN32_FIND_DATAA* data) { return find_next_by_handle(handle, data); }

BOOL FindClose(HANDLE handle) {
  return search_of(handle) ? done(services().handles.close(handle_value(handle))) : FALSE;
}

/// Where the file name begins in an answer that fitted; NULL if the path ends in a separator.
template <class Char>
void point_at_name(Char* buffer, DWORD length, Char** file_part) {
  if (file_part == nullptr) return;
  const std::basic_string_view<Char> path(buffer, length);
  const std::size_t start = path.find_last_of(static_cast<Char>('\\')) + 1;
  *file_part = start < path.size() ? buffer + start : nullptr;
}

DWORD GetFullPathNameW(LPCWSTR path, DWORD size, LPWSTR buffer, LPWSTR* file_part) {
  const auto full = io::full_path(view(path), services().files.directories());
  if (!full) return failed<DWORD>(full.error());
  const DWORD length = deliver_terminated(*full, buffer, size);
  if (length < size) point_at_name(buffer, length, file_part);
  return length;
}

DWORD GetFullPathNameA(LPCSTR path, DWORD size, LPSTR buffer, LPSTR* file_part) {
  const auto full = io::full_path(wide(path), services().files.directories());
  if (!full) return failed<DWORD>(full.error());
  const DWORD length = deliver_terminated(narrow(*full), buffer, size);
  if (length < size) point_at_name(buffer, length, file_part);
  return length;
}

DWORD GetLongPathNameW(LPCWSTR path, LPWSTR buffer, DWORD size) {
  const auto real = services().files.long_path(view(path));
  return real ? deliver_terminated(*real, buffer, size) : failed<DWORD>(real.error());
}
DWORD GetLongPathNameA(LPCSTR path, LPSTR buffer, DWORD size) {
  const auto real = services().files.long_path(wide(path));
  return real ? deliver_terminated(narrow(*real), buffer, size) : failed<DWORD>(real.error());
}

// No file here has a second, short name, as on a Windows volume that makes none: the answer is the path
// itself.
DWORD GetShortPathNameW(LPCWSTR path, LPWSTR buffer, DWORD size) {
  const auto info = info_of_path(view(path));
  return info ? deliver_terminated(view(path), buffer, size) : failed<DWORD>(info.error());
}
DWORD GetShortPathNameA(LPCSTR path, LPSTR buffer, DWORD size) {
  const auto info = info_of_path(wide(path));
  return info ? deliver_terminated(std::string_view(path), buffer, size) : failed<DWORD>(info.error());
}

/// TMP, TEMP, USERPROFILE, or the Windows folder: the first that is set; with its last backslash.
std::u16string temporary_folder() {
  const process::Environment& environment = services().process.environment();
  std::u16string folder = u"C:\\Windows";
  for (const auto* name : {u"USERPROFILE", u"TEMP", u"TMP"}) {
    if (auto value = environment.get(name); value && !value->empty()) folder = std::move(*value);
  }
  if (const auto full = services().files.full(folder)) folder = *full;
  return folder.ends_with(u'\\') ? folder : folder + u'\\';
}

DWORD GetTempPathW(DWORD size, LPWSTR buffer) { return deliver_terminated(temporary_folder(), buffer, size); }
DWORD GetTempPathA(DWORD size, LPSTR buffer) {
  return deliver_terminated(narrow(temporary_folder()), buffer, size);
}
// Differs for processes of the SYSTEM account only.
DWORD GetTempPath2W(DWORD size, LPWSTR buffer) { return GetTempPathW(size, buffer); }
DWORD GetTempPath2A(DWORD size, LPSTR buffer) { return GetTempPathA(size, buffer); }

std::u16string temporary_name(std::u16string_view folder, std::u16string_view prefix, UINT number) {
  static constexpr char16_t kDigits[] = u"0123456789abcdef";
  std::u16string digits;
  for (UINT rest = number & 0xFFFF; rest != 0 || digits.empty(); rest /= 16)
    digits.insert(0, 1, kDigits[rest % 16]);
  std::u16string name(folder);
  if (!name.ends_with(u'\\') && !name.ends_with(u'/')) name += u'\\';
  name += prefix.substr(0, 3);
  return name + digits + u".tmp";
}

/// The number used (0: failed), and the name in `name`. With number 0 the file is made, under a name that is
/// new.
UINT make_temporary(std::u16string_view folder, std::u16string_view prefix, UINT number,
                    std::u16string& name) {
  const auto info = services().files.info(folder);
  if (!info || (info->attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
    return failed<UINT>(ERROR_DIRECTORY);
  }
  name = temporary_name(folder, prefix, number);
  if ((number & 0xFFFF) != 0) return number & 0xFFFF;
  const auto start = static_cast<UINT>(os::monotonic_now() / 1'000'000);
  for (UINT attempt = 0; attempt < 0x10000; ++attempt) {
    const UINT candidate = (start + attempt) & 0xFFFF;
    if (candidate == 0) continue;
    name = temporary_name(folder, prefix, candidate);
    const auto made = services().files.open(name, {GENERIC_READ, 0, CREATE_NEW, 0});
    if (made) return candidate;
    if (made.error().status != STATUS_OBJECT_NAME_COLLISION) return failed<UINT>(made.error());
  }
  return failed<UINT>(ERROR_FILE_EXISTS);
}

// The caller's buffer has MAX_PATH characters, by contract.
UINT GetTempFileNameW(LPCWSTR folder, LPCWSTR prefix, UINT number, LPWSTR buffer) {
  std::u16string name;
  const UINT used = make_temporary(view(folder), view(prefix), number, name);
  if (used != 0 && deliver_terminated(name, buffer, MAX_PATH) >= MAX_PATH)
    return failed<UINT>(ERROR_FILENAME_EXCED_RANGE);
  return used;
}
UINT GetTempFileNameA(LPCSTR folder, LPCSTR prefix, UINT number, LPSTR buffer) {
  std::u16string name;
  const UINT used = make_temporary(wide(folder), wide(prefix), number, name);
  if (used != 0 && deliver_terminated(narrow(name), buffer, MAX_PATH) >= MAX_PATH) {
    return failed<UINT>(ERROR_FILENAME_EXCED_RANGE);
  }
  return used;
}

// ---- volumes ---------------------------------------------------------------------------------------------

DWORD GetLogicalDrives() { return services().files.drives().mask(); }

/// "C:\", NUL, "Z:\", NUL: the last NUL is the string's own.
template <class Char>
std::basic_string<Char> drive_strings() {
  std::basic_string<Char> list;
  for (int i = 0; i < 26; ++i) {
    if ((GetLogicalDrives() >> i & 1) == 0) continue;
    list += {static_cast<Char>('A' + i), static_cast<Char>(':'), static_cast<Char>('\\'), Char{}};
  }
  return list;
}
DWORD GetLogicalDriveStringsW(DWORD size, LPWSTR buffer) {
  return deliver_terminated(drive_strings<char16_t>(), buffer, size);
}
DWORD GetLogicalDriveStringsA(DWORD size, LPSTR buffer) {
  return deliver_terminated(drive_strings<char>(), buffer, size);
}

/// The host folder of a path that a volume function was given; NULL means the current directory.
Result<io::Located> volume_folder(LPCWSTR path) {
  return services().files.locate_existing(path == nullptr ? u"." : path);
}

UINT GetDriveTypeW(LPCWSTR root) {
  constexpr UINT kNoRootDirectory = 1;
  constexpr UINT kFixed = 3;
  constexpr UINT kRemote = 4;
  const auto where = services().files.locate(root == nullptr ? u"\\" : root);
  if (!where || !where->is_root) return kNoRootDirectory;
  struct statfs about;
  if (statfs(where->host.c_str(), &about) != 0) return kNoRootDirectory;
  const auto type = static_cast<std::uint32_t>(about.f_type);
  const bool network =
      type == 0x6969 || type == 0xFF534D42 || type == 0xFE534D42 || type == 0x517B;  // NFS, SMB
  return network ? kRemote : kFixed;
}
UINT GetDriveTypeA(LPCSTR root) { return GetDriveTypeW(root == nullptr ? nullptr : wide(root).c_str()); }

BOOL GetDiskFreeSpaceExW(LPCWSTR folder, ULARGE_INTEGER* to_caller, ULARGE_INTEGER* total,
                         ULARGE_INTEGER* free) {
  const auto where = volume_folder(folder);
  if (!where) return failed(where.error());
  struct statvfs about;
  if (statvfs(where->host.c_str(), &about) != 0) return failed(ERROR_PATH_NOT_FOUND);
  if (to_caller != nullptr) to_caller->QuadPart = about.f_bavail * about.f_frsize;
  if (total != nullptr) total->QuadPart = about.f_blocks * about.f_frsize;
  if (free != nullptr) free->QuadPart = about.f_bfree * about.f_frsize;
  return TRUE;
}
BOOL GetDiskFreeSpaceExA(LPCSTR folder, ULARGE_INTEGER* to_caller, ULARGE_INTEGER* total,
                         ULARGE_INTEGER* free) {
  return GetDiskFreeSpaceExW(folder == nullptr ? nullptr : wide(folder).c_str(), to_caller, total, free);
}

BOOL GetDiskFreeSpaceW(LPCWSTR root, DWORD* sectors, DWORD* bytes, DWORD* free_clusters, DWORD* clusters) {
  constexpr DWORD kSector = 512;
  const auto where = volume_folder(root);
  if (!where) return failed(where.error());
  struct statvfs about;
  if (statvfs(where->host.c_str(), &about) != 0) return failed(ERROR_PATH_NOT_FOUND);
  const auto capped = [](std::uint64_t n) {
    return static_cast<DWORD>(std::min<std::uint64_t>(n, UINT_MAX));
  };
  if (sectors != nullptr) *sectors = capped(std::max<std::uint64_t>(about.f_frsize / kSector, 1));
  if (bytes != nullptr) *bytes = kSector;
  if (free_clusters != nullptr) *free_clusters = capped(about.f_bavail);
  if (clusters != nullptr) *clusters = capped(about.f_blocks);
  return TRUE;
}
BOOL GetDiskFreeSpaceA(LPCSTR root, DWORD* sectors, DWORD* bytes, DWORD* free_clusters, DWORD* clusters) {
  return GetDiskFreeSpaceW(root == nullptr ? nullptr : wide(root).c_str(), sectors, bytes, free_clusters,
                           clusters);
}

/// Everything but the strings, which are the same for every volume: no label, and "NTFS", whose rules we
/// keep.
bool volume_information(LPCWSTR root, DWORD* serial, DWORD* longest, DWORD* flags) {
  constexpr DWORD kCasePreserved = 2;
  constexpr DWORD kUnicode = 4;
  constexpr DWORD kReparsePoints = 0x80;
  const auto where = services().files.locate(root == nullptr ? u"\\" : root);
  if (!where) return failed(where.error()) != 0;
  if (!where->is_root || (root != nullptr && !io::is_separator(view(root).back()))) {
    return failed(ERROR_INVALID_NAME) != 0;
  }
  const auto info = io::info_of(where->host);
  if (!info) return failed(info.error()) != 0;
  if (serial != nullptr) *serial = serial_number(info->id.device);
  if (longest != nullptr) *longest = 255;
  if (flags != nullptr) *flags = kCasePreserved | kUnicode | kReparsePoints;
  return true;
}

template <class Char>
BOOL volume_names(Char* label, DWORD label_size, Char* system, DWORD system_size) {
  static constexpr Char kName[] = {'N', 'T', 'F', 'S', 0};
  if (label != nullptr && label_size != 0) *label = 0;
  if (system == nullptr) return TRUE;
  const DWORD length = deliver_terminated(std::basic_string_view<Char>(kName), system, system_size);
  return length < system_size ? TRUE : failed(ERROR_BAD_LENGTH);
}

BOOL GetVolumeInformationW(LPCWSTR root, LPWSTR label, DWORD label_size, DWORD* serial, DWORD* longest,
                           DWORD* flags, LPWSTR system, DWORD system_size) {
  if (!volume_information(root, serial, longest, flags)) return FALSE;
  return volume_names(label, label_size, system, system_size);
}
BOOL GetVolumeInformationA(LPCSTR root, LPSTR label, DWORD label_size, DWORD* serial, DWORD* longest,
                           DWORD* flags, LPSTR system, DWORD system_size) {
  if (!volume_information(root == nullptr ? nullptr : wide(root).c_str(), serial, longest, flags))
    return FALSE;
  return volume_names(label, label_size, system, system_size);
}

/// The drives, one after the other, as volumes with names of our own making.
class VolumeSearch final : public sync::Object {
 public:
  VolumeSearch() : Object(sync::Kind::directory_search) {}
  int next = 0;

 private:
  ~VolumeSearch() override = default;
};

BOOL next_volume(VolumeSearch& search, LPWSTR buffer, DWORD size) {
  const DWORD drives = GetLogicalDrives();
  while (search.next < 26 && (drives >> search.next & 1) == 0) ++search.next;
  if (search.next == 26) return failed(ERROR_NO_MORE_FILES);
  std::u16string name = u"\\\\?\\Volume{b0bb1000-0000-0000-0000-0000000000";
  const int code = 'A' + search.next;  // the letter's code, in hexadecimal
  name += static_cast<char16_t>(u'0' + code / 16);
  name += u"0123456789abcdef"[code % 16];
  name += u"}\\";
  if (deliver_terminated(name, buffer, size) >= size) return failed(ERROR_FILENAME_EXCED_RANGE);
  ++search.next;
  return TRUE;
}

HANDLE FindFirstVolumeW(LPWSTR buffer, DWORD size) {
  auto search = sync::Ref<VolumeSearch>::adopt(new VolumeSearch);
  if (next_volume(*search, buffer, size) == FALSE) return INVALID_HANDLE_VALUE;
  auto handle = services().handles.insert(std::move(search));
  return handle ? guest_handle(*handle) : failed(handle.error(), INVALID_HANDLE_VALUE);
}

/// The search behind a handle, if it is one of volumes.
sync::Ref<VolumeSearch> volume_search(HANDLE handle) {
  auto object = services().handles.get(handle_value(handle));
  auto* search = object ? dynamic_cast<VolumeSearch*>(object->get()) : nullptr;
  if (search == nullptr) set_last_error(ERROR_INVALID_HANDLE);
  return sync::Ref<VolumeSearch>(search);
}

BOOL FindNextVolumeW(HANDLE handle, LPWSTR buffer, DWORD size) {
  const auto search = volume_search(handle);
  return search ? next_volume(*search, buffer, size) : FALSE;
}

BOOL FindVolumeClose(HANDLE handle) {
  return volume_search(handle) ? done(services().handles.close(handle_value(handle))) : FALSE;
}

// ---- A or OEM: both code pages are UTF-8, so there is only the setting to remember
// -------------------------

std::atomic<bool> g_file_apis_are_ansi{true};
BOOL AreFileApisANSI() { return g_file_apis_are_ansi ? TRUE : FALSE; }
void SetFileApisToANSI() { g_file_apis_are_ansi = true; }
void SetFileApisToOEM() { g_file_apis_are_ansi = false; }

const Export kExports[] = {
    NATIVE(kKernel32, AreFileApisANSI),
    NATIVE(kKernel32, CreateDirectoryA),
    NATIVE(kKernel32, CreateDirectoryW),
    NATIVE(kKernel32, CreateFileA),
    NATIVE(kKernel32, CreateFileW),
    NATIVE(kKernel32, DeleteFileA),
    NATIVE(kKernel32, DeleteFileW),
    NATIVE(kKernel32, FindClose),
    NATIVE(kKernel32, FindFirstFileA),
    NATIVE(kKernel32, FindFirstFileExA),
    NATIVE(kKernel32, FindFirstFileExW),
    NATIVE(kKernel32, FindFirstFileW),
    NATIVE(kKernel32, FindFirstVolumeW),
    NATIVE(kKernel32, FindNextFileA),
    NATIVE(kKernel32, FindNextFileW),
    NATIVE(kKernel32, FindNextVolumeW),
    NATIVE(kKernel32, FindVolumeClose),
    NATIVE(kKernel32, FlushFileBuffers),
    NATIVE(kKernel32, GetDiskFreeSpaceA),
    NATIVE(kKernel32, GetDiskFreeSpaceExA),
    NATIVE(kKernel32, GetDiskFreeSpaceExW),
    NATIVE(kKernel32, GetDiskFreeSpaceW),
    NATIVE(kKernel32, GetDriveTypeA),
    NATIVE(kKernel32, GetDriveTypeW),
    NATIVE(kKernel32, GetFileAttributesA),
    NATIVE(kKernel32, GetFileAttributesExA),
    NATIVE(kKernel32, GetFileAttributesExW),
    NATIVE(kKernel32, GetFileAttributesW),
    NATIVE(kKernel32, GetFileInformationByHandle),
    NATIVE(kKernel32, GetFileSize),
    NATIVE(kKernel32, GetFileSizeEx),
    NATIVE(kKernel32, GetFileTime),
    NATIVE(kKernel32, GetFileType),
    NATIVE(kKernel32, GetFinalPathNameByHandleA),
    NATIVE(kKernel32, GetFinalPathNameByHandleW),
    NATIVE(kKernel32, GetFullPathNameA),
    NATIVE(kKernel32, GetFullPathNameW),
    NATIVE(kKernel32, GetLogicalDriveStringsA),
    NATIVE(kKernel32, GetLogicalDriveStringsW),
    NATIVE(kKernel32, GetLogicalDrives),
    NATIVE(kKernel32, GetLongPathNameA),
    NATIVE(kKernel32, GetLongPathNameW),
    NATIVE(kKernel32, GetShortPathNameA),
    NATIVE(kKernel32, GetShortPathNameW),
    NATIVE(kKernel32, GetTempFileNameA),
    NATIVE(kKernel32, GetTempFileNameW),
    NATIVE(kKernel32, GetTempPath2A),
    NATIVE(kKernel32, GetTempPath2W),
    NATIVE(kKernel32, GetTempPathA),
    NATIVE(kKernel32, GetTempPathW),
    NATIVE(kKernel32, GetVolumeInformationA),
    NATIVE(kKernel32, GetVolumeInformationW),
    NATIVE(kKernel32, LockFile),
    NATIVE(kKernel32, LockFileEx),
    NATIVE(kKernel32, ReadFile),
    NATIVE(kKernel32, RemoveDirectoryA),
    NATIVE(kKernel32, RemoveDirectoryW),
    NATIVE(kKernel32, SetEndOfFile),
    NATIVE(kKernel32, SetFileApisToANSI),
    NATIVE(kKernel32, SetFileApisToOEM),
    NATIVE(kKernel32, SetFileAttributesA),
    NATIVE(kKernel32, SetFileAttributesW),
    NATIVE(kKernel32, SetFilePointer),
    NATIVE(kKernel32, SetFilePointerEx),
    NATIVE(kKernel32, SetFileTime),
    NATIVE(kKernel32, UnlockFile),
    NATIVE(kKernel32, UnlockFileEx),
    NATIVE(kKernel32, WriteFile),
};

}  // namespace

std::span<const Export> fileapi_natives() { return kExports; }

}  // namespace bobbin::win32
