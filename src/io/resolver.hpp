// Names of hosts and services, and addresses as text: asked of the host's resolver, which knows its files and
// servers.
//
// What it does is beyond us (modules of its own, much stack, seconds of silence), and a guest's thread has a
// stack that the guest chose: so a thread of ours asks, and the guest's waits for it. The command, which is
// linked statically, has files and servers built in; further modules (nsswitch.conf) it loads where the host
// has the C library that it was built with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/socket.hpp"

namespace bobbin::io {

/// The bytes of an address (4, or 16 for IPv6) from its text, and its text from them; empty if it is none of
/// that family, or if there is no such family (knows_family).
[[nodiscard]] std::vector<std::byte> parse_address(const std::string& text, int family);
[[nodiscard]] std::string address_text(std::span<const std::byte> address, int family);
/// The same for IPv4 as inet_addr reads it: one to four numbers, octal and hexadecimal ones too. -1 if it is
/// none.
[[nodiscard]] std::uint32_t parse_inet(const char* text);

/// What is asked for, with Windows' numbers. Either name may be missing; an empty host is this one.
struct NameQuery {
  std::optional<std::string> host = {}, service = {};
  int flags = 0;  ///< AI_*
  int family = 0, type = 0, protocol = 0;
};
struct NameAnswer {
  std::vector<SocketAddress> addresses;  ///< not empty
  std::string canonical;                 ///< if it was asked for
};
/// Fails with WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSATYPE_NOT_FOUND and their like; STATUS_CANCELLED when `self`
/// is interrupted.
[[nodiscard]] Result<NameAnswer> resolve(NameQuery query, sync::Waiter& self);
/// The name of an address.
[[nodiscard]] Result<std::string> name_of(std::span<const std::byte> address, int family, sync::Waiter& self);
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
