#include "io/socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "os/os.hpp"

namespace bobbin::io {
namespace {

constexpr int kWindowsInet6 = 23;
constexpr int kWindowsSolSocket = 0xFFFF;

/// Into the host's layout. False if it is too long or too short to be one.
bool to_host(const void* address, std::uint32_t size, sockaddr_storage& out) {
  if (size < sizeof(sa_family_t) || size > sizeof out) return false;
  std::memcpy(&out, address, size);
  out.ss_family = static_cast<sa_family_t>(host_family(out.ss_family));
  return true;
}

struct Option {
  int level, option;            // Windows'
  int host_level, host_option;  // the host's
};
constexpr Option kOptions[] = {
    {kWindowsSolSocket, 0x0004, SOL_SOCKET, SO_REUSEADDR},
    {kWindowsSolSocket, 0x0008, SOL_SOCKET, SO_KEEPALIVE},
    {kWindowsSolSocket, 0x0020, SOL_SOCKET, SO_BROADCAST},
    {kWindowsSolSocket, 0x1001, SOL_SOCKET, SO_SNDBUF},
    {kWindowsSolSocket, 0x1002, SOL_SOCKET, SO_RCVBUF},
    {kWindowsSolSocket, 0x1008, SOL_SOCKET, SO_TYPE},
    {IPPROTO_TCP, 0x0001, IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, 3, IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, 16, IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, 17, IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_IPV6, 27, IPPROTO_IPV6, IPV6_V6ONLY},
    {IPPROTO_IP, 4, IPPROTO_IP, IP_TTL},
};
constexpr int kSocketError = 0x1007;

const Option* find_option(int level, int option) {
  const auto found = std::ranges::find_if(
      kOptions, [&](const Option& row) { return row.level == level && row.option == option; });
  return found != std::end(kOptions) ? found : nullptr;
}

int host_flags(int flags) {
  return ((flags & kUrgent) != 0 ? MSG_OOB : 0) | ((flags & kPeek) != 0 ? MSG_PEEK : 0);
}

int int_option(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

std::shared_ptr<SocketState> state_for(int fd) {
  auto state = std::make_shared<SocketState>();
  state->is_stream = int_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
  return state;
}

sync::Ref<File> file_for(os::Descriptor descriptor, std::uint32_t flags) {
  auto state = state_for(descriptor.get());
  return sync::Ref<File>::adopt(
      new File(std::move(descriptor), {.kind = FileKind::pipe,
                                       .access = abi::FILE_GENERIC_READ | abi::FILE_GENERIC_WRITE,
                                       .flags = flags,
                                       .socket = std::move(state)}));
}

bool has_peer(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

bool has_port(int fd) {
  sockaddr_in6 own{};  // whose port is where sockaddr_in has its
  socklen_t size = sizeof own;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 && own.sin6_port != 0;
}

bool is_ready(int fd, short events) {
  pollfd item{.fd = fd, .events = events, .revents = 0};
  return poll(&item, 1, 0) > 0;
}

std::size_t total(const Parts& parts) {
  std::size_t sum = 0;
  for (const iovec& part : parts) sum += part.iov_len;
  return sum;
}

/// What is left of the parts after so many bytes.
Parts rest_of(const Parts& parts, std::size_t done) {
  Parts rest;
  for (const iovec& part : parts) {
    const std::size_t skipped = std::min(done, part.iov_len);
    done -= skipped;
    if (skipped < part.iov_len)
      rest.push_back({static_cast<std::byte*>(part.iov_base) + skipped, part.iov_len - skipped});
  }
  return rest;
}

/// What a failed send or receive amounts to. A datagram that nobody was there for is told of later, by the
/// next call, as on Windows.
Outcome transfer_failure(int host_errno, std::size_t done) {
  return {host_errno == ECONNREFUSED ? abi::STATUS_PORT_UNREACHABLE : socket_status(host_errno), done};
}

bool is_ignored(const File& socket, int host_errno) {
  return host_errno == EINTR || (host_errno == ECONNREFUSED && !socket.socket()->told_of_unreachable);
}

/// Carries an attempt out, waiting as long as it takes unless the socket is non-blocking.
template <class Attempt>
Result<std::size_t> carry_out(const File& socket, const char* what, bool for_write, sync::Waiter& self,
                              const std::size_t& done, Attempt attempt) {
  for (;;) {
    if (const auto outcome = attempt()) {
      if (outcome->good()) return outcome->transferred;
      return fail({.kind = ErrorKind::system, .status = outcome->status, .what = what});
    }
    if (!socket.socket()->waits) {
      if (done != 0) return done;
      return socket_failure(what, EAGAIN);
    }
    if (auto ready = wait_ready(socket.fd(), for_write, self); !ready) return propagate(ready);
  }
}

/// Makes `file` stand for another descriptor.
Result<void> replace(const File& file, const os::Descriptor& by) {
  if (dup3(by.get(), file.fd(), O_CLOEXEC) < 0) return socket_failure("dup3", errno);
  return {};
}

}  // namespace

bool knows_family(int family) { return family == AF_INET || family == kWindowsInet6; }

int host_family(int family) { return family == kWindowsInet6 ? AF_INET6 : family; }

SocketAddress to_windows(const sockaddr_storage& from, socklen_t size) {
  SocketAddress address{.size = std::min<std::uint32_t>(size, sizeof address.bytes)};
  sockaddr_storage copy = from;
  if (copy.ss_family == AF_INET6) copy.ss_family = kWindowsInet6;
  std::memcpy(address.bytes, &copy, address.size);
  return address;
}

std::uint32_t socket_error(int host_errno) {
  switch (host_errno) {
    case EINTR:
      return 10004;
    case EBADF:
      return 10009;
    case EACCES:
    case EPERM:
      return 10013;
    case EFAULT:
      return 10014;
    case EMFILE:
    case ENFILE:
      return 10024;
    case EAGAIN:
    case EINPROGRESS:
      return 10035;
    case EALREADY:
      return 10037;
    case ENOTSOCK:
      return 10038;
    case EDESTADDRREQ:
      return 10039;
    case EMSGSIZE:
      return 10040;
    case EPROTOTYPE:
      return 10041;
    case ENOPROTOOPT:
      return 10042;
    case EPROTONOSUPPORT:
      return 10043;
    case ESOCKTNOSUPPORT:
      return 10044;
    case EOPNOTSUPP:
      return 10045;
    case EAFNOSUPPORT:
      return 10047;
    case EADDRINUSE:
      return 10048;
    case EADDRNOTAVAIL:
      return 10049;
    case ENETDOWN:
      return 10050;
    case ENETUNREACH:
      return 10051;
    case ECONNABORTED:
      return 10053;
    case ECONNRESET:
    case EPIPE:
      return 10054;
    case ENOBUFS:
    case ENOMEM:
      return 10055;
    case EISCONN:
      return 10056;
    case ENOTCONN:
      return 10057;
    case ETIMEDOUT:
      return 10060;
    case ECONNREFUSED:
      return 10061;
    case EHOSTUNREACH:
      return 10065;
    default:
      return 10022;
  }
}

std::uint32_t socket_status(int host_errno) {
  switch (host_errno) {
    case ECONNRESET:
    case EPIPE:
      return abi::STATUS_CONNECTION_RESET;
    case ECONNREFUSED:
      return abi::STATUS_CONNECTION_REFUSED;
    case ECONNABORTED:
      return abi::STATUS_CONNECTION_ABORTED;
    case ENETUNREACH:
      return abi::STATUS_NETWORK_UNREACHABLE;
    case EHOSTUNREACH:
      return abi::STATUS_HOST_UNREACHABLE;
    case ETIMEDOUT:
      return abi::STATUS_IO_TIMEOUT;
    default:
      return status_of_win32(socket_error(host_errno));
  }
}

std::uint32_t socket_error_of(std::uint32_t status) {
  switch (status) {
    case abi::STATUS_CONNECTION_RESET:
    case abi::STATUS_PORT_UNREACHABLE:
      return socket_error(ECONNRESET);
    case abi::STATUS_CONNECTION_REFUSED:
      return socket_error(ECONNREFUSED);
    case abi::STATUS_CONNECTION_ABORTED:
      return socket_error(ECONNABORTED);
    case abi::STATUS_NETWORK_UNREACHABLE:
      return socket_error(ENETUNREACH);
    case abi::STATUS_HOST_UNREACHABLE:
      return socket_error(EHOSTUNREACH);
    case abi::STATUS_IO_TIMEOUT:
      return socket_error(ETIMEDOUT);
    case abi::STATUS_BUFFER_OVERFLOW:
      return socket_error(EMSGSIZE);
    default:
      return abi::win32_error(status);
  }
}

std::unexpected<Error> socket_failure(const char* what, int host_errno) {
  return fail({.kind = ErrorKind::system,
               .status = socket_status(host_errno),
               .what = std::string(what) + ": " + std::strerror(host_errno)});
}

Result<sync::Ref<File>> make_socket(int family, int type, int protocol, bool overlapped) {
  if (family != AF_INET && family != kWindowsInet6) return socket_failure("socket", EAFNOSUPPORT);
  os::Descriptor descriptor(::socket(host_family(family), type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (descriptor.get() < 0) return socket_failure("socket", errno);
  return file_for(std::move(descriptor), overlapped ? abi::FILE_FLAG_OVERLAPPED : 0u);
}

std::shared_ptr<SocketState> adopted_socket(int fd) {
  const int family = int_option(fd, SOL_SOCKET, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6) return nullptr;
  return state_for(fd);
}

Result<void> check_socket(const File& file) {
  if (file.socket()) return {};
  return socket_failure("this is no socket", ENOTSOCK);
}

Result<SocketAddress> address_from(const void* address, std::uint32_t size) {
  SocketAddress copy{.size = size};
  if (address == nullptr || size < sizeof(sa_family_t) || size > sizeof copy.bytes)
    return socket_failure("this is no address", EFAULT);
  std::memcpy(copy.bytes, address, size);
  return copy;
}

Result<void> bind_socket(File& socket, const void* address, std::uint32_t size) {
  sockaddr_storage host;
  if (!to_host(address, size, host)) return socket_failure("bind", EFAULT);
  if (::bind(socket.fd(), reinterpret_cast<sockaddr*>(&host), size) != 0)
    return socket_failure("bind", errno);
  socket.socket()->bound = true;
  return {};
}

Result<void> connect_socket(File& socket, const void* address, std::uint32_t size, sync::Waiter& self) {
  sockaddr_storage host;
  if (!to_host(address, size, host)) return socket_failure("connect", EFAULT);
  if (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&host), size) == 0) return {};
  if (errno != EINPROGRESS || !socket.socket()->waits) return socket_failure("connect", errno);
  if (auto ready = wait_ready(socket.fd(), true, self); !ready) return ready;
  const int error = int_option(socket.fd(), SOL_SOCKET, SO_ERROR);
  if (error != 0) return socket_failure("connect", error);
  return {};
}

Result<void> listen_socket(File& socket, int backlog) {
  if (::listen(socket.fd(), backlog) != 0) return socket_failure("listen", errno);
  return {};
}

Result<sync::Ref<File>> accept_socket(File& socket, SocketAddress& peer, sync::Waiter& self) {
  const bool waits = socket.socket()->waits;
  for (;;) {
    if (waits) {
      if (auto ready = wait_ready(socket.fd(), false, self); !ready) return propagate(ready);
    }
    sockaddr_storage host{};
    socklen_t size = sizeof host;
    os::Descriptor accepted(
        accept4(socket.fd(), reinterpret_cast<sockaddr*>(&host), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (accepted.get() < 0 && errno == EAGAIN && waits) continue;  // another thread was faster
    if (accepted.get() < 0) return socket_failure("accept", errno);
    peer = to_windows(host, size);
    auto made = file_for(std::move(accepted), socket.flags());
    made->socket()->waits = waits;
    made->socket()->bound = true;
    return made;
  }
}

Result<SocketAddress> own_address(const File& socket) {
  sockaddr_storage host{};
  socklen_t size = sizeof host;
  if (getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&host), &size) != 0)
    return socket_failure("getsockname", errno);
  return to_windows(host, size);
}

Result<SocketAddress> peer_address(const File& socket) {
  sockaddr_storage host{};
  socklen_t size = sizeof host;
  if (getpeername(socket.fd(), reinterpret_cast<sockaddr*>(&host), &size) != 0)
    return socket_failure("getpeername", errno);
  return to_windows(host, size);
}

std::optional<Outcome> try_receive(const File& socket, const Parts& into, int flags, std::size_t& done,
                                   SocketAddress* sender) {
  const std::size_t room = total(into);
  const bool is_stream = socket.socket()->is_stream;
  const bool all = is_stream && (flags & kWaitAll) != 0 && (flags & kPeek) == 0;
  // A stream has no bytes without waiting for any.
  if (room == 0 && is_stream && !is_ready(socket.fd(), POLLIN)) return std::nullopt;
  for (;;) {
    Parts rest = rest_of(into, done);
    sockaddr_storage from{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = rest.data();
    message.msg_iovlen = rest.size();
    const ssize_t got = recvmsg(socket.fd(), &message, host_flags(flags) | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return std::nullopt;
    if (got < 0 && is_ignored(socket, errno)) continue;
    if (got < 0) return transfer_failure(errno, done);
    done += static_cast<std::size_t>(got);
    if (sender != nullptr) *sender = to_windows(from, message.msg_namelen);
    if ((message.msg_flags & MSG_TRUNC) != 0) return Outcome{abi::STATUS_BUFFER_OVERFLOW, done};
    if (!all || got == 0 || done == room) return Outcome{abi::STATUS_SUCCESS, done};
  }
}

std::optional<Outcome> try_send(const File& socket, const Parts& from, int flags, std::size_t& done,
                                const SocketAddress* to) {
  sockaddr_storage host{};
  if (to != nullptr && !to_host(to->bytes, to->size, host)) return transfer_failure(EFAULT, done);
  const std::size_t size = total(from);
  for (;;) {
    Parts rest = rest_of(from, done);
    msghdr message{};
    if (to != nullptr) {
      message.msg_name = &host;
      message.msg_namelen = to->size;
    }
    message.msg_iov = rest.data();
    message.msg_iovlen = rest.size();
    const ssize_t put = sendmsg(socket.fd(), &message, host_flags(flags) | MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EAGAIN) return std::nullopt;
    if (put < 0 && is_ignored(socket, errno)) continue;
    if (put < 0) return transfer_failure(errno, done);
    done += static_cast<std::size_t>(put);
    if (done == size) return Outcome{abi::STATUS_SUCCESS, done};
  }
}

Result<std::size_t> receive(File& socket, const Parts& into, int flags, sync::Waiter& self,
                            SocketAddress* sender) {
  std::size_t done = 0;
  return carry_out(socket, "recv", false, self, done,
                   [&] { return try_receive(socket, into, flags, done, sender); });
}

Result<std::size_t> send(File& socket, const Parts& from, int flags, sync::Waiter& self,
                         const SocketAddress* to) {
  std::size_t done = 0;
  return carry_out(socket, "send", true, self, done, [&] { return try_send(socket, from, flags, done, to); });
}

Operation receiving(File& socket, Parts into, int flags, void* from, std::int32_t* from_size) {
  const std::int32_t room = from_size != nullptr ? *from_size : 0;
  return {.kind = Operation::Kind::read,
          .fd = socket.fd(),
          .attempt = [&socket, into = std::move(into), flags, from, from_size, room,
                      done = std::size_t{0}]() mutable -> std::optional<Outcome> {
            SocketAddress sender;
            const auto outcome = try_receive(socket, into, flags, done, &sender);
            if (outcome && from != nullptr && from_size != nullptr && sender.size != 0) {
              const auto size = static_cast<std::int32_t>(sender.size);
              const auto put = static_cast<std::size_t>(std::clamp(room, 0, size));
              // The guest may have given its memory back.
              if (os::copy_to_doubtful(from, sender.bytes, put) != put ||
                  os::copy_to_doubtful(from_size, &size, sizeof size) != sizeof size)
                return Outcome{abi::STATUS_ACCESS_VIOLATION};
            }
            return outcome;
          },
          .asker = {}};
}

Operation sending(File& socket, Parts from, int flags, std::optional<SocketAddress> to) {
  return {.kind = Operation::Kind::write,
          .fd = socket.fd(),
          .attempt =
              [&socket, from = std::move(from), flags, to, done = std::size_t{0}]() mutable {
                return try_send(socket, from, flags, done, to ? &*to : nullptr);
              },
          .asker = {}};
}

Result<Operation> connecting(File& socket, const SocketAddress& to, Parts from) {
  if (!socket.socket()->bound) return socket_failure("the socket is not bound", EINVAL);
  enum class Stage : std::uint8_t { new_one, under_way, there };
  return Operation{.kind = Operation::Kind::write,
                   .fd = socket.fd(),
                   .attempt = [&socket, to, from = std::move(from), stage = Stage::new_one,
                               done = std::size_t{0}]() mutable -> std::optional<Outcome> {
                     if (stage == Stage::new_one) {
                       sockaddr_storage host;
                       if (!to_host(to.bytes, to.size, host)) return Outcome{socket_status(EFAULT)};
                       stage = Stage::under_way;
                       if (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&host), to.size) != 0 &&
                           errno != EINPROGRESS)
                         return Outcome{socket_status(errno)};
                     }
                     if (stage == Stage::under_way) {
                       if (!is_ready(socket.fd(), POLLOUT)) return std::nullopt;
                       const int error = int_option(socket.fd(), SOL_SOCKET, SO_ERROR);
                       if (error != 0) return Outcome{socket_status(error)};
                       stage = Stage::there;
                     }
                     if (done == total(from)) return Outcome{abi::STATUS_SUCCESS, done};
                     return try_send(socket, from, 0, done);
                   },
                   .asker = {}};
}

Result<int> Acceptor::begin(int listener) {
  const std::scoped_lock lock(mutex_);
  if (!set_) {
    os::Descriptor set(epoll_create1(EPOLL_CLOEXEC));
    epoll_event none{.events = 0, .data = {}};
    if (!set || epoll_ctl(set.get(), EPOLL_CTL_ADD, listener, &none) != 0)
      return socket_failure("epoll", errno);
    listener_ = listener;
    set_ = std::move(set);
  }
  ++waiting_;
  arm();
  return set_.get();
}

void Acceptor::end() noexcept {
  std::optional<os::Descriptor> dropped;  // with its AcceptEx, as on Windows
  const std::scoped_lock lock(mutex_);
  --waiting_;
  if (silent_.size() > waiting_) {
    dropped = std::move(silent_.back());
    silent_.pop_back();
  }
  arm();
}

void Acceptor::arm() noexcept {
  epoll_event more{.events = silent_.size() < waiting_ ? std::uint32_t{EPOLLIN} : 0, .data = {}};
  epoll_ctl(set_.get(), EPOLL_CTL_MOD, listener_, &more);
}

std::expected<os::Descriptor, int> Acceptor::take(bool speaking) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  while (silent_.size() < waiting_) {
    os::Descriptor one(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!one && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!one) {
      error = errno == EAGAIN ? 0 : errno;
      break;
    }
    epoll_event news{.events = EPOLLIN, .data = {}};
    epoll_ctl(set_.get(), EPOLL_CTL_ADD, one.get(), &news);
    silent_.push_back(std::move(one));
  }
  const auto found = std::ranges::find_if(
      silent_, [&](const os::Descriptor& one) { return !speaking || is_ready(one.get(), POLLIN); });
  if (found == silent_.end()) {
    arm();
    return std::unexpected(error);
  }
  os::Descriptor taken = std::move(*found);
  silent_.erase(found);
  epoll_ctl(set_.get(), EPOLL_CTL_DEL, taken.get(), nullptr);
  arm();
  return taken;
}

Result<Operation> accepting(File& listener, sync::Ref<File> into, AcceptRoom room) {
  if (int_option(listener.fd(), SOL_SOCKET, SO_ACCEPTCONN) != 1)
    return socket_failure("the socket does not listen", EINVAL);
  if (has_port(into->fd())) return socket_failure("the socket is in use", EINVAL);
  // One of the AcceptEx that wait.
  struct Waiting {
    std::shared_ptr<SocketState> listener;
    sync::Ref<File> into;
    ~Waiting() { listener->acceptor.end(); }
  };
  auto polled = listener.socket()->acceptor.begin(listener.fd());
  if (!polled) return propagate(polled);
  const auto waiting = std::shared_ptr<Waiting>(new Waiting{listener.socket(), std::move(into)});
  return Operation{.kind = Operation::Kind::connect,
                   .fd = *polled,
                   .attempt = [waiting, room]() -> std::optional<Outcome> {
                     auto taken = waiting->listener->acceptor.take(!room.data.empty());
                     if (!taken && taken.error() == 0) return std::nullopt;
                     if (!taken) return Outcome{socket_status(taken.error())};
                     const int fd = taken->get();
                     ssize_t count = 0;
                     if (!room.data.empty())
                       count = recv(fd, room.data.data(), room.data.size(), MSG_DONTWAIT);
                     if (count < 0) return Outcome{socket_status(errno)};
                     auto own_size = static_cast<socklen_t>(room.own.size());
                     auto peer_size = static_cast<socklen_t>(room.peer.size());
                     if (getsockname(fd, reinterpret_cast<sockaddr*>(room.own.data()), &own_size) != 0 ||
                         getpeername(fd, reinterpret_cast<sockaddr*>(room.peer.data()), &peer_size) != 0)
                       return Outcome{socket_status(errno)};
                     if (auto replaced = replace(*waiting->into, *taken); !replaced)
                       return Outcome{replaced.error().status};
                     waiting->into->socket()->bound = true;
                     return Outcome{abi::STATUS_SUCCESS, static_cast<std::size_t>(count)};
                   },
                   .asker = {}};
}

std::uint32_t translate_accepted(std::byte* address) {
  sa_family_t family = 0;
  std::memcpy(&family, address, sizeof family);
  if (family == AF_INET) return sizeof(sockaddr_in);
  family = kWindowsInet6;
  std::memcpy(address, &family, sizeof family);
  return sizeof(sockaddr_in6);
}

Operation disconnecting(File& socket, bool reuse) {
  // After what is still to be sent, since it waits in the same queue.
  return {.kind = Operation::Kind::write,
          .fd = socket.fd(),
          .attempt = [&socket, reuse]() -> std::optional<Outcome> {
            if (::shutdown(socket.fd(), SHUT_RDWR) != 0) return Outcome{socket_status(errno)};
            if (!reuse) return Outcome{};
            os::Descriptor fresh(
                ::socket(int_option(socket.fd(), SOL_SOCKET, SO_DOMAIN),
                         int_option(socket.fd(), SOL_SOCKET, SO_TYPE) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                         int_option(socket.fd(), SOL_SOCKET, SO_PROTOCOL)));
            if (!fresh) return Outcome{socket_status(errno)};
            if (auto replaced = replace(socket, fresh); !replaced) return Outcome{replaced.error().status};
            return Outcome{};
          },
          .asker = {}};
}

Result<std::size_t> select_sockets(std::span<Watched> watched, os::Deadline deadline, sync::Waiter& self) {
  constexpr int kSliceMilliseconds = 50;  // between two looks at whether the thread is to stop
  std::vector<pollfd> items;
  for (const Watched& one : watched) {
    const int events =
        (one.readable ? POLLIN : 0) | (one.writable ? POLLOUT : 0) | (one.exceptional ? POLLPRI : 0);
    items.push_back({.fd = one.socket->fd(), .events = static_cast<short>(events), .revents = 0});
  }
  for (;;) {
    if (self.interrupted.load()) return socket_failure("select", EINTR);
    const std::uint64_t now = os::monotonic_now();
    const bool late = deadline && now >= *deadline;
    const std::uint64_t left = !deadline || late ? 0 : (*deadline - now) / 1'000'000 + 1;
    const int slice = late        ? 0
                      : !deadline ? kSliceMilliseconds
                                  : static_cast<int>(std::min<std::uint64_t>(left, kSliceMilliseconds));
    if (poll(items.data(), items.size(), slice) < 0 && errno != EINTR) return socket_failure("select", errno);
    const auto there = [&](std::size_t i) {
      const int events = items[i].revents;
      const bool failed = (events & POLLERR) != 0;
      return Watched{.socket = watched[i].socket,
                     .readable = watched[i].readable && (events & (POLLIN | POLLHUP)) != 0,
                     .writable = watched[i].writable && !failed && (events & POLLOUT) != 0,
                     .exceptional = watched[i].exceptional && (failed || (events & POLLPRI) != 0)};
    };
    std::size_t count = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Watched one = there(i);
      count += std::size_t{one.readable} + std::size_t{one.writable} + std::size_t{one.exceptional};
    }
    if (count == 0 && !late) continue;
    for (std::size_t i = 0; i < items.size(); ++i) watched[i] = there(i);
    return count;
  }
}

Result<void> shut_down(File& socket, int how) {
  if (::shutdown(socket.fd(), how) != 0) return socket_failure("shutdown", errno);
  return {};
}

void set_blocking(File& socket, bool blocking) { socket.socket()->waits = blocking; }

Result<void> keep_alive(File& socket, bool on, std::uint32_t idle, std::uint32_t interval) {
  const auto set = [&](int level, int option, int value) {
    return setsockopt(socket.fd(), level, option, &value, sizeof value) == 0;
  };
  const auto seconds = [](std::uint32_t milliseconds) {
    return static_cast<int>(std::max(milliseconds / 1000 + (milliseconds % 1000 != 0 ? 1 : 0), 1u));
  };
  const bool done = set(SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0) &&
                    (!on || (set(IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle)) &&
                             set(IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval))));
  if (!done) return socket_failure("setsockopt", errno);
  return {};
}

Result<std::uint32_t> bytes_waiting(const File& socket) {
  int count = 0;
  if (ioctl(socket.fd(), FIONREAD, &count) != 0) return socket_failure("FIONREAD", errno);
  return static_cast<std::uint32_t>(count);
}

Result<std::uint32_t> get_option(const File& socket, int level, int option, std::span<std::byte> into) {
  int value = 0;
  socklen_t size = sizeof value;
  const bool is_error = level == kWindowsSolSocket && option == kSocketError;
  const Option* known = find_option(level, option);
  if (known == nullptr && !is_error) return socket_failure("getsockopt", ENOPROTOOPT);
  if (into.size() < sizeof value) return socket_failure("getsockopt", EFAULT);
  const int done = is_error ? getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &value, &size)
                            : getsockopt(socket.fd(), known->host_level, known->host_option, &value, &size);
  if (done != 0) return socket_failure("getsockopt", errno);
  if (is_error && value != 0) value = static_cast<int>(socket_error(value));
  std::memcpy(into.data(), &value, sizeof value);
  return sizeof value;
}

Result<void> set_option(File& socket, int level, int option, std::span<const std::byte> from) {
  constexpr int kUpdateAcceptContext = 0x700B, kUpdateConnectContext = 0x7010;
  // What AcceptEx and ConnectEx leave to be done is done by then.
  if (level == kWindowsSolSocket && (option == kUpdateAcceptContext || option == kUpdateConnectContext)) {
    if (has_peer(socket.fd())) return {};
    return socket_failure("setsockopt", ENOTCONN);
  }
  const Option* known = find_option(level, option);
  if (known == nullptr) return socket_failure("setsockopt", ENOPROTOOPT);
  int value = 0;
  if (from.empty()) return socket_failure("setsockopt", EFAULT);
  std::memcpy(&value, from.data(), std::min(from.size(), sizeof value));
  if (setsockopt(socket.fd(), known->host_level, known->host_option, &value, sizeof value) != 0)
    return socket_failure("setsockopt", errno);
  return {};
}

}  // namespace bobbin::io
