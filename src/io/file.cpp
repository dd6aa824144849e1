#include "io/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/console.hpp"
#include "io/folder_watch.hpp"
#include "io/named_pipe.hpp"
#include "io/socket.hpp"

namespace bobbin::io {
namespace {

// A stop request sets Waiter::interrupted and sends a signal. One that comes between our look at the flag and
// the poll is not seen by the poll: so no poll is longer than this.
constexpr int kSliceMilliseconds = 100;

std::unexpected<Error> cancelled() {
  return fail(
      {.kind = ErrorKind::system, .status = abi::STATUS_CANCELLED, .what = "the thread is being stopped"});
}

std::unexpected<Error> refused(std::uint32_t status, const char* what) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what});
}

constexpr std::uint64_t kUnixEpoch = 116'444'736'000'000'000;  // 1970 in FILETIME units

std::uint64_t file_time(const statx_timestamp& time) {
  return kUnixEpoch + static_cast<std::uint64_t>(time.tv_sec * 10'000'000) + time.tv_nsec / 100;
}

timespec host_time(std::optional<std::uint64_t> time) {
  if (!time) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  const auto since_epoch = static_cast<std::int64_t>(*time - kUnixEpoch);
  std::int64_t seconds = since_epoch / 10'000'000;
  std::int64_t rest = since_epoch % 10'000'000;
  if (rest < 0) --seconds, rest += 10'000'000;
  return {.tv_sec = seconds, .tv_nsec = rest * 100};
}

FileInfo from_statx(const struct statx& from) {
  FileInfo info;
  info.mode = from.stx_mode;
  info.attributes = attributes_of_mode(from.stx_mode);
  info.size = S_ISDIR(from.stx_mode) ? 0 : from.stx_size;
  info.allocated = S_ISDIR(from.stx_mode) ? 0 : from.stx_blocks * 512;
  info.access_time = file_time(from.stx_atime);
  info.write_time = file_time(from.stx_mtime);
  info.change_time = file_time(from.stx_ctime);
  const bool born = (from.stx_mask & STATX_BTIME) != 0;
  info.creation_time = born ? file_time(from.stx_btime) : std::min(info.write_time, info.change_time);
  info.links = from.stx_nlink;
  info.id = {makedev(from.stx_dev_major, from.stx_dev_minor), from.stx_ino};
  return info;
}

std::string own_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// Holds SIGPIPE off while we write to a pipe: the guest gets an error, and the host keeps its own
/// disposition.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&set_);
    sigaddset(&set_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~SigpipeGuard() {
    const int saved = errno;
    const timespec none{};
    if (raised_ && !was_pending_) sigtimedwait(&set_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = saved;
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;
  void note_broken() { raised_ = true; }

 private:
  sigset_t set_{};
  sigset_t before_{};
  bool was_pending_ = false;
  bool raised_ = false;
};

/// A lock of the host for a range, so that other processes see it; ranges that it cannot express are ours
/// alone.
int host_lock(int fd, std::uint64_t offset, std::uint64_t size, short type) {
  if (size == 0 || offset > LLONG_MAX || size > LLONG_MAX - offset) return 0;
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(offset);
  range.l_len = static_cast<off_t>(size);
  if (fcntl(fd, F_OFD_SETLK, &range) == 0) return 0;
  // EBADF: opened without the right that the host asks for this kind of lock; others: no locks on this file
  // system.
  return errno == EAGAIN || errno == EACCES ? errno : 0;
}

FileKind kind_of_stream(int fd, bool input, const FileInfo& info) {
  if (isatty(fd) == 1) return input ? FileKind::console_input : FileKind::console_output;
  if (S_ISFIFO(info.mode) || S_ISSOCK(info.mode)) return FileKind::pipe;
  if (S_ISDIR(info.mode)) return FileKind::folder;
  return S_ISREG(info.mode) ? FileKind::disk : FileKind::device;
}

}  // namespace

std::unexpected<Error> host_failure(const char* what, int host_errno, std::string file) {
  return fail({.kind = ErrorKind::system,
               .status = abi::status_from_errno(host_errno),
               .what = std::string(what) + ": " + std::strerror(host_errno),
               .file = std::move(file)});
}

std::uint32_t attributes_of_mode(std::uint32_t mode) {
  std::uint32_t attributes = 0;
  if (S_ISDIR(mode))
    attributes = abi::FILE_ATTRIBUTE_DIRECTORY;
  else if (S_ISREG(mode))
    attributes = abi::FILE_ATTRIBUTE_ARCHIVE;
  else if (S_ISLNK(mode))
    return abi::FILE_ATTRIBUTE_REPARSE_POINT;
  else
    return abi::FILE_ATTRIBUTE_NORMAL;
  return (mode & 0222u) == 0 ? attributes | abi::FILE_ATTRIBUTE_READONLY : attributes;
}

Result<FileInfo> info_of(int fd) {
  struct statx from;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &from) != 0)
    return host_failure("statx", errno);
  FileInfo info = from_statx(from);
  if (S_ISLNK(info.mode)) info.reparse_tag = abi::IO_REPARSE_TAG_SYMLINK;
  return info;
}

Result<FileInfo> info_of(const std::string& host) {
  struct statx from;
  constexpr unsigned kMask = STATX_BASIC_STATS | STATX_BTIME;
  if (statx(AT_FDCWD, host.c_str(), AT_SYMLINK_NOFOLLOW, kMask, &from) != 0)
    return host_failure("statx", errno, host);
  if (!S_ISLNK(from.stx_mode)) return from_statx(from);
  struct statx target;
  const bool leads = statx(AT_FDCWD, host.c_str(), 0, kMask, &target) == 0;
  FileInfo info = from_statx(leads ? target : from);
  info.attributes |= abi::FILE_ATTRIBUTE_REPARSE_POINT;
  info.reparse_tag = abi::IO_REPARSE_TAG_SYMLINK;
  return info;
}

bool readable_now(int fd, int milliseconds) {
  pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&item, 1, milliseconds) > 0;
}

Result<void> wait_ready(int fd, bool for_write, sync::Waiter& self) {
  for (;;) {
    if (self.interrupted.load()) return cancelled();
    pollfd item{.fd = fd, .events = static_cast<short>(for_write ? POLLOUT : POLLIN), .revents = 0};
    const int ready = poll(&item, 1, kSliceMilliseconds);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return host_failure("poll", errno);
  }
}

File::File(os::Descriptor descriptor, Options options)
    : Waitable(sync::Kind::file), descriptor_(std::move(descriptor)), options_(std::move(options)) {}

File::~File() {
  if (Operations* operations = operations_) operations->forget(*this);
  if (options_.pipe) options_.pipe->all.remove(*options_.pipe);
  if (options_.shares == nullptr) return;
  if (!options_.shares->close(options_.id, this)) return;
  // The last open of a condemned file. Delete the name only if it still names this file.
  const auto name = host_path();
  if (!name) return;
  const auto there = info_of(*name);
  if (!there || there->id != options_.id) return;
  if (options_.kind == FileKind::folder) {
    rmdir(name->c_str());
  } else {
    unlink(name->c_str());
  }
}

Result<std::string> File::host_path() const {
  std::string name(PATH_MAX, '\0');
  const ssize_t size = readlink(own_path(fd()).c_str(), name.data(), name.size());
  if (size < 0) return host_failure("readlink", errno);
  if (name[0] != '/') return refused(abi::STATUS_INVALID_DEVICE_REQUEST, "this has no path");
  name.resize(static_cast<std::size_t>(size));
  return name;
}

Result<void> File::need(std::uint32_t right) const {
  if ((options_.access & right) != 0) return {};
  return refused(abi::STATUS_ACCESS_DENIED, "the handle was opened without the right to do this");
}

Result<void> File::check_pipe() const {
  if (!options_.pipe) return {};
  switch (options_.pipe->state.load()) {
    case PipeInstance::State::listening:
      return refused(abi::STATUS_PIPE_LISTENING, "no client has opened the pipe");
    case PipeInstance::State::disconnected:
      return refused(abi::STATUS_PIPE_DISCONNECTED, "the pipe has been disconnected");
    case PipeInstance::State::connected:
      break;
  }
  return {};
}

bool File::may_block() const { return options_.kind == FileKind::pipe || options_.kind == FileKind::device; }

Result<void> File::check_locks(std::optional<std::uint64_t> offset, std::size_t size, bool write) const {
  if (options_.shares == nullptr || options_.kind != FileKind::disk || size == 0) return {};
  if (!offset) {
    auto here = position();
    if (!here) return {};
    offset = *here;
  }
  return options_.shares->may_access(options_.id, this, *offset, size, write);
}

Result<std::size_t> File::read(std::span<std::byte> into, std::optional<std::uint64_t> offset,
                               sync::Waiter& self) {
  if (options_.kind == FileKind::folder || options_.kind == FileKind::pipe_folder)
    return refused(abi::STATUS_INVALID_DEVICE_REQUEST, "a folder has no bytes");
  auto allowed = need(abi::FILE_READ_DATA);
  if (allowed) allowed = check_locks(offset, into.size(), false);
  if (!allowed) return propagate(allowed);
  if (options_.socket) return receive(*this, {{into.data(), into.size()}}, 0, self);
  if (into.empty()) return 0;
  if (options_.kind == FileKind::console_output)
    return refused(abi::STATUS_INVALID_HANDLE, "this is for output");
  if (options_.console != nullptr) return options_.console->read(fd(), into, self);
  if (auto usable = check_pipe(); !usable) return propagate(usable);
  for (;;) {
    if (may_block()) {
      auto ready = wait_ready(fd(), false, self);
      if (!ready) return propagate(ready);
    }
    const bool positioned = offset && options_.kind == FileKind::disk;
    const ssize_t count = positioned ? pread(fd(), into.data(), into.size(), static_cast<off_t>(*offset))
                                     : ::read(fd(), into.data(), into.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0 && !(errno == ECONNRESET && options_.kind == FileKind::pipe))
      return host_failure("read", errno);
    if (positioned) lseek(fd(), static_cast<off_t>(*offset) + count, SEEK_SET);
    if (count <= 0 && options_.kind == FileKind::pipe)
      return refused(abi::STATUS_PIPE_BROKEN, "all writers have left");
    return static_cast<std::size_t>(count);
  }
}

Result<std::size_t> File::write(std::span<const std::byte> from, std::optional<std::uint64_t> offset,
                                sync::Waiter& self) {
  if (options_.kind == FileKind::folder || options_.kind == FileKind::pipe_folder)
    return refused(abi::STATUS_INVALID_DEVICE_REQUEST, "a folder has no bytes");
  const bool append =
      (options_.access & (abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA)) == abi::FILE_APPEND_DATA;
  auto allowed = need(abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA);
  if (allowed && !append) allowed = check_locks(offset, from.size(), true);
  if (allowed) allowed = check_pipe();
  if (!allowed) return propagate(allowed);
  if (options_.socket) return send(*this, {{const_cast<std::byte*>(from.data()), from.size()}}, 0, self);
  bool positioned = offset && options_.kind == FileKind::disk && !append;
  if (positioned && *offset == ULLONG_MAX) {
    lseek(fd(), 0, SEEK_END);
    positioned = false;
  }
  std::optional<SigpipeGuard> guard;
  if (options_.kind == FileKind::pipe) guard.emplace();
  std::size_t done = 0;
  while (done < from.size()) {
    const auto rest = from.subspan(done);
    const ssize_t count = positioned
                              ? pwrite(fd(), rest.data(), rest.size(), static_cast<off_t>(*offset + done))
                              : ::write(fd(), rest.data(), rest.size());
    if (count >= 0) {
      done += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR || errno == EAGAIN) {
      auto ready = wait_ready(fd(), true, self);
      if (!ready) return propagate(ready);
      continue;
    }
    if (errno == EPIPE) {
      if (guard) guard->note_broken();
      return refused(status_of_win32(abi::ERROR_NO_DATA), "all readers of the pipe have left");
    }
    return host_failure("write", errno);
  }
  if (positioned) lseek(fd(), static_cast<off_t>(*offset + done), SEEK_SET);
  if ((options_.flags & abi::FILE_FLAG_WRITE_THROUGH) != 0 && options_.kind == FileKind::disk)
    fdatasync(fd());
  return done;
}

std::optional<Outcome> File::try_read(std::span<std::byte> into) {
  auto allowed = need(abi::FILE_READ_DATA);
  if (allowed) allowed = check_pipe();
  if (!allowed) return Outcome{allowed.error().status};
  std::size_t done = 0;
  if (options_.socket) return try_receive(*this, {{into.data(), into.size()}}, 0, done);
  if (!readable_now(fd())) return std::nullopt;
  if (into.empty()) {
    const auto waiting = available();
    return waiting ? Outcome{} : Outcome{waiting.error().status};
  }
  ssize_t count = recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
  if (count < 0 && errno == ENOTSOCK) count = ::read(fd(), into.data(), into.size());
  if (count > 0) return Outcome{abi::STATUS_SUCCESS, static_cast<std::size_t>(count)};
  if (count == 0 || errno == ECONNRESET) return Outcome{abi::STATUS_PIPE_BROKEN};
  if (errno == EAGAIN || errno == EINTR) return std::nullopt;
  return Outcome{abi::status_from_errno(errno)};
}

std::optional<Outcome> File::try_write(std::span<const std::byte> from, std::size_t& done) {
  auto allowed = need(abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA);
  if (allowed) allowed = check_pipe();
  if (!allowed) return Outcome{allowed.error().status};
  if (options_.socket) return try_send(*this, {{const_cast<std::byte*>(from.data()), from.size()}}, 0, done);
  SigpipeGuard guard;
  // A pipe that another process shares may be blocking; it takes this much when it says that it takes some.
  const std::size_t most = (fcntl(fd(), F_GETFL) & O_NONBLOCK) != 0 ? from.size() : PIPE_BUF;
  while (done < from.size()) {
    const auto rest = from.subspan(done, std::min(most, from.size() - done));
    pollfd item{.fd = fd(), .events = POLLOUT, .revents = 0};
    if (poll(&item, 1, 0) <= 0) return std::nullopt;
    ssize_t count = ::send(fd(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    const bool is_socket = count >= 0 || errno != ENOTSOCK;
    if (!is_socket) count = ::write(fd(), rest.data(), rest.size());
    if (count >= 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN || errno == EINTR) {
      return std::nullopt;
    } else if (errno == EPIPE) {
      if (!is_socket) guard.note_broken();
      return Outcome{status_of_win32(abi::ERROR_NO_DATA), done};
    } else {
      return Outcome{abi::status_from_errno(errno), done};
    }
  }
  return Outcome{abi::STATUS_SUCCESS, done};
}

Result<std::uint64_t> File::seek(std::int64_t distance, std::uint32_t origin) {
  std::int64_t base = 0;
  if (origin == abi::FILE_CURRENT) {
    base = lseek(fd(), 0, SEEK_CUR);
    if (base < 0) return host_failure("lseek", errno == ESPIPE ? EINVAL : errno);
  } else if (origin == abi::FILE_END) {
    auto about = info();
    if (!about) return propagate(about);
    base = static_cast<std::int64_t>(about->size);
  } else if (origin != abi::FILE_BEGIN) {
    return refused(abi::STATUS_INVALID_PARAMETER, "there is no such origin");
  }
  std::int64_t target = 0;
  if (__builtin_add_overflow(base, distance, &target)) {
    return refused(abi::STATUS_INVALID_PARAMETER, "the position is beyond all files");
  }
  if (target < 0)
    return refused(status_of_win32(abi::ERROR_NEGATIVE_SEEK), "the position is before the file");
  if (lseek(fd(), target, SEEK_SET) < 0) return host_failure("lseek", errno == ESPIPE ? EINVAL : errno);
  return static_cast<std::uint64_t>(target);
}

Result<std::uint64_t> File::position() const {
  const off_t at = lseek(fd(), 0, SEEK_CUR);
  if (at < 0) return host_failure("lseek", errno == ESPIPE ? EINVAL : errno);
  return static_cast<std::uint64_t>(at);
}

Result<FileInfo> File::info() const { return info_of(fd()); }

Result<void> File::resize(std::uint64_t size) {
  auto allowed = need(abi::FILE_WRITE_DATA);
  if (!allowed) return allowed;
  if (size > LLONG_MAX) return refused(abi::STATUS_INVALID_PARAMETER, "the size is beyond all files");
  if (ftruncate(fd(), static_cast<off_t>(size)) != 0) return host_failure("ftruncate", errno);
  return {};
}

Result<void> File::flush() {
  auto allowed = need(abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA);
  if (!allowed) return allowed;
  if (options_.kind == FileKind::pipe) {  // until the reader has taken all
    return {};
  }
  // EINVAL and EROFS: a device that keeps nothing back has nothing to flush.
  if (fsync(fd()) != 0 && errno != EINVAL && errno != EROFS) return host_failure("fsync", errno);
  return {};
}

Result<void> File::set_times(NewTimes times) {
  auto allowed = need(abi::FILE_WRITE_ATTRIBUTES);
  if (!allowed) return allowed;
  const timespec both[2] = {host_time(times.access), host_time(times.write)};
  // By way of /proc: the descriptor may be one that only names the file (O_PATH).
  if (utimensat(AT_FDCWD, own_path(fd()).c_str(), both, 0) != 0) return host_failure("utimensat", errno);
  return {};
}

Result<void> set_readonly(int fd, bool readonly) {
  struct stat now;
  if (fstat(fd, &now) != 0) return host_failure("fstat", errno);
  // Taking READONLY away gives write access to those who can read and are meant to by the umask: the owner.
  const mode_t wanted = readonly                     ? now.st_mode & ~0222u
                        : (now.st_mode & 0222u) != 0 ? now.st_mode
                                                     : now.st_mode | 0200u;
  if (wanted == now.st_mode) return {};
  if (chmod(own_path(fd).c_str(), wanted & 07777u) != 0) return host_failure("chmod", errno);
  return {};
}

Result<void> File::set_attributes(std::uint32_t attributes) {
  auto allowed = need(abi::FILE_WRITE_ATTRIBUTES);
  if (!allowed) return allowed;
  if (options_.kind == FileKind::folder) return {};  // on a folder, READONLY forbids nothing
  return set_readonly(fd(), (attributes & abi::FILE_ATTRIBUTE_READONLY) != 0);
}

Result<void> File::lock(std::uint64_t offset, std::uint64_t size, bool exclusive, bool immediately,
                        sync::Waiter& self) {
  if (options_.shares == nullptr || options_.kind != FileKind::disk) {
    return refused(abi::STATUS_INVALID_DEVICE_REQUEST, "only files on disk have byte ranges to lock");
  }
  auto allowed = need(abi::FILE_READ_DATA | abi::FILE_WRITE_DATA);
  if (!allowed) return allowed;
  for (;;) {
    const std::uint32_t seen = options_.shares->unlocks().load();
    const ShareTable::Range range{offset, size, exclusive, this};
    auto granted = options_.shares->lock(options_.id, range);
    if (granted) {
      if (host_lock(fd(), offset, size, exclusive ? F_WRLCK : F_RDLCK) == 0) return {};
      auto undone = options_.shares->unlock(options_.id, range);
      granted = refused(abi::STATUS_LOCK_NOT_GRANTED, "another process has locked part of the range");
    }
    if (immediately || granted.error().status != abi::STATUS_LOCK_NOT_GRANTED) return granted;
    if (self.interrupted.load()) return cancelled();
    // Another process's unlock wakes nobody here: look again every so often.
    os::futex_wait(options_.shares->unlocks(), seen,
                   os::monotonic_now() + std::uint64_t{kSliceMilliseconds} * 1'000'000);
  }
}

Result<void> File::unlock(std::uint64_t offset, std::uint64_t size) {
  if (options_.shares == nullptr) return refused(abi::STATUS_RANGE_NOT_LOCKED, "this range was not locked");
  auto unlocked = options_.shares->unlock(options_.id, {offset, size, false, this});
  if (unlocked) host_lock(fd(), offset, size, F_UNLCK);
  return unlocked;
}

Result<void> File::set_delete_pending(bool pending) {
  auto allowed = need(abi::DELETE_ACCESS);
  if (!allowed) return allowed;
  if (options_.shares == nullptr)
    return refused(abi::STATUS_INVALID_DEVICE_REQUEST, "this has no name to delete");
  auto about = info();
  if (!about) return propagate(about);
  if (pending && options_.kind == FileKind::disk && (about->attributes & abi::FILE_ATTRIBUTE_READONLY) != 0) {
    return refused(abi::STATUS_CANNOT_DELETE, "the file is read-only");
  }
  options_.shares->set_delete_pending(options_.id, pending);
  return {};
}

bool File::delete_pending() const {
  return options_.shares != nullptr && options_.shares->delete_pending(options_.id);
}

Result<void> File::associate(sync::Ref<sync::CompletionPort> port, std::uint64_t key) {
  const std::scoped_lock lock(mutex_);
  if (port_ || (options_.flags & abi::FILE_FLAG_OVERLAPPED) == 0)
    return refused(abi::STATUS_INVALID_PARAMETER, "the file has a port, or no overlapped operations");
  port_ = std::move(port);
  port_key_ = key;
  return {};
}

void File::completed(void* overlapped, Outcome outcome, bool later) {
  if (skips_port_ && !later) return;
  const std::scoped_lock lock(mutex_);
  if (!port_) return;
  port_->post({.key = port_key_,
               .overlapped = overlapped,
               .transferred = outcome.transferred,
               .status = outcome.status});
}

bool File::has_port() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<bool>(port_);
}

void File::set_signalled(bool signalled) {
  sync::DispatcherLock lock;
  signalled_ = signalled;
  if (signalled) lock.notify(*this);
}

sync::Ref<sync::Object> File::listing() const {
  const std::scoped_lock lock(mutex_);
  return listing_;
}

void File::set_listing(sync::Ref<sync::Object> listing) {
  const std::scoped_lock lock(mutex_);
  std::swap(listing_, listing);  // the old one goes without our lock
}

Result<std::shared_ptr<FolderWatch>> File::watch(std::uint32_t filter, bool subtree, std::size_t room) {
  if (auto allowed = need(abi::FILE_READ_DATA); !allowed) return propagate(allowed);
  const auto host = host_path();
  if (!host) return fail(host.error());
  const std::scoped_lock lock(mutex_);
  if (watch_) return watch_;
  auto begun = FolderWatch::begin(*host, filter, subtree, room);
  if (begun) watch_ = *begun;
  return begun;
}

std::shared_ptr<FolderWatch> File::watch() const {
  const std::scoped_lock lock(mutex_);
  return watch_;
}

Result<std::size_t> File::available() const {
  int count = 0;
  if (ioctl(fd(), FIONREAD, &count) != 0) return host_failure("FIONREAD", errno == ENOTTY ? EINVAL : errno);
  if (count > 0) return static_cast<std::size_t>(count);
  pollfd item{.fd = fd(), .events = POLLIN, .revents = 0};
  const bool ended = poll(&item, 1, 0) > 0 && (item.revents & POLLHUP) != 0;
  if (ended) return refused(abi::STATUS_PIPE_BROKEN, "all writers have left");
  return 0;
}

// A socket can be peeked; tee(2) duplicates a pipe's content into another pipe without taking it.
Result<std::size_t> File::peek(std::span<std::byte> into) const {
  auto waiting = available();
  if (!waiting) return waiting;
  if (*waiting == 0 || into.empty()) return 0;
  const ssize_t seen = recv(fd(), into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT);
  if (seen >= 0) return static_cast<std::size_t>(seen);
  if (errno != ENOTSOCK) return host_failure("recv", errno);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return host_failure("pipe2", errno);
  const os::Descriptor out(ends[0]);
  const os::Descriptor in(ends[1]);
  const ssize_t teed = tee(fd(), in.get(), into.size(), SPLICE_F_NONBLOCK);
  if (teed < 0) return host_failure("tee", errno);
  const ssize_t count = ::read(out.get(), into.data(), static_cast<std::size_t>(teed));
  if (count < 0) return host_failure("read", errno);
  return static_cast<std::size_t>(count);
}

Result<PipeEnds> make_pipe(std::size_t size) {
  int ends[2];
  // Never blocking on the host's side: a stopped thread must not be held inside write().
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return host_failure("pipe2", errno);
  os::Descriptor out(ends[0]);
  os::Descriptor in(ends[1]);
  if (size > 65536) fcntl(in.get(), F_SETPIPE_SZ, static_cast<int>(std::min<std::size_t>(size, 1u << 20)));
  auto reader = sync::Ref<File>::adopt(
      new File(std::move(out), {.kind = FileKind::pipe, .access = abi::FILE_GENERIC_READ}));
  auto writer = sync::Ref<File>::adopt(
      new File(std::move(in),
               {.kind = FileKind::pipe, .access = abi::FILE_GENERIC_WRITE | abi::FILE_READ_ATTRIBUTES}));
  return PipeEnds{std::move(reader), std::move(writer)};
}

Result<sync::Ref<File>> adopt_host_stream(int fd, bool input, Console& console) {
  const int flags = fcntl(fd, F_GETFL);
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (flags < 0 || copy < 0) return host_failure("the stream is not open", errno);
  os::Descriptor descriptor(copy);
  auto about = info_of(copy);
  if (!about) return propagate(about);
  std::uint32_t access = abi::FILE_READ_ATTRIBUTES | abi::FILE_WRITE_ATTRIBUTES;
  if ((flags & O_ACCMODE) != O_WRONLY) access |= abi::FILE_GENERIC_READ;
  if ((flags & O_ACCMODE) != O_RDONLY) access |= abi::FILE_GENERIC_WRITE;
  FileKind kind = kind_of_stream(copy, input, *about);
  struct stat null;
  const bool is_null = kind == FileKind::device && stat("/dev/null", &null) == 0 &&
                       null.st_ino == about->id.inode && null.st_dev == about->id.device;
  if (is_null) kind = FileKind::null_device;
  auto socket = kind == FileKind::pipe ? adopted_socket(copy) : nullptr;
  return sync::Ref<File>::adopt(
      new File(std::move(descriptor), {.kind = kind,
                                       .access = access,
                                       .id = about->id,
                                       .console = kind == FileKind::console_input ? &console : nullptr,
                                       .socket = std::move(socket)}));
}

}  // namespace bobbin::io
