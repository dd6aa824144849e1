// winsock2.h, its sockets: a SOCKET is a handle, and what fails leaves its WSAE* number as last error. (Names
// and addresses are in winsock2_names.cpp.)
#include <algorithm>
#include <utility>

#include "io/socket.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

using SOCKET = ULONG_PTR;
constexpr SOCKET INVALID_SOCKET = ~SOCKET{0};
constexpr int SOCKET_ERROR = -1;
enum : DWORD {
  WSAEFAULT = 10014,
  WSAEINVAL = 10022,
  WSAENOTSOCK = 10038,
  WSAEOPNOTSUPP = 10045,
  WSAVERNOTSUPPORTED = 10092,
};

Borrowed<io::File> socket_of(SOCKET socket) {
  auto file = find_file(reinterpret_cast<HANDLE>(socket));
  if (!file) {
    return fail({.kind = ErrorKind::invalid,
                 .status = io::status_of_win32(WSAENOTSOCK),
                 .what = "the handle names no socket"});
  }
  if (auto is_one = io::check_socket(**file); !is_one) return propagate(is_one);
  return file;
}

/// 0, or SOCKET_ERROR and last error.
int outcome(const Result<void>& done) { return done ? 0 : failed(done.error(), SOCKET_ERROR); }

/// Runs `use` on a socket.
template <class Use>
int with_socket(SOCKET socket, Use use) {
  auto file = socket_of(socket);
  return file ? use(**file) : failed(file.error(), SOCKET_ERROR);
}

// ---- starting and ending: nothing is to be prepared
// ---------------------------------------------------------

struct WSADATA {
  WORD wVersion;
  WORD wHighVersion;
  WORD iMaxSockets;
  WORD iMaxUdpDg;
  PVOID lpVendorInfo;
  CHAR szDescription[257];
  CHAR szSystemStatus[129];
};
static_assert(sizeof(WSADATA) == 408);

int WSAStartup(WORD version, WSADATA* data) {
  constexpr WORD kVersion = 0x0202;
  if (data == nullptr) return WSAEFAULT;
  if ((version & 0xFF) == 0) return WSAVERNOTSUPPORTED;
  *data = {.wVersion = std::min<WORD>(version, kVersion),
           .wHighVersion = kVersion,
           .iMaxSockets = 0,
           .iMaxUdpDg = 0,
           .lpVendorInfo = nullptr,
           .szDescription = "WinSock 2.0",
           .szSystemStatus = "Running"};
  return 0;
}

int WSACleanup() { return 0; }
int WSAGetLastError() { return static_cast<int>(current_teb()->LastErrorValue); }
void WSASetLastError(int error) { set_last_error(static_cast<DWORD>(error)); }

// ---- protocols -------------------------------------------------------------------------------------------

struct WSAPROTOCOL_INFOW {
  DWORD dwServiceFlags1, dwServiceFlags2, dwServiceFlags3, dwServiceFlags4, dwProviderFlags;
  GUID ProviderId;
  DWORD dwCatalogEntryId;
  int ChainLen;
  DWORD ChainEntries[7];
  int iVersion, iAddressFamily, iMaxSockAddr, iMinSockAddr, iSocketType, iProtocol, iProtocolMaxOffset;
  int iNetworkByteOrder, iSecurityScheme;
  DWORD dwMessageSize, dwProviderReserved;
  WCHAR szProtocol[256];
};
static_assert(sizeof(WSAPROTOCOL_INFOW) == 628);

/// TCP and UDP over IPv4 and IPv6, or those of them that a list ending in 0 names.
int WSAEnumProtocolsW(const int* wanted, WSAPROTOCOL_INFOW* out, DWORD* size) {
  constexpr DWORD WSAENOBUFS = 10055;
  constexpr DWORD kGuaranteed = 0x6, kGraceful = 0x20, kHandlesOfFiles = 0x20000, kConnectionless = 0x1;
  struct Known {
    int family, address_size, type, protocol;
    DWORD flags;
    std::u16string_view name;
  };
  static constexpr Known kKnown[] = {{2, 16, 1, 6, kGuaranteed | kGraceful | kHandlesOfFiles, u"TCP/IP"},
                                     {2, 16, 2, 17, kConnectionless | kHandlesOfFiles, u"UDP/IP"},
                                     {23, 28, 1, 6, kGuaranteed | kGraceful | kHandlesOfFiles, u"TCP/IPv6"},
                                     {23, 28, 2, 17, kConnectionless | kHandlesOfFiles, u"UDP/IPv6"}};
  if (size == nullptr) return failed(WSAEFAULT, SOCKET_ERROR);
  std::vector<WSAPROTOCOL_INFOW> found;
  for (const Known& known : kKnown) {
    bool asked = wanted == nullptr;
    for (const int* at = wanted; at != nullptr && *at != 0; ++at) asked |= *at == known.protocol;
    if (!asked) continue;
    WSAPROTOCOL_INFOW info{};
    info.dwServiceFlags1 = known.flags;
    info.dwCatalogEntryId = 1001 + static_cast<DWORD>(&known - kKnown);
    info.ChainLen = 1;  // a provider by itself
    info.iVersion = 2;
    info.iAddressFamily = known.family;
    info.iMaxSockAddr = info.iMinSockAddr = known.address_size;
    info.iSocketType = known.type;
    info.iProtocol = known.protocol;
    known.name.copy(info.szProtocol, known.name.size());
    found.push_back(info);
  }
  const auto needed = static_cast<DWORD>(found.size() * sizeof(WSAPROTOCOL_INFOW));
  if (std::exchange(*size, needed) < needed) return failed(WSAENOBUFS, SOCKET_ERROR);
  std::ranges::copy(found, out);
  return static_cast<int>(found.size());
}

// ---- sockets ---------------------------------------------------------------------------------------------

SOCKET WSASocketW(int family, int type, int protocol, PVOID information, DWORD, DWORD) {
  if (information != nullptr) return failed(WSAEOPNOTSUPP, INVALID_SOCKET);  // one that a process shares
  auto made = io::make_socket(family, type, protocol);
  if (!made) return failed(made.error(), INVALID_SOCKET);
  auto handle = services().handles.insert(std::move(*made));
  return handle ? *handle : failed(handle.error(), INVALID_SOCKET);
}

SOCKET socket(int family, int type, int protocol) {
  return WSASocketW(family, type, protocol, nullptr, 0, 0);
}

/// A socket stays in its process.
int WSADuplicateSocketW(SOCKET socket, DWORD, WSAPROTOCOL_INFOW*) {
  return with_socket(socket, [](io::File&) { return failed(WSAEINVAL, SOCKET_ERROR); });
}

int closesocket(SOCKET socket) {
  auto file = socket_of(socket);
  return file ? outcome(services().handles.close(socket)) : failed(file.error(), SOCKET_ERROR);
}

int bind(SOCKET socket, const void* address, int size) {
  return with_socket(socket, [&](io::File& file) {
    return outcome(io::bind_socket(file, address, static_cast<std::uint32_t>(size)));
  });
}

int connect(SOCKET socket, const void* address, int size) {
  return with_socket(socket, [&](io::File& file) {
    return outcome(
        io::connect_socket(file, address, static_cast<std::uint32_t>(size), thread::current_waiter()));
  });
}

int give_address(const Result<io::SocketAddress>& address, void* out, int* size) {
  if (!address) return failed(address.error(), SOCKET_ERROR);
  if (static_cast<std::uint32_t>(*size) < address->size) return failed(WSAEFAULT, SOCKET_ERROR);
  std::memcpy(out, address->bytes, address->size);
  *size = static_cast<int>(address->size);
  return 0;
}

int listen(SOCKET socket, int backlog) {
  return with_socket(socket, [&](io::File& file) { return outcome(io::listen_socket(file, backlog)); });
}

SOCKET accept(SOCKET socket, void* address, int* size) {
  auto file = socket_of(socket);
  if (!file) return failed(file.error(), INVALID_SOCKET);
  io::SocketAddress peer;
  auto accepted = io::accept_socket(**file, peer, thread::current_waiter());
  if (!accepted) return failed(accepted.error(), INVALID_SOCKET);
  if (address != nullptr && give_address(peer, address, size) != 0) return INVALID_SOCKET;
  auto handle = services().handles.insert(std::move(*accepted));
  return handle ? *handle : failed(handle.error(), INVALID_SOCKET);
}

int getsockname(SOCKET socket, void* out, int* size) {
  return with_socket(socket, [&](io::File& file) { return give_address(io::own_address(file), out, size); });
}
int getpeername(SOCKET socket, void* out, int* size) {
  return with_socket(socket, [&](io::File& file) { return give_address(io::peer_address(file), out, size); });
}

int shutdown(SOCKET socket, int how) {
  return with_socket(socket, [&](io::File& file) { return outcome(io::shut_down(file, how)); });
}

// ---- data ------------------------------------------------------------------------------------------------

int count_of(const Result<std::size_t>& count) {
  return count ? static_cast<int>(*count) : failed(count.error(), SOCKET_ERROR);
}

int recv(SOCKET socket, BYTE* buffer, int size, int flags) {
  return with_socket(socket, [&](io::File& file) {
    return count_of(io::receive(file, {reinterpret_cast<std::byte*>(buffer), static_cast<std::size_t>(size)},
                                flags, thread::current_waiter()));
  });
}

int send(SOCKET socket, const BYTE* buffer, int size, int flags) {
  return with_socket(socket, [&](io::File& file) {
    return count_of(io::send(file,
                             {reinterpret_cast<const std::byte*>(buffer), static_cast<std::size_t>(size)},
                             flags, thread::current_waiter()));
  });
}

struct WSABUF {
  ULONG len;
  CHAR* buf;
};

/// What is sent is gone from the buffers on return, and what is received is there, so there is nothing to
/// overlap; who asks for a completion is refused.
bool wants_completion(const OVERLAPPED* overlapped, PVOID routine) {
  if (overlapped == nullptr && routine == nullptr) return false;
  set_last_error(WSAEOPNOTSUPP);
  return true;
}

int WSASendTo(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* sent, DWORD flags,
              const void* address, int address_size, OVERLAPPED* overlapped, PVOID routine) {
  if (wants_completion(overlapped, routine)) return SOCKET_ERROR;
  return with_socket(socket, [&](io::File& file) {
    std::vector<std::byte> all;
    for (DWORD i = 0; i < count; ++i) {
      const auto* bytes = reinterpret_cast<const std::byte*>(buffers[i].buf);
      all.insert(all.end(), bytes, bytes + buffers[i].len);
    }
    const int done = count_of(io::send(file, all, static_cast<int>(flags), thread::current_waiter(), address,
                                       static_cast<std::uint32_t>(address_size)));
    if (done == SOCKET_ERROR) return SOCKET_ERROR;
    *sent = static_cast<DWORD>(done);
    return 0;
  });
}

int WSASend(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* sent, DWORD flags,
            OVERLAPPED* overlapped, PVOID routine) {
  return WSASendTo(socket, buffers, count, sent, flags, nullptr, 0, overlapped, routine);
}

int WSARecvFrom(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* received, DWORD* flags, void* from,
                int* from_size, OVERLAPPED* overlapped, PVOID routine) {
  if (wants_completion(overlapped, routine)) return SOCKET_ERROR;
  return with_socket(socket, [&](io::File& file) {
    std::size_t room = 0;
    for (DWORD i = 0; i < count; ++i) room += buffers[i].len;
    std::vector<std::byte> all(room);
    io::SocketAddress sender;
    const int done =
        count_of(io::receive(file, all, static_cast<int>(*flags), thread::current_waiter(), &sender));
    if (done == SOCKET_ERROR) return SOCKET_ERROR;
    auto left = std::span<const std::byte>(all).first(static_cast<std::size_t>(done));
    for (DWORD i = 0; i < count && !left.empty(); ++i) {
      const std::size_t part = std::min<std::size_t>(left.size(), buffers[i].len);
      std::memcpy(buffers[i].buf, left.data(), part);
      left = left.subspan(part);
    }
    *received = static_cast<DWORD>(done);
    *flags = 0;
    return from == nullptr ? 0 : give_address(sender, from, from_size);
  });
}

int WSARecv(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* received, DWORD* flags,
            OVERLAPPED* overlapped, PVOID routine) {
  return WSARecvFrom(socket, buffers, count, received, flags, nullptr, nullptr, overlapped, routine);
}

int sendto(SOCKET socket, CHAR* buffer, int size, int flags, const void* address, int address_size) {
  const WSABUF one{static_cast<ULONG>(size), buffer};
  DWORD sent = 0;
  const int done =
      WSASendTo(socket, &one, 1, &sent, static_cast<DWORD>(flags), address, address_size, nullptr, nullptr);
  return done == 0 ? static_cast<int>(sent) : SOCKET_ERROR;
}

int recvfrom(SOCKET socket, CHAR* buffer, int size, int flags, void* from, int* from_size) {
  const WSABUF one{static_cast<ULONG>(size), buffer};
  DWORD received = 0, options = static_cast<DWORD>(flags);
  const int done = WSARecvFrom(socket, &one, 1, &received, &options, from, from_size, nullptr, nullptr);
  return done == 0 ? static_cast<int>(received) : SOCKET_ERROR;
}

// ---- waiting for many ------------------------------------------------------------------------------------

struct FD_SET {
  UINT fd_count;
  SOCKET fd_array[64];
};
struct TIMEVAL {
  LONG tv_sec, tv_usec;
};

/// FD_ISSET.
BOBBIN_MS_ABI int is_in_set(SOCKET socket, const FD_SET* set) {
  for (UINT at = 0; at < set->fd_count; ++at) {
    if (set->fd_array[at] == socket) return 1;
  }
  return 0;
}

int select(int, FD_SET* reads, FD_SET* writes, FD_SET* exceptions, const TIMEVAL* timeout) {
  FD_SET* const sets[] = {reads, writes, exceptions};
  bool io::Watched::* const asks[] = {&io::Watched::readable, &io::Watched::writable,
                                      &io::Watched::exceptional};
  std::vector<sync::Ref<io::File>> held;
  std::vector<io::Watched> watched;
  for (std::size_t i = 0; i < 3; ++i) {
    for (UINT at = 0; sets[i] != nullptr && at < std::min(sets[i]->fd_count, 64u); ++at) {
      auto file = socket_of(sets[i]->fd_array[at]);
      if (!file) return failed(file.error(), SOCKET_ERROR);
      io::Watched one{.socket = file->get(), .readable = false, .writable = false, .exceptional = false};
      one.*asks[i] = true;
      watched.push_back(one);
      held.push_back(std::move(*file));
    }
  }
  if (watched.empty()) return failed(WSAEINVAL, SOCKET_ERROR);
  os::Deadline deadline;
  if (timeout != nullptr) {
    deadline = sync::deadline_after(static_cast<std::uint64_t>(timeout->tv_sec) * 1'000'000'000 +
                                    static_cast<std::uint64_t>(timeout->tv_usec) * 1'000);
  }
  const auto count = io::select_sockets(watched, deadline, thread::current_waiter());
  if (!count) return failed(count.error(), SOCKET_ERROR);
  auto next = watched.cbegin();
  for (std::size_t i = 0; i < 3; ++i) {
    if (sets[i] == nullptr) continue;
    UINT left = 0;
    for (UINT at = 0; at < std::min(sets[i]->fd_count, 64u); ++at, ++next) {
      if (*next.*asks[i]) sets[i]->fd_array[left++] = sets[i]->fd_array[at];
    }
    sets[i]->fd_count = left;
  }
  return static_cast<int>(*count);
}

// ---- events ----------------------------------------------------------------------------------------------

Result<sync::Ref<sync::Event>> event_of(HANDLE handle) {
  return services().handles.get<sync::Event>(handle_value(handle), sync::Kind::event);
}

HANDLE WSACreateEvent() {
  return new_handle(sync::Ref<sync::Event>::adopt(new sync::Event(true, false)), nullptr);
}

BOOL WSASetEvent(HANDLE handle) {
  auto event = event_of(handle);
  return event ? ((*event)->set(), TRUE) : failed(event.error());
}

BOOL WSACloseEvent(HANDLE handle) {
  auto event = event_of(handle);
  return event ? done(services().handles.close(handle_value(handle))) : failed(event.error());
}

DWORD WSAWaitForMultipleEvents(DWORD count, const HANDLE* events, BOOL all, DWORD milliseconds,
                               BOOL alertable) {
  auto waited = wait_for_many(count, events, all != FALSE, deadline_of(milliseconds), alertable != FALSE);
  return waited ? *waited : (failed(waited.error()), WAIT_FAILED);
}

/// Nobody watches sockets for an event: only to have them watched no longer can be asked.
int WSAEventSelect(SOCKET socket, HANDLE, LONG wanted) {
  return with_socket(socket, [&](io::File&) { return wanted == 0 ? 0 : failed(WSAEINVAL, SOCKET_ERROR); });
}

/// So none has come.
int WSAEnumNetworkEvents(SOCKET socket, HANDLE handle, PVOID out) {
  struct WSANETWORKEVENTS {
    LONG lNetworkEvents;
    int iErrorCode[10];
  };
  return with_socket(socket, [&](io::File&) {
    if (handle != nullptr) {
      auto event = event_of(handle);
      if (!event) return failed(event.error(), SOCKET_ERROR);
      (*event)->reset();
    }
    *static_cast<WSANETWORKEVENTS*>(out) = {};
    return 0;
  });
}

// ---- options ---------------------------------------------------------------------------------------------

int ioctlsocket(SOCKET socket, LONG command, ULONG* argument) {
  constexpr auto kNonBlocking = static_cast<LONG>(0x8004667Eu);  // FIONBIO
  constexpr LONG kBytesWaiting = 0x4004667F;                     // FIONREAD
  return with_socket(socket, [&](io::File& file) {
    if (command == kNonBlocking) return outcome(io::set_blocking(file, *argument == 0));
    if (command != kBytesWaiting) return failed(WSAEOPNOTSUPP, SOCKET_ERROR);
    const auto count = io::bytes_waiting(file);
    if (!count) return failed(count.error(), SOCKET_ERROR);
    *argument = *count;
    return 0;
  });
}

/// Of what it can do, nothing is there.
int WSAIoctl(SOCKET socket, DWORD, PVOID, DWORD, PVOID, DWORD, DWORD*, OVERLAPPED*, PVOID) {
  return with_socket(socket, [](io::File&) { return failed(WSAEOPNOTSUPP, SOCKET_ERROR); });
}

int getsockopt(SOCKET socket, int level, int option, BYTE* out, int* size) {
  return with_socket(socket, [&](io::File& file) {
    const auto got = io::get_option(file, level, option,
                                    {reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(*size)});
    if (!got) return failed(got.error(), SOCKET_ERROR);
    *size = static_cast<int>(*got);
    return 0;
  });
}

int setsockopt(SOCKET socket, int level, int option, const BYTE* from, int size) {
  return with_socket(socket, [&](io::File& file) {
    return outcome(io::set_option(
        file, level, option, {reinterpret_cast<const std::byte*>(from), static_cast<std::size_t>(size)}));
  });
}

const Export kExports[] = {
    NATIVE(kWs2_32, WSACleanup),
    NATIVE(kWs2_32, WSACloseEvent),
    NATIVE(kWs2_32, WSACreateEvent),
    NATIVE(kWs2_32, WSADuplicateSocketW),
    NATIVE(kWs2_32, WSAEnumNetworkEvents),
    NATIVE(kWs2_32, WSAEnumProtocolsW),
    NATIVE(kWs2_32, WSAEventSelect),
    NATIVE(kWs2_32, WSAGetLastError),
    NATIVE(kWs2_32, WSAIoctl),
    NATIVE(kWs2_32, WSARecv),
    NATIVE(kWs2_32, WSARecvFrom),
    NATIVE(kWs2_32, WSASend),
    NATIVE(kWs2_32, WSASendTo),
    NATIVE(kWs2_32, WSASetEvent),
    NATIVE(kWs2_32, WSASetLastError),
    NATIVE(kWs2_32, WSASocketW),
    NATIVE(kWs2_32, WSAStartup),
    NATIVE(kWs2_32, WSAWaitForMultipleEvents),
    HOT_AS(kWs2_32, "__WSAFDIsSet", is_in_set),
    NATIVE(kWs2_32, accept),
    NATIVE(kWs2_32, bind),
    NATIVE(kWs2_32, closesocket),
    NATIVE(kWs2_32, connect),
    NATIVE(kWs2_32, getpeername),
    NATIVE(kWs2_32, getsockname),
    NATIVE(kWs2_32, getsockopt),
    NATIVE(kWs2_32, ioctlsocket),
    NATIVE(kWs2_32, listen),
    NATIVE(kWs2_32, recv),
    NATIVE(kWs2_32, recvfrom),
    NATIVE(kWs2_32, select),
    NATIVE(kWs2_32, send),
    NATIVE(kWs2_32, sendto),
    NATIVE(kWs2_32, setsockopt),
    NATIVE(kWs2_32, shutdown),
    NATIVE(kWs2_32, socket),
};

}  // namespace

std::span<const Export> winsock2_natives() { return kExports; }

}  // namespace bobbin::win32
