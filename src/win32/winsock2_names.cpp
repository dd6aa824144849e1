// winsock2.h and ws2tcpip.h: names of hosts and services, and addresses as text. What fails leaves its WSA*
// number as last error.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "io/resolver.hpp"
#include "nls/utf.hpp"
#include "win32/natives.hpp"
#include "win32/socket_support.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD {
  WSAEAFNOSUPPORT = 10047,
  WSAHOST_NOT_FOUND = 11001,
  WSANO_DATA = 11004,
};
constexpr int kInet = 2;

// ---- the order of bytes on a network, the most significant first ------------------------------------------

BOBBIN_MS_ABI ULONG swap_long(ULONG value) { return std::byteswap(value); }
BOBBIN_MS_ABI USHORT swap_short(USHORT value) { return std::byteswap(value); }

// ---- addresses as text -----------------------------------------------------------------------------------

ULONG inet_addr(LPCSTR text) { return io::parse_inet(text); }

/// The thread's own buffer, good until its next call.
CHAR* inet_ntoa(ULONG address) {
  thread_local char text[16];
  const std::string made = io::address_text(std::as_bytes(std::span(&address, 1)), kInet);
  *std::ranges::copy(made, text).out = 0;
  return text;
}

int inet_pton(int family, LPCSTR text, PVOID out) {
  if (!io::knows_family(family)) return failed(WSAEAFNOSUPPORT, -1);
  if (text == nullptr || out == nullptr) return failed(WSAEFAULT, -1);
  const std::vector<std::byte> address = io::parse_address(text, family);
  std::ranges::copy(address, static_cast<std::byte*>(out));
  return address.empty() ? 0 : 1;
}

LPCSTR inet_ntop(int family, LPCVOID address, LPSTR out, SIZE_T room) {
  if (!io::knows_family(family)) return failed<LPCSTR>(WSAEAFNOSUPPORT);
  const std::string text =
      io::address_text({static_cast<const std::byte*>(address), family == kInet ? 4u : 16u}, family);
  if (out == nullptr || text.size() >= room) return failed<LPCSTR>(ERROR_INVALID_PARAMETER);
  *std::ranges::copy(text, out).out = 0;
  return out;
}

// ---- hosts -----------------------------------------------------------------------------------------------

struct HOSTENT {
  CHAR* h_name;
  CHAR** h_aliases;
  SHORT h_addrtype;
  SHORT h_length;
  CHAR** h_addr_list;
};
static_assert(sizeof(HOSTENT) == 32);

/// A thread's answer, good until its next question.
struct HostAnswer {
  HOSTENT entry;
  std::string name;
  std::vector<std::vector<std::byte>> addresses;
  std::vector<CHAR*> pointers;  ///< to the addresses; the null at its end is the list of aliases as well

  HOSTENT* give(std::string host, std::vector<std::vector<std::byte>> found, int family) {
    name = std::move(host);
    addresses = std::move(found);
    pointers.clear();
    for (auto& address : addresses) pointers.push_back(reinterpret_cast<CHAR*>(address.data()));
    pointers.push_back(nullptr);
    entry = {.h_name = name.data(),
             .h_aliases = &pointers.back(),
             .h_addrtype = static_cast<SHORT>(family),
             .h_length = static_cast<SHORT>(family == kInet ? 4 : 16),
             .h_addr_list = pointers.data()};
    return &entry;
  }
};
thread_local HostAnswer g_host;

/// IPv4 alone, as on Windows. No name is this host's.
HOSTENT* gethostbyname(LPCSTR name) {
  constexpr std::size_t kAddressInSocketAddress = 4;
  constexpr int kCanonicalName = 2;
  auto found = io::resolve({.host = name == nullptr ? "" : name, .flags = kCanonicalName, .family = kInet},
                           thread::current_waiter());
  if (!found) return socket_failed<HOSTENT*>(found.error(), nullptr);
  std::vector<std::vector<std::byte>> addresses;
  for (const io::SocketAddress& one : found->addresses) {
    const auto* bytes = reinterpret_cast<const std::byte*>(one.bytes) + kAddressInSocketAddress;
    addresses.emplace_back(bytes, bytes + 4);
  }
  return g_host.give(std::move(found->canonical), std::move(addresses), kInet);
}

HOSTENT* gethostbyaddr(LPCVOID address, int size, int family) {
  if (!io::knows_family(family)) return failed<HOSTENT*>(WSAEAFNOSUPPORT);
  if (address == nullptr || size != (family == kInet ? 4 : 16)) return failed<HOSTENT*>(WSAEFAULT);
  const auto* bytes = static_cast<const std::byte*>(address);
  std::vector<std::byte> kept(bytes, bytes + size);
  auto name = io::name_of(kept, family, thread::current_waiter());
  if (!name) return socket_failed<HOSTENT*>(name.error(), nullptr);
  return g_host.give(std::move(*name), {std::move(kept)}, family);
}

/// ADDRINFOA and ADDRINFOW.
template <class Char>
struct ADDRINFOT {
  int ai_flags, ai_family, ai_socktype, ai_protocol;
  SIZE_T ai_addrlen;
  Char* ai_canonname;
  PVOID ai_addr;
  ADDRINFOT* ai_next;
};
static_assert(sizeof(ADDRINFOT<CHAR>) == 48);

/// A list's node and what it points to.
template <class Char>
struct Node {
  ADDRINFOT<Char> info;
  io::SocketAddress address;
  std::basic_string<Char> name;
};

template <class Char>
void free_list(ADDRINFOT<Char>* list) {
  while (list != nullptr) {
    const std::unique_ptr<Node<Char>> node(reinterpret_cast<Node<Char>*>(list));
    list = list->ai_next;
  }
}

std::optional<std::string> given(LPCSTR text) {
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}
std::optional<std::string> given(LPCWSTR text) {
  return text == nullptr ? std::nullopt : std::optional(nls::name_to_utf8(text));
}
void take_over(std::string& name, std::string from) { name = std::move(from); }
void take_over(std::u16string& name, const std::string& from) { name = nls::name_to_utf16(from); }

/// The number of a failure, which is last error as well, or 0.
template <class Char>
int address_info(const Char* host, const Char* service, const ADDRINFOT<Char>* hints,
                 ADDRINFOT<Char>** list) {
  *list = nullptr;
  if (host == nullptr && service == nullptr) return failed(WSAHOST_NOT_FOUND, int{WSAHOST_NOT_FOUND});
  io::NameQuery query{.host = given(host), .service = given(service)};
  if (hints != nullptr) {
    query.flags = hints->ai_flags;
    query.family = hints->ai_family;
    query.type = hints->ai_socktype;
    query.protocol = hints->ai_protocol;
  }
  const auto found = io::resolve(query, thread::current_waiter());
  if (!found) return failed(found.error(), static_cast<int>(io::socket_error_of(found.error().status)));
  ADDRINFOT<Char>** end = list;
  for (const io::SocketAddress& address : found->addresses) {
    auto node = std::make_unique<Node<Char>>(Node<Char>{.info = {}, .address = address, .name = {}});
    if (end == list) take_over(node->name, found->canonical);
    WORD family = 0;
    std::memcpy(&family, address.bytes, sizeof family);
    node->info = {.ai_flags = 0,
                  .ai_family = family,
                  .ai_socktype = query.type,
                  .ai_protocol = query.protocol,
                  .ai_addrlen = address.size,
                  .ai_canonname = node->name.empty() ? nullptr : node->name.data(),
                  .ai_addr = node->address.bytes,
                  .ai_next = nullptr};
    *end = &node.release()->info;
    end = &(*end)->ai_next;
  }
  return 0;
}

int getaddrinfo(LPCSTR host, LPCSTR service, const ADDRINFOT<CHAR>* hints, ADDRINFOT<CHAR>** list) {
  return address_info(host, service, hints, list);
}
int GetAddrInfoW(LPCWSTR host, LPCWSTR service, const ADDRINFOT<WCHAR>* hints, ADDRINFOT<WCHAR>** list) {
  return address_info(host, service, hints, list);
}
void freeaddrinfo(ADDRINFOT<CHAR>* list) { free_list(list); }
void FreeAddrInfoW(ADDRINFOT<WCHAR>* list) { free_list(list); }

// ---- services --------------------------------------------------------------------------------------------

struct SERVENT {
  CHAR* s_name;
  CHAR** s_aliases;
  CHAR* s_proto;
  USHORT s_port;  ///< as on the network
};
static_assert(sizeof(SERVENT) == 32);

/// The thread's own answer, good until its next question.
SERVENT* give_service(std::optional<io::Service> found) {
  thread_local io::Service service;
  thread_local SERVENT entry;
  static CHAR* no_aliases[] = {nullptr};
  if (!found) return failed<SERVENT*>(WSANO_DATA);
  service = std::move(*found);
  entry = {.s_name = service.name.data(),
           .s_aliases = no_aliases,
           .s_proto = service.protocol.data(),
           .s_port = std::byteswap(service.port)};
  return &entry;
}

SERVENT* getservbyname(LPCSTR name, LPCSTR protocol) {
  if (name == nullptr || *name == 0) return failed<SERVENT*>(WSANO_DATA);
  return give_service(io::find_service(name, 0, protocol == nullptr ? "" : protocol));
}
SERVENT* getservbyport(int port, LPCSTR protocol) {
  return give_service(
      io::find_service("", std::byteswap(static_cast<USHORT>(port)), protocol == nullptr ? "" : protocol));
}

const Export kExports[] = {
    NATIVE(kWs2_32, FreeAddrInfoW),       NATIVE(kWs2_32, GetAddrInfoW),
    NATIVE(kWs2_32, freeaddrinfo),        NATIVE(kWs2_32, getaddrinfo),
    NATIVE(kWs2_32, gethostbyaddr),       NATIVE(kWs2_32, gethostbyname),
    NATIVE(kWs2_32, getservbyname),       NATIVE(kWs2_32, getservbyport),
    HOT_AS(kWs2_32, "htonl", swap_long),  HOT_AS(kWs2_32, "htons", swap_short),
    NATIVE(kWs2_32, inet_addr),           NATIVE(kWs2_32, inet_ntoa),
    NATIVE(kWs2_32, inet_ntop),           NATIVE(kWs2_32, inet_pton),
    HOT_AS(kWs2_32, "ntohs", swap_short),
};

}  // namespace

std::span<const Export> winsock2_names_natives() { return kExports; }

}  // namespace bobbin::win32
