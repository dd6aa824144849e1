// The half of Files that changes names: deleting, renaming, copying, linking, folders.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/files.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what, std::u16string_view path = {}) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what, .file = nls::to_utf8(path)});
}

bool is_folder(const FileInfo& info) { return (info.attributes & abi::FILE_ATTRIBUTE_DIRECTORY) != 0; }

/// Whether these are two hard links of a file; not if they are one name that is reached by two ways.
bool two_names_of_one_file(const std::string& a, const std::string& b) {
  struct stat first{};
  struct stat second{};
  const auto same = [&] { return first.st_dev == second.st_dev && first.st_ino == second.st_ino; };
  if (lstat(a.c_str(), &first) != 0 || lstat(b.c_str(), &second) != 0 || !same()) return false;
  const std::size_t a_name = a.find_last_of('/') + 1;
  const std::size_t b_name = b.find_last_of('/') + 1;
  if (a.substr(a_name) != b.substr(b_name)) return true;
  return stat(a.substr(0, a_name).c_str(), &first) == 0 && stat(b.substr(0, b_name).c_str(), &second) == 0 &&
         !same();
}

bool is_link(const FileInfo& info) { return (info.attributes & abi::FILE_ATTRIBUTE_REPARSE_POINT) != 0; }
bool is_readonly(const FileInfo& info) {
  return (info.attributes & abi::FILE_ATTRIBUTE_READONLY) != 0 && !is_folder(info) && !is_link(info);
}

/// Copies content by the kernel's own hand, from one position to the other.
Result<void> copy_bytes(int from, int to) {
  constexpr std::size_t kChunk = std::size_t{1} << 30;
  for (;;) {
    ssize_t count = copy_file_range(from, nullptr, to, nullptr, kChunk, 0);
    if (count < 0 && errno != EINTR) count = sendfile(to, from, nullptr, kChunk);  // file systems that cannot
    if (count == 0) return {};
    if (count < 0 && errno != EINTR) return host_failure("copying", errno);
  }
}

void copy_write_time(int to, const FileInfo& from) {
  constexpr std::uint64_t kUnixEpoch = 116'444'736'000'000'000;
  const std::uint64_t time = std::max(from.write_time, kUnixEpoch) - kUnixEpoch;
  const timespec write{static_cast<time_t>(time / 10'000'000), static_cast<long>(time % 10'000'000 * 100)};
  const timespec both[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, write};
  futimens(to, both);
}

}  // namespace

Result<void> Files::may_delete(const FileInfo& info) const {
  if (is_link(info)) return {};  // the link goes, whatever is open behind it
  return shares_.check(info.id, abi::DELETE_ACCESS, abi::FILE_SHARE_ALL);
}

Result<void> Files::set_attributes(std::u16string_view path, std::uint32_t attributes) {
  auto where = locate_existing(path);
  if (!where) return propagate(where);
  struct stat now;
  if (stat(where->host.c_str(), &now) != 0) return host_failure("stat", errno, where->host);
  if (S_ISDIR(now.st_mode)) return {};  // on a folder, READONLY forbids nothing
  const bool readonly = (attributes & abi::FILE_ATTRIBUTE_READONLY) != 0;
  mode_t mode = now.st_mode & 07777u;
  if (readonly) {
    mode &= ~0222u;
  } else if ((mode & 0222u) == 0) {
    mode |= 0200u;
  }
  if (mode != (now.st_mode & 07777u) && chmod(where->host.c_str(), mode) != 0) {
    return host_failure("chmod", errno, where->host);
  }
  return {};
}

Result<void> Files::remove_file(std::u16string_view path) {
  auto where = locate_existing(path);
  if (!where) return propagate(where);
  auto about = info_of(where->host);
  if (!about) return propagate(about);
  if (is_folder(*about)) return refused(abi::STATUS_FILE_IS_A_DIRECTORY, "this is a folder", path);
  if (is_readonly(*about)) return refused(abi::STATUS_CANNOT_DELETE, "the file is read-only", path);
  auto allowed = may_delete(*about);
  if (!allowed) return allowed;
  if (unlink(where->host.c_str()) != 0) return host_failure("unlink", errno, where->host);
  return {};
}

Result<void> Files::create_folder(std::u16string_view path) {
  auto where = locate(path);
  if (!where) return propagate(where);
  if (where->exists) return refused(abi::STATUS_OBJECT_NAME_COLLISION, "something of that name exists", path);
  if (mkdir(where->host.c_str(), 0777) != 0) return host_failure("mkdir", errno, where->host);
  return {};
}

Result<void> Files::remove_folder(std::u16string_view path) {
  auto where = locate_existing(path);
  if (!where) return propagate(where);
  auto about = info_of(where->host);
  if (!about) return propagate(about);
  if (!is_folder(*about)) return refused(abi::STATUS_NOT_A_DIRECTORY, "this is no folder", path);
  auto allowed = may_delete(*about);
  if (!allowed) return allowed;
  const int failed = is_link(*about) ? unlink(where->host.c_str()) : rmdir(where->host.c_str());
  if (failed != 0) return host_failure("rmdir", errno == EEXIST ? ENOTEMPTY : errno, where->host);
  return {};
}

Result<void> Files::rename(std::u16string_view from, std::u16string_view to, bool replace, bool may_copy) {
  auto where = locate_existing(from);
  if (!where) return propagate(where);
  auto about = info_of(where->host);
  if (!about) return propagate(about);
  auto allowed = may_delete(*about);
  if (!allowed) return allowed;
  return rename_host(where->host, to, replace, may_copy);
}

Result<void> Files::rename(File& file, std::u16string_view to, bool replace) {
  if ((file.access() & abi::DELETE_ACCESS) == 0) {
    return refused(abi::STATUS_ACCESS_DENIED, "renaming needs the right to delete");
  }
  auto from = file.host_path();
  if (!from) return propagate(from);
  return rename_host(*from, to, replace, false);
}

Result<void> Files::rename_host(const std::string& from, std::u16string_view to, bool replace,
                                bool may_copy) {
  auto path = full(to);
  if (!path) return refused(abi::STATUS_OBJECT_PATH_NOT_FOUND, "the path is empty");
  auto target = drives_.locate(*path);
  if (!target) return propagate(target);
  std::string name = target->host;
  if (target->exists && name == from) {  // perhaps another case of the same name
    std::u16string_view trimmed = *path;
    if (target->wants_folder) trimmed.remove_suffix(1);
    name = name.substr(0, name.find_last_of('/') + 1) + nls::name_to_utf8(base_name(trimmed));
    if (name == from) return {};
  } else if (target->exists) {
    if (!replace) return refused(abi::STATUS_OBJECT_NAME_COLLISION, "the new name is taken", to);
    auto there = info_of(name);
    if (!there) return propagate(there);
    if (is_folder(*there) || is_readonly(*there)) {
      return refused(abi::STATUS_ACCESS_DENIED, "what has the new name cannot be replaced", to);
    }
    auto allowed = may_delete(*there);
    if (!allowed) return allowed;
  }
  // The host's rename leaves both names of one file as they are; Windows' replaces the one by the other.
  if (replace && two_names_of_one_file(from, name)) {
    return unlink(from.c_str()) == 0 ? Result<void>() : host_failure("unlink", errno, from);
  }
  const int failed = replace ? ::rename(from.c_str(), name.c_str())
                             : renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE);
  if (failed == 0) return {};
  if (errno != EXDEV || !may_copy) return host_failure("rename", errno, from);
  return copy_across(from, name);
}

Result<void> Files::copy_across(const std::string& from, const std::string& to) {
  auto about = info_of(from);
  if (!about) return propagate(about);
  if (is_folder(*about)) return refused(abi::STATUS_NOT_SAME_DEVICE, "a folder stays on its drive");
  const os::Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.get() < 0) return host_failure("open", errno, from);
  const os::Descriptor target(
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, about->mode & 0777u));
  if (target.get() < 0) return host_failure("open", errno, to);
  auto copied = copy_bytes(source.get(), target.get());
  if (!copied) {
    unlink(to.c_str());
    return copied;
  }
  copy_write_time(target.get(), *about);
  if (unlink(from.c_str()) != 0) return host_failure("unlink", errno, from);
  return {};
}

Result<void> Files::copy(std::u16string_view from, std::u16string_view to, bool fail_if_exists) {
  auto source = open(from, {abi::GENERIC_READ, abi::FILE_SHARE_READ, abi::OPEN_EXISTING, 0});
  if (!source) return propagate(source);
  auto about = source->file->info();
  if (!about) return propagate(about);
  const std::uint32_t disposition = fail_if_exists ? abi::CREATE_NEW : abi::CREATE_ALWAYS;
  auto target = open(to, {abi::GENERIC_WRITE, 0, disposition, 0});
  if (!target) return propagate(target);
  auto copied = copy_bytes(source->file->fd(), target->file->fd());
  if (!copied) return copied;
  copy_write_time(target->file->fd(), *about);
  // The copy has the original's READONLY, and its right to be executed.
  fchmod(target->file->fd(), about->mode & 0777u);
  return {};
}

Result<void> Files::hard_link(std::u16string_view name, std::u16string_view existing) {
  auto from = locate_existing(existing);
  if (!from) return propagate(from);
  auto to = locate(name);
  if (!to) return propagate(to);
  if (to->exists) return refused(abi::STATUS_OBJECT_NAME_COLLISION, "something of that name exists", name);
  if (linkat(AT_FDCWD, from->host.c_str(), AT_FDCWD, to->host.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return host_failure("link", errno, to->host);
  }
  return {};
}

Result<void> Files::symbolic_link(std::u16string_view name, std::u16string_view target) {
  auto to = locate(name);
  if (!to) return propagate(to);
  if (to->exists) return refused(abi::STATUS_OBJECT_NAME_COLLISION, "something of that name exists", name);
  std::string content;
  if (form_of(target) == PathForm::relative) {
    content = nls::name_to_utf8(target);
    std::ranges::replace(content, '\\', '/');
  } else {
    auto where = locate(target);
    if (!where) return propagate(where);
    content = where->host;
  }
  if (symlink(content.c_str(), to->host.c_str()) != 0) return host_failure("symlink", errno, to->host);
  return {};
}

}  // namespace bobbin::io
