// fileapi.h: drives and volumes.
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <climits>

#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

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

void volume_facts(const io::FileInfo& info, DWORD* serial, DWORD* longest, DWORD* flags) {
  constexpr DWORD kCasePreserved = 2;
  constexpr DWORD kUnicode = 4;
  constexpr DWORD kReparsePoints = 0x80;
  if (serial != nullptr) *serial = serial_number(info.id.device);
  if (longest != nullptr) *longest = 255;
  if (flags != nullptr) *flags = kCasePreserved | kUnicode | kReparsePoints;
}

/// Everything but the strings, which are the same for every volume: no label, and "NTFS", whose rules we
/// keep.
bool volume_information(LPCWSTR root, DWORD* serial, DWORD* longest, DWORD* flags) {
  const auto where = services().files.locate(root == nullptr ? u"\\" : root);
  if (!where) return failed(where.error()) != 0;
  if (!where->is_root || (root != nullptr && !io::is_separator(view(root).back()))) {
    return failed(ERROR_INVALID_NAME) != 0;
  }
  const auto info = io::info_of(where->host);
  if (!info) return failed(info.error()) != 0;
  volume_facts(*info, serial, longest, flags);
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

BOOL GetVolumeInformationByHandleW(HANDLE handle, LPWSTR label, DWORD label_size, DWORD* serial,
                                   DWORD* longest, DWORD* flags, LPWSTR system, DWORD system_size) {
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  const auto info = (*file)->info();
  if (!info) return failed(info.error());
  volume_facts(*info, serial, longest, flags);
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

/// The root of the drive that the path is on: other volumes cannot be mounted in folders.
BOOL GetVolumePathNameW(LPCWSTR path, LPWSTR buffer, DWORD size) {
  if (path == nullptr || buffer == nullptr || size == 0) return failed(ERROR_INVALID_PARAMETER);
  const auto full = services().files.full(view(path));
  if (!full) return failed(full.error());
  std::u16string_view root = *full;
  const bool verbatim = io::form_of(root) == io::PathForm::verbatim;
  const std::size_t end = verbatim ? 7 : 3;  // "\\\\?\\C:\\", "C:\\"
  if (root.size() < end || root[end - 2] != u':' || !io::is_separator(root[end - 1]))
    return failed(ERROR_INVALID_NAME);
  return deliver_terminated(root.substr(0, end), buffer, size) == end ? TRUE
                                                                      : failed(ERROR_FILENAME_EXCED_RANGE);
}

/// Drives as devices, which have names of our own making; other devices have none here. With no name given it
/// lists those that have one.
DWORD QueryDosDeviceW(LPCWSTR name, LPWSTR buffer, DWORD size) {
  std::u16string list;
  for (int i = 0; i < 26; ++i) {
    if ((GetLogicalDrives() >> i & 1) == 0) continue;
    const char16_t drive[] = {static_cast<char16_t>(u'A' + i), u':', 0};
    if (name == nullptr) {
      list += std::u16string(drive) + u'\0';
    } else if (io::same_name(name, drive)) {
      list = u"\\Device\\HarddiskVolume" + wide(std::to_string(i + 1).c_str()) + u'\0';
    }
  }
  if (list.empty()) return failed<DWORD>(ERROR_FILE_NOT_FOUND);
  const DWORD room = deliver_terminated(list, buffer, size);  // which ends it with a second zero
  return room == list.size() ? room + 1 : failed<DWORD>(ERROR_INSUFFICIENT_BUFFER);
}

const Export kExports[] = {
    NATIVE(kKernel32, FindFirstVolumeW),        NATIVE(kKernel32, FindNextVolumeW),
    NATIVE(kKernel32, FindVolumeClose),         NATIVE(kKernel32, GetDiskFreeSpaceA),
    NATIVE(kKernel32, GetDiskFreeSpaceExA),     NATIVE(kKernel32, GetDiskFreeSpaceExW),
    NATIVE(kKernel32, GetDiskFreeSpaceW),       NATIVE(kKernel32, GetDriveTypeA),
    NATIVE(kKernel32, GetDriveTypeW),           NATIVE(kKernel32, GetLogicalDriveStringsA),
    NATIVE(kKernel32, GetLogicalDriveStringsW), NATIVE(kKernel32, GetLogicalDrives),
    NATIVE(kKernel32, GetVolumeInformationA),   NATIVE(kKernel32, GetVolumeInformationByHandleW),
    NATIVE(kKernel32, GetVolumeInformationW),   NATIVE(kKernel32, GetVolumePathNameW),
    NATIVE(kKernel32, QueryDosDeviceW),
};

}  // namespace

std::span<const Export> fileapi_volumes_natives() { return kExports; }

}  // namespace bobbin::win32
