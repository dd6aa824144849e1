#include "io/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what, std::u16string_view path = {}) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what, .file = nls::to_utf8(path)});
}

constexpr std::uint32_t kReads = abi::FILE_READ_DATA | abi::FILE_EXECUTE;
constexpr std::uint32_t kWrites = abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA;

/// How the host is to open for these rights. Those that touch no content need no right of the host (O_PATH).
int open_flags(std::uint32_t access) {
  const bool reads = (access & kReads) != 0;
  const bool writes = (access & kWrites) != 0;
  const bool append_only = writes && (access & abi::FILE_WRITE_DATA) == 0;
  const int mode = reads && writes ? O_RDWR : writes ? O_WRONLY : reads ? O_RDONLY : O_PATH;
  return mode | O_CLOEXEC | O_NOCTTY | (append_only ? O_APPEND : 0);
}

std::u16string with_separator(std::u16string path) {
  if (!path.ends_with(u'\\')) path += u'\\';
  return path;
}

std::string host_current_directory() {
  const std::unique_ptr<char, void (*)(void*)> name(getcwd(nullptr, 0), std::free);
  return name && *name == '/' ? name.get() : "/";
}

}  // namespace

std::uint32_t specific_access(std::uint32_t access) {
  std::uint32_t rights = access & 0x00FFFFFFu;
  if ((access & abi::GENERIC_READ) != 0) rights |= abi::FILE_GENERIC_READ;
  if ((access & abi::GENERIC_WRITE) != 0) rights |= abi::FILE_GENERIC_WRITE;
  if ((access & abi::GENERIC_EXECUTE) != 0) rights |= abi::FILE_GENERIC_EXECUTE;
  if ((access & (abi::GENERIC_ALL | abi::MAXIMUM_ALLOWED)) != 0) rights |= abi::FILE_ALL_ACCESS;
  return rights | abi::FILE_READ_ATTRIBUTES;  // CreateFile always asks for it
}

Files::Files(DriveTable drives) : drives_(std::move(drives)) {
  directories_.current = with_separator(drives_.to_windows(host_current_directory()));
}

CurrentDirectories Files::directories() const {
  const std::scoped_lock lock(mutex_);
  return directories_;
}

Result<void> Files::set_current_directory(std::u16string_view path) {
  auto where = full(path);
  if (!where) return propagate(where);
  auto located = drives_.locate(*where);
  if (!located) {
    // Windows says FILE_NOT_FOUND for a missing folder in a folder that exists, PATH_NOT_FOUND otherwise.
    return propagate(located);
  }
  if (!located->exists) return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "there is no such folder", path);
  if (chdir(located->host.c_str()) != 0) {
    return errno == ENOTDIR ? refused(abi::STATUS_NOT_A_DIRECTORY, "this is no folder", path)
                            : host_failure("chdir", errno, located->host);
  }
  std::u16string directory =
      with_separator(form_of(*where) == PathForm::verbatim ? where->substr(4) : *where);
  const std::scoped_lock lock(mutex_);
  directories_.of_drive[static_cast<std::size_t>(upper_ascii(directory[0]) - u'A')] = directory;
  directories_.current = std::move(directory);
  return {};
}

Result<std::u16string> Files::full(std::u16string_view path) const {
  path = path.substr(0, path.find(u'\0'));
  if (form_of(path) == PathForm::verbatim) return std::u16string(path);
  return full_path(path, directories());
}

Result<Located> Files::locate(std::u16string_view path) const {
  auto where = full(path);
  // An empty path names nothing: that is a path not found, whereas GetFullPathName calls it a bad name.
  if (!where) return refused(abi::STATUS_OBJECT_PATH_NOT_FOUND, "the path is empty");
  return drives_.locate(*where);
}

Result<Located> Files::locate_existing(std::u16string_view path) const {
  auto where = locate(path);
  if (where && !where->exists)
    return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "there is no such file", path);
  if (where && where->wants_folder) {
    struct stat info;
    if (stat(where->host.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
      return refused(abi::STATUS_OBJECT_NAME_INVALID, "a file's path does not end in a separator", path);
    }
  }
  return where;
}

Result<Opened> Files::open(std::u16string_view path, const OpenRequest& request) {
  if (request.disposition < abi::CREATE_NEW || request.disposition > abi::TRUNCATE_EXISTING) {
    return refused(abi::STATUS_INVALID_PARAMETER, "there is no such creation disposition");
  }
  if (const auto pipe = NamedPipes::name_in(path)) {
    auto client =
        pipes_.open(*pipe, specific_access(request.access), request.flags_and_attributes & 0xFFFF0000u);
    if (!client) return propagate(client);
    return Opened{std::move(*client), true};
  }
  const Device device = device_of(path);
  if (device != Device::none) return open_device(device, request);
  for (;;) {
    auto where = locate(path);
    if (!where) return propagate(where);
    if (!where->exists && where->wants_folder) {
      return refused(abi::STATUS_OBJECT_NAME_INVALID, "a file's path does not end in a separator", path);
    }
    bool retry = false;
    auto opened = open_located(*where, request, retry);
    if (!retry) return opened;  // else the file came or went between looking and opening
  }
}

Result<Opened> Files::open_device(Device device, const OpenRequest& request) {
  const std::uint32_t access = specific_access(request.access);
  const char* name = device == Device::null ? "/dev/null" : device == Device::other ? nullptr : "/dev/tty";
  if (name == nullptr) return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "there is no such device");
  os::Descriptor descriptor(::open(name, O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (descriptor.get() < 0) return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "the process has no console");
  FileKind kind = FileKind::null_device;
  if (device != Device::null) {  // CON is the side that the access asked for means
    const bool input = device == Device::console_input ||
                       (device == Device::console && (access & abi::FILE_WRITE_DATA) == 0);
    kind = input ? FileKind::console_input : FileKind::console_output;
  }
  return Opened{
      sync::Ref<File>::adopt(new File(std::move(descriptor),
                                      {.kind = kind,
                                       .access = access,
                                       .console = kind == FileKind::console_input ? &console_ : nullptr})),
      false};
}

Result<Opened> Files::open_located(const Located& where, const OpenRequest& request, bool& retry) {
  using namespace abi;
  const bool may_create = request.disposition == CREATE_NEW || request.disposition == CREATE_ALWAYS ||
                          request.disposition == OPEN_ALWAYS;
  const bool truncate = request.disposition == CREATE_ALWAYS || request.disposition == TRUNCATE_EXISTING;
  const bool readonly = (request.flags_and_attributes & FILE_ATTRIBUTE_READONLY) != 0;
  const bool delete_on_close = (request.flags_and_attributes & FILE_FLAG_DELETE_ON_CLOSE) != 0;
  std::uint32_t access = specific_access(request.access);
  if (request.disposition == TRUNCATE_EXISTING && (access & FILE_WRITE_DATA) == 0) {
    return refused(STATUS_INVALID_PARAMETER, "truncating needs the right to write");
  }
  if (delete_on_close) access |= DELETE_ACCESS;
  if (where.exists && request.disposition == CREATE_NEW) {
    return refused(STATUS_OBJECT_NAME_COLLISION, "the file exists");
  }
  if (!where.exists && !may_create) return refused(STATUS_OBJECT_NAME_NOT_FOUND, "there is no such file");

  const bool no_follow = (request.flags_and_attributes & FILE_FLAG_OPEN_REPARSE_POINT) != 0;
  int flags = open_flags(access);
  FileKind kind = FileKind::disk;
  if (where.exists) {
    struct stat info;
    if (fstatat(AT_FDCWD, where.host.c_str(), &info, no_follow ? AT_SYMLINK_NOFOLLOW : 0) != 0) {
      return host_failure("stat", errno, where.host);
    }
    if (S_ISDIR(info.st_mode)) {
      if (request.disposition == CREATE_ALWAYS || truncate ||
          (request.flags_and_attributes & FILE_FLAG_BACKUP_SEMANTICS) == 0) {
        return refused(STATUS_FILE_IS_A_DIRECTORY, "a folder is opened with FILE_FLAG_BACKUP_SEMANTICS only");
      }
      kind = FileKind::folder;
      flags = ((access & kReads) != 0 ? O_RDONLY : O_PATH) | O_DIRECTORY | O_CLOEXEC;
    } else if (where.wants_folder) {
      return refused(STATUS_OBJECT_NAME_INVALID, "a file's path does not end in a separator");
    } else if (S_ISLNK(info.st_mode)) {
      flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    } else if (!S_ISREG(info.st_mode)) {
      kind = S_ISFIFO(info.st_mode) ? FileKind::pipe : FileKind::device;
    } else if ((info.st_mode & 0222u) == 0 && ((access & kWrites) != 0 || truncate || delete_on_close)) {
      return refused(STATUS_ACCESS_DENIED, "the file is read-only");
    }
  } else {
    flags = (flags & ~O_PATH) | O_CREAT | O_EXCL;
  }
  if (truncate && where.exists && (flags & O_ACCMODE) == O_RDONLY) {
    flags = (flags & ~(O_ACCMODE | O_PATH)) |
            O_RDWR;  // CREATE_ALWAYS empties the file without the right to write
  }

  os::Descriptor descriptor(::open(where.host.c_str(), flags, readonly ? 0444 : 0666));
  if (descriptor.get() < 0) {
    retry = errno == EEXIST || (errno == ENOENT && where.exists);
    return host_failure("open", errno, where.host);
  }
  auto info = info_of(descriptor.get());
  if (!info) return propagate(info);
  const bool shared = kind == FileKind::disk || kind == FileKind::folder;
  sync::Ref<File> file = sync::Ref<File>::adopt(
      new File(std::move(descriptor), {.kind = kind,
                                       .access = access,
                                       .flags = request.flags_and_attributes & 0xFFFF0000u,
                                       .id = info->id,
                                       .shares = shared ? &shares_ : nullptr}));
  if (shared) {
    auto registered = shares_.open(info->id, file.get(), access, request.share);
    if (!registered) return propagate(registered);
    if (delete_on_close) shares_.set_delete_pending_on_close(info->id, file.get());
  }
  if (truncate && where.exists && kind == FileKind::disk && ftruncate(file->fd(), 0) != 0) {
    return host_failure("ftruncate", errno, where.host);
  }
  return Opened{std::move(file), where.exists};
}

Result<FileInfo> Files::info(std::u16string_view path) const {
  auto where = locate_existing(path);
  if (!where) return propagate(where);
  return info_of(where->host);
}

Result<std::u16string> Files::path_of(const File& file) const {
  const auto host = file.host_path();
  if (!host) return fail(host.error());
  return drives_.to_windows(*host);
}

}  // namespace bobbin::io
