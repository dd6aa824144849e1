// Sockets: the host's own, behind Files, with Windows' numbers for families, options and failures. (Names are
// resolver.hpp's.)
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "io/file.hpp"
#include "io/operations.hpp"
#include "os/descriptor.hpp"

namespace bobbin::io {

/// A socket address as Windows lays it out. The host's differs in the number of AF_INET6 alone.
struct SocketAddress {
  std::uint8_t bytes[128] = {};
  std::uint32_t size = 0;
};

/// Connections that AcceptEx has taken and that have said nothing so far: at most as many as there are
/// AcceptEx that wait. A client that is silent keeps none of the others back. Thread-safe.
class Acceptor {
 public:
  /// One more AcceptEx waits, or one less. The first one gets what there is to poll.
  [[nodiscard]] Result<int> begin(int listener);
  void end() noexcept;
  /// A connection, if there is one (`speaking`: on which something has come), or its failure's errno; 0 if
  /// there is none.
  [[nodiscard]] std::expected<os::Descriptor, int> take(bool speaking);

 private:
  void arm() noexcept;

  os::Mutex mutex_;
  os::Descriptor set_;  ///< an epoll of the listener and of the silent; guarded by mutex_, as all
  int listener_ = -1;
  std::size_t waiting_ = 0;
  std::deque<os::Descriptor> silent_;
};

/// What Windows knows of a socket and the host does not.
struct SocketState {
  bool is_stream = false;         ///< never changes
  std::atomic<bool> waits{true};  ///< its calls wait (FIONBIO); the host's descriptor never does
  std::atomic<bool> bound{false};
  std::atomic<bool> told_of_unreachable{true};  ///< SIO_UDP_CONNRESET
  Acceptor acceptor;
};

/// Families as Windows numbers them and as the host does, and an address of the host's in Windows' layout.
[[nodiscard]] bool knows_family(int family);
[[nodiscard]] int host_family(int family);
[[nodiscard]] SocketAddress to_windows(const sockaddr_storage& from, socklen_t size);

/// WSAE* numbers for errno; what has none of its own is WSAEINVAL.
[[nodiscard]] std::uint32_t socket_error(int host_errno);
/// What sockets fail with in this room: a status that is a WSAE* number alone, or one that means something to
/// others than sockets as well. socket_error_of() gives the WSAE* number of either.
[[nodiscard]] std::uint32_t socket_status(int host_errno);
[[nodiscard]] std::uint32_t socket_error_of(std::uint32_t status);
[[nodiscard]] std::unexpected<Error> socket_failure(const char* what, int host_errno);

/// A File whose kind is pipe: reads and writes go over the connection.
[[nodiscard]] Result<sync::Ref<File>> make_socket(int family, int type, int protocol, bool overlapped);
/// The state of a socket that a parent passed on; null if the descriptor is none of those that guests have.
[[nodiscard]] std::shared_ptr<SocketState> adopted_socket(int fd);

/// WSAENOTSOCK for a File that is none.
[[nodiscard]] Result<void> check_socket(const File& file);

[[nodiscard]] Result<void> bind_socket(File& socket, const void* address, std::uint32_t size);
/// Waits unless the socket is non-blocking; ends with STATUS_CANCELLED when `self` is interrupted.
[[nodiscard]] Result<void> connect_socket(File& socket, const void* address, std::uint32_t size,
                                          sync::Waiter& self);
[[nodiscard]] Result<void> listen_socket(File& socket, int backlog);
/// Waits likewise for somebody who connects.
[[nodiscard]] Result<sync::Ref<File>> accept_socket(File& socket, SocketAddress& peer, sync::Waiter& self);
[[nodiscard]] Result<SocketAddress> own_address(const File& socket);
[[nodiscard]] Result<SocketAddress> peer_address(const File& socket);

/// The guest's memory, in parts. The host's kernel touches it alone, so what is bad there is a failure.
using Parts = std::vector<iovec>;
/// Flags of receive and send.
enum : int { kUrgent = 1, kPeek = 2, kWaitAll = 8 };

/// Adds what is there to the `done` bytes; nothing if there is nothing. A read of no bytes ends when there
/// are some. STATUS_BUFFER_OVERFLOW, and what fits, for a datagram that is longer. `sender` is told who sent
/// a datagram.
[[nodiscard]] std::optional<Outcome> try_receive(const File& socket, const Parts& into, int flags,
                                                 std::size_t& done, SocketAddress* sender = nullptr);
/// Adds what can be sent to `done`; ends when that is all. To an address, if one is given, else to whom the
/// socket is connected.
[[nodiscard]] std::optional<Outcome> try_send(const File& socket, const Parts& from, int flags,
                                              std::size_t& done, const SocketAddress* to = nullptr);
/// The same for calls that wait, unless the socket is non-blocking.
[[nodiscard]] Result<std::size_t> receive(File& socket, const Parts& into, int flags, sync::Waiter& self,
                                          SocketAddress* sender = nullptr);
[[nodiscard]] Result<std::size_t> send(File& socket, const Parts& from, int flags, sync::Waiter& self,
                                       const SocketAddress* to = nullptr);
/// An address of the guest's; WSAEFAULT if it can be none.
[[nodiscard]] Result<SocketAddress> address_from(const void* address, std::uint32_t size);

// What waits (operations.hpp); who asks is the caller's to add. Memory and files live until the end.

/// `from` and `from_size`, if given, are told who sent a datagram.
[[nodiscard]] Operation receiving(File& socket, Parts into, int flags, void* from, std::int32_t* from_size);
[[nodiscard]] Operation sending(File& socket, Parts from, int flags, std::optional<SocketAddress> to);
/// ConnectEx: connects, then sends. WSAEINVAL if the socket is not bound.
[[nodiscard]] Result<Operation> connecting(File& socket, const SocketAddress& to, Parts from);
/// AcceptEx: `into` becomes the connection; its first bytes, if there is room for any, and both addresses in
/// the host's layout go to memory. WSAEINVAL if the one does not listen, or the other is in use.
struct AcceptRoom {
  std::span<std::byte> data, own, peer;
};
[[nodiscard]] Result<Operation> accepting(File& listener, sync::Ref<File> into, AcceptRoom room);
/// An address that `accepting` put there, made one of Windows.
std::uint32_t translate_accepted(std::byte* address);
/// DisconnectEx: once all is sent; `reuse` makes the socket one that can connect, or be accepted into, again.
[[nodiscard]] Operation disconnecting(File& socket, bool reuse);

/// A socket, and what is waited for: data, a peer or an end to read; room to write; a connection that failed,
/// or urgent data. select_sockets leaves of it what is there.
struct Watched {
  const File* socket;
  bool readable, writable, exceptional;
};
/// Waits until something is there, or until the deadline; how many things.
[[nodiscard]] Result<std::size_t> select_sockets(std::span<Watched> watched, os::Deadline deadline,
                                                 sync::Waiter& self);

[[nodiscard]] Result<void> shut_down(File& socket, int how);
void set_blocking(File& socket, bool blocking);
/// SIO_KEEPALIVE_VALS, in milliseconds.
[[nodiscard]] Result<void> keep_alive(File& socket, bool on, std::uint32_t idle, std::uint32_t interval);
[[nodiscard]] Result<std::uint32_t> bytes_waiting(const File& socket);
/// Level and option are Windows' numbers; WSAENOPROTOOPT for those that are not known.
[[nodiscard]] Result<std::uint32_t> get_option(const File& socket, int level, int option,
                                               std::span<std::byte> into);
[[nodiscard]] Result<void> set_option(File& socket, int level, int option, std::span<const std::byte> from);

}  // namespace bobbin::io
