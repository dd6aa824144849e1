// Sockets: the host's own, behind Files, with Windows' numbers for families, options and failures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/file.hpp"

namespace bobbin::io {

/// A socket address as Windows lays it out. The host's differs in the number of AF_INET6 alone.
struct SocketAddress {
  std::uint8_t bytes[128] = {};
  std::uint32_t size = 0;
};

/// WSAE* numbers for errno; what has none of its own is WSAEINVAL.
[[nodiscard]] std::uint32_t socket_error(int host_errno);
/// A failure whose Win32 number is the WSAE* of errno.
[[nodiscard]] std::unexpected<Error> socket_failure(const char* what, int host_errno);

/// A File whose kind is pipe: reads and writes go over the connection.
[[nodiscard]] Result<sync::Ref<File>> make_socket(int family, int type, int protocol);

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
/// `flags`: MSG_OOB 1, MSG_PEEK 2, MSG_WAITALL 8. `sender` is told who sent a datagram.
[[nodiscard]] Result<std::size_t> receive(File& socket, std::span<std::byte> into, int flags,
                                          sync::Waiter& self, SocketAddress* sender = nullptr);
/// To an address, if one is given, else to whom the socket is connected.
[[nodiscard]] Result<std::size_t> send(File& socket, std::span<const std::byte> from, int flags,
                                       sync::Waiter& self, const void* address = nullptr,
                                       std::uint32_t address_size = 0);

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
[[nodiscard]] Result<void> set_blocking(File& socket, bool blocking);
[[nodiscard]] Result<std::uint32_t> bytes_waiting(const File& socket);
/// Level and option are Windows' numbers; WSAENOPROTOOPT for those that are not known.
[[nodiscard]] Result<std::uint32_t> get_option(const File& socket, int level, int option,
                                               std::span<std::byte> into);
[[nodiscard]] Result<void> set_option(File& socket, int level, int option, std::span<const std::byte> from);

/// The bytes of an address (4, or 16 for IPv6) from its text, and its text from them; empty if it is none of
/// that family, or if there is no such family (knows_family).
[[nodiscard]] bool knows_family(int family);
[[nodiscard]] std::vector<std::byte> parse_address(const std::string& text, int family);
[[nodiscard]] std::string address_text(std::span<const std::byte> address, int family);
/// The same for IPv4 as inet_addr reads it: one to four numbers, octal and hexadecimal ones too. -1 if it is
/// none.
[[nodiscard]] std::uint32_t parse_inet(const char* text);

/// The addresses of a host: numeric ones, and names that /etc/hosts knows. `family` 0 is any.
[[nodiscard]] std::vector<SocketAddress> resolve(std::string_view host, std::uint16_t port, int family);
/// The name that /etc/hosts has for an address, or nothing.
[[nodiscard]] std::string name_of(std::span<const std::byte> address, int family);
/// The name of this host.
[[nodiscard]] std::string own_name();

/// A line of /etc/services.
struct Service {
  std::string name, protocol;
  std::uint16_t port;
};
/// By name, or by number where the name is empty; an empty protocol is any.
[[nodiscard]] std::optional<Service> find_service(std::string_view name, std::uint16_t port,
                                                  std::string_view protocol);

}  // namespace bobbin::io
