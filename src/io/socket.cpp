#include "io/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "abi/io.hpp"
#include "abi/status.hpp"

namespace bobbin::io {
namespace {

constexpr int kWindowsInet6 = 23;
constexpr int kWindowsSolSocket = 0xFFFF;

int host_family(int family) { return family == kWindowsInet6 ? AF_INET6 : family; }

/// Into the host's layout. False if it is too long or too short to be one.
bool to_host(const void* address, std::uint32_t size, sockaddr_storage& out) {
  if (size < sizeof(sa_family_t) || size > sizeof out) return false;
  std::memcpy(&out, address, size);
  out.ss_family = static_cast<sa_family_t>(host_family(out.ss_family));
  return true;
}

SocketAddress to_windows(const sockaddr_storage& from, socklen_t size) {
  SocketAddress address{.size = std::min<std::uint32_t>(size, sizeof address.bytes)};
  sockaddr_storage copy = from;
  if (copy.ss_family == AF_INET6) copy.ss_family = kWindowsInet6;
  std::memcpy(address.bytes, &copy, address.size);
  return address;
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

bool blocks(const File& socket) { return (fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) == 0; }

int host_flags(int flags) {
  return ((flags & 1) != 0 ? MSG_OOB : 0) | ((flags & 2) != 0 ? MSG_PEEK : 0) |
         ((flags & 8) != 0 ? MSG_WAITALL : 0);
}

sync::Ref<File> file_for(os::Descriptor descriptor) {
  return sync::Ref<File>::adopt(
      new File(std::move(descriptor), {.kind = FileKind::pipe,
                                       .access = abi::FILE_GENERIC_READ | abi::FILE_GENERIC_WRITE,
                                       .flags = abi::FILE_FLAG_OVERLAPPED}));
}

}  // namespace

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

std::unexpected<Error> socket_failure(const char* what, int host_errno) {
  return fail({.kind = ErrorKind::system,
               .status = status_of_win32(socket_error(host_errno)),
               .what = std::string(what) + ": " + std::strerror(host_errno)});
}

Result<sync::Ref<File>> make_socket(int family, int type, int protocol) {
  if (family != AF_INET && family != kWindowsInet6) return socket_failure("socket", EAFNOSUPPORT);
  os::Descriptor descriptor(::socket(host_family(family), type | SOCK_CLOEXEC, protocol));
  if (descriptor.get() < 0) return socket_failure("socket", errno);
  return file_for(std::move(descriptor));
}

Result<void> check_socket(const File& file) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(file.fd(), SOL_SOCKET, SO_TYPE, &type, &size) == 0) return {};
  return socket_failure("this is no socket", ENOTSOCK);
}

Result<void> bind_socket(File& socket, const void* address, std::uint32_t size) {
  sockaddr_storage host;
  if (!to_host(address, size, host)) return socket_failure("bind", EFAULT);
  if (::bind(socket.fd(), reinterpret_cast<sockaddr*>(&host), size) != 0)
    return socket_failure("bind", errno);
  return {};
}

Result<void> connect_socket(File& socket, const void* address, std::uint32_t size, sync::Waiter& self) {
  sockaddr_storage host;
  if (!to_host(address, size, host)) return socket_failure("connect", EFAULT);
  const bool waits = blocks(socket);
  // Never blocking on the host's side: a stopped thread must not be held inside connect().
  if (waits) (void)set_blocking(socket, false);
  const int outcome = ::connect(socket.fd(), reinterpret_cast<sockaddr*>(&host), size);
  const int error = outcome == 0 ? 0 : errno;
  if (waits) (void)set_blocking(socket, true);
  if (error == 0) return {};
  if (error != EINPROGRESS || !waits) return socket_failure("connect", error);
  if (auto ready = wait_ready(socket.fd(), true, self); !ready) return ready;
  int result = 0;
  socklen_t result_size = sizeof result;
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &result, &result_size);
  if (result != 0) return socket_failure("connect", result);
  return {};
}

Result<void> listen_socket(File& socket, int backlog) {
  if (::listen(socket.fd(), backlog) != 0) return socket_failure("listen", errno);
  return {};
}

Result<sync::Ref<File>> accept_socket(File& socket, SocketAddress& peer, sync::Waiter& self) {
  for (;;) {
    if (blocks(socket)) {
      if (auto ready = wait_ready(socket.fd(), false, self); !ready) return propagate(ready);
    }
    sockaddr_storage host{};
    socklen_t size = sizeof host;
    os::Descriptor accepted(
        accept4(socket.fd(), reinterpret_cast<sockaddr*>(&host), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (accepted.get() < 0 && errno == EAGAIN && blocks(socket)) continue;  // another thread was faster
    if (accepted.get() < 0) return socket_failure("accept", errno);
    peer = to_windows(host, size);
    auto made = file_for(std::move(accepted));
    if (blocks(socket)) (void)set_blocking(*made, true);
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

Result<std::size_t> receive(File& socket, std::span<std::byte> into, int flags, sync::Waiter& self,
                            SocketAddress* sender) {
  if (blocks(socket)) {
    if (auto ready = wait_ready(socket.fd(), false, self); !ready) return propagate(ready);
  }
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const ssize_t got = ::recvfrom(socket.fd(), into.data(), into.size(), host_flags(flags),
                                 reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 0) return socket_failure("recv", errno);
  if (sender != nullptr) *sender = to_windows(from, size);
  return static_cast<std::size_t>(got);
}

Result<std::size_t> send(File& socket, std::span<const std::byte> from, int flags, sync::Waiter& self,
                         const void* address, std::uint32_t address_size) {
  sockaddr_storage to;
  if (address != nullptr && !to_host(address, address_size, to)) return socket_failure("send", EFAULT);
  const bool waits = blocks(socket);
  std::size_t done = 0;
  do {
    const auto rest = from.subspan(done);
    const ssize_t put =
        ::sendto(socket.fd(), rest.data(), rest.size(), host_flags(flags) | MSG_NOSIGNAL | MSG_DONTWAIT,
                 address != nullptr ? reinterpret_cast<sockaddr*>(&to) : nullptr,
                 address != nullptr ? address_size : 0);
    if (put >= 0) {
      done += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN && waits) {
      if (auto ready = wait_ready(socket.fd(), true, self); !ready) return propagate(ready);
    } else if (done != 0) {
      break;
    } else {
      return socket_failure("send", errno);
    }
  } while (waits && done < from.size());
  return done;
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

Result<void> set_blocking(File& socket, bool blocking) {
  const int flags = fcntl(socket.fd(), F_GETFL);
  if (flags < 0 || fcntl(socket.fd(), F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0)
    return socket_failure("fcntl", errno);
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
  const Option* known = find_option(level, option);
  if (known == nullptr) return socket_failure("setsockopt", ENOPROTOOPT);
  int value = 0;
  if (from.empty()) return socket_failure("setsockopt", EFAULT);
  std::memcpy(&value, from.data(), std::min(from.size(), sizeof value));
  if (setsockopt(socket.fd(), known->host_level, known->host_option, &value, sizeof value) != 0)
    return socket_failure("setsockopt", errno);
  return {};
}

namespace {

/// Adds the address if the text is one, of the family that is asked for.
void add_numeric(const std::string& text, std::uint16_t port, int family, std::vector<SocketAddress>& to) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if ((family == 0 || family == AF_INET) && inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    to.push_back(to_windows(storage, sizeof v4));
  } else if ((family == 0 || family == kWindowsInet6) &&
             inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    to.push_back(to_windows(storage, sizeof v6));
  }
}

}  // namespace

bool knows_family(int family) { return family == AF_INET || family == kWindowsInet6; }

std::vector<std::byte> parse_address(const std::string& text, int family) {
  std::vector<std::byte> address(family == AF_INET ? 4 : 16);
  if (!knows_family(family) || inet_pton(host_family(family), text.c_str(), address.data()) != 1) return {};
  return address;
}

std::string address_text(std::span<const std::byte> address, int family) {
  char text[INET6_ADDRSTRLEN];
  if (!knows_family(family) || inet_ntop(host_family(family), address.data(), text, sizeof text) == nullptr)
    return {};
  return text;
}

std::uint32_t parse_inet(const char* text) { return inet_addr(text); }

namespace {

/// Calls `use` with the words of each line of a file of the host's, without its comments, until it answers
/// true.
template <class Use>
void for_each_line(const char* path, Use use) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    if (use(words)) return;
  }
}

}  // namespace

std::vector<SocketAddress> resolve(std::string_view host, std::uint16_t port, int family) {
  std::vector<SocketAddress> found;
  add_numeric(std::string(host), port, family, found);
  if (!found.empty()) return found;
  for_each_line("/etc/hosts", [&](std::istringstream& words) {
    std::string address, name;
    words >> address;
    while (words >> name) {
      if (name == host) add_numeric(address, port, family, found);
    }
    return false;
  });
  return found;
}

std::string name_of(std::span<const std::byte> address, int family) {
  std::string found;
  for_each_line("/etc/hosts", [&](std::istringstream& words) {
    std::string text, name;
    words >> text >> name;
    if (std::ranges::equal(parse_address(text, family), address)) found = name;
    return !found.empty();
  });
  return found;
}

std::string own_name() {
  char name[256] = "";
  (void)gethostname(name, sizeof name - 1);
  return name;
}

std::optional<Service> find_service(std::string_view name, std::uint16_t port, std::string_view protocol) {
  std::optional<Service> found;
  for_each_line("/etc/services", [&](std::istringstream& words) {
    Service service{};
    char slash = 0;
    words >> service.name >> service.port >> slash >> service.protocol;
    bool meant = name.empty() ? service.port == port : service.name == name;
    for (std::string alias; !name.empty() && words >> alias;) meant |= alias == name;
    if (slash == '/' && meant && (protocol.empty() || protocol == service.protocol)) found = service;
    return found.has_value();
  });
  return found;
}

}  // namespace bobbin::io
