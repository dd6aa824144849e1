// fileapi.h: files by name, folders, searches, paths.
#include <atomic>

#include "process/process.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- attributes, deleting, folders -----------------------------------------------------------------------

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

// ---- searches --------------------------------------------------------------------------------------------

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
  Borrowed<io::Search> search =
      services().files.search(pattern, search_operation == kSearchLimitToDirectories);
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
  FindData<Char> next;
  {
    const auto search = search_of(handle);
    if (!search || find_next(*search, &next) == FALSE) return FALSE;
  }
  *data = next;
  return TRUE;
}
BOOL FindNextFileW(HANDLE handle, WIN32_FIND_DATAW* data) { return find_next_by_handle(handle, data); }
BOOL FindNextFileA(HANDLE handle, WIN32_FIND_DATAA* data) { return find_next_by_handle(handle, data); }

BOOL FindClose(HANDLE handle) {
  return search_of(handle) ? done(services().handles.close(handle_value(handle))) : FALSE;
}

// ---- paths -----------------------------------------------------------------------------------------------

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

// ---- temporary files -------------------------------------------------------------------------------------

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

// ---- ANSI or OEM -----------------------------------------------------------------------------------------

// Both code pages are UTF-8, so there is only the setting to remember.
std::atomic<bool> g_file_apis_are_ansi{true};
BOOL AreFileApisANSI() { return g_file_apis_are_ansi ? TRUE : FALSE; }
void SetFileApisToANSI() { g_file_apis_are_ansi = true; }
void SetFileApisToOEM() { g_file_apis_are_ansi = false; }

const Export kExports[] = {
    NATIVE(kKernel32, AreFileApisANSI),      NATIVE(kKernel32, CreateDirectoryA),
    NATIVE(kKernel32, CreateDirectoryW),     NATIVE(kKernel32, DeleteFileA),
    NATIVE(kKernel32, DeleteFileW),          NATIVE(kKernel32, FindClose),
    NATIVE(kKernel32, FindFirstFileA),       NATIVE(kKernel32, FindFirstFileExA),
    NATIVE(kKernel32, FindFirstFileExW),     NATIVE(kKernel32, FindFirstFileW),
    NATIVE(kKernel32, FindNextFileA),        NATIVE(kKernel32, FindNextFileW),
    NATIVE(kKernel32, GetFileAttributesA),   NATIVE(kKernel32, GetFileAttributesExA),
    NATIVE(kKernel32, GetFileAttributesExW), NATIVE(kKernel32, GetFileAttributesW),
    NATIVE(kKernel32, GetFullPathNameA),     NATIVE(kKernel32, GetFullPathNameW),
    NATIVE(kKernel32, GetLongPathNameA),     NATIVE(kKernel32, GetLongPathNameW),
    NATIVE(kKernel32, GetShortPathNameA),    NATIVE(kKernel32, GetShortPathNameW),
    NATIVE(kKernel32, GetTempFileNameA),     NATIVE(kKernel32, GetTempFileNameW),
    NATIVE(kKernel32, GetTempPath2A),        NATIVE(kKernel32, GetTempPath2W),
    NATIVE(kKernel32, GetTempPathA),         NATIVE(kKernel32, GetTempPathW),
    NATIVE(kKernel32, RemoveDirectoryA),     NATIVE(kKernel32, RemoveDirectoryW),
    NATIVE(kKernel32, SetFileApisToANSI),    NATIVE(kKernel32, SetFileApisToOEM),
    NATIVE(kKernel32, SetFileAttributesA),   NATIVE(kKernel32, SetFileAttributesW),
};

}  // namespace

std::span<const Export> fileapi_names_natives() { return kExports; }

}  // namespace bobbin::win32
