// winsock2.h, its sockets: a SOCKET is a handle, and what fails leaves its WSAE* number as last error. (Names
// and addresses are in winsock2_names.cpp.)
#include <algorithm>
#include <utility>

#include "win32/natives.hpp"
#include "win32/socket_support.hpp"

namespace bobbin::win32 {

using namespace abi;

Result<std::optional<io::Outcome>> begin_socket(io::File& socket, io::Operation operation,
                                                OVERLAPPED& overlapped, void* routine) {
  auto asker = asker_of(overlapped, routine);
  if (!asker) return propagate(asker);
  asker->called = io::Asker::Called::for_socket;
  operation.asker = std::move(*asker);
  return services().files.operations().begin(socket, std::move(operation));
}

namespace {

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

constexpr DWORD WSA_FLAG_OVERLAPPED = 1;

SOCKET WSASocketW(int family, int type, int protocol, PVOID information, DWORD, DWORD flags) {
  if (information != nullptr) return failed(WSAEOPNOTSUPP, INVALID_SOCKET);  // one that a process shares
  auto made = io::make_socket(family, type, protocol, (flags & WSA_FLAG_OVERLAPPED) != 0);
  if (!made) return socket_failed(made.error(), INVALID_SOCKET);
  auto handle = services().handles.insert(std::move(*made));
  return handle ? *handle : socket_failed(handle.error(), INVALID_SOCKET);
}

SOCKET socket(int family, int type, int protocol) {
  return WSASocketW(family, type, protocol, nullptr, 0, WSA_FLAG_OVERLAPPED);
}

/// A socket stays in its process.
int WSADuplicateSocketW(SOCKET socket, DWORD, WSAPROTOCOL_INFOW*) {
  return with_socket(socket, [](io::File&) { return failed(WSAEINVAL, SOCKET_ERROR); });
}

int closesocket(SOCKET socket) {
  auto file = socket_of(socket);
  return file ? outcome(services().handles.close(socket)) : socket_failed(file.error());
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
  if (!address) return socket_failed(address.error());
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
  if (!file) return socket_failed(file.error(), INVALID_SOCKET);
  io::SocketAddress peer;
  auto accepted = io::accept_socket(**file, peer, thread::current_waiter());
  if (!accepted) return socket_failed(accepted.error(), INVALID_SOCKET);
  if (address != nullptr && give_address(peer, address, size) != 0) return INVALID_SOCKET;
  auto handle = services().handles.insert(std::move(*accepted));
  return handle ? *handle : socket_failed(handle.error(), INVALID_SOCKET);
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

struct WSABUF {
  ULONG len;
  CHAR* buf;
};

io::Parts parts_of(const WSABUF* buffers, DWORD count) {
  io::Parts parts;
  for (DWORD i = 0; i < count; ++i) parts.push_back({buffers[i].buf, buffers[i].len});
  return parts;
}

/// What was begun with an OVERLAPPED, as its caller sees it; `count` may be null.
int answer(const Result<std::optional<io::Outcome>>& begun, DWORD* count) {
  if (!begun) return socket_failed(begun.error());
  if (!*begun) return failed(ERROR_IO_PENDING, SOCKET_ERROR);
  if (!(*begun)->good()) return failed(io::socket_error_of((*begun)->status), SOCKET_ERROR);
  if (count != nullptr) *count = static_cast<DWORD>((*begun)->transferred);
  return 0;
}

int WSASendTo(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* sent, DWORD flags,
              const void* address, int address_size, OVERLAPPED* overlapped, PVOID routine) {
  return with_socket(socket, [&](io::File& file) {
    std::optional<io::SocketAddress> to;
    if (address != nullptr) {
      const auto copy = io::address_from(address, static_cast<std::uint32_t>(address_size));
      if (!copy) return socket_failed(copy.error());
      to = *copy;
    }
    io::Parts parts = parts_of(buffers, count);
    if (overlapped != nullptr && file.overlaps()) {
      auto operation = io::sending(file, std::move(parts), static_cast<int>(flags), to);
      return answer(begin_socket(file, std::move(operation), *overlapped, routine), sent);
    }
    const auto done =
        io::send(file, parts, static_cast<int>(flags), thread::current_waiter(), to ? &*to : nullptr);
    if (!done) return socket_failed(done.error());
    *sent = static_cast<DWORD>(*done);
    return 0;
  });
}

int WSASend(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* sent, DWORD flags,
            OVERLAPPED* overlapped, PVOID routine) {
  return WSASendTo(socket, buffers, count, sent, flags, nullptr, 0, overlapped, routine);
}

int WSARecvFrom(SOCKET socket, const WSABUF* buffers, DWORD count, DWORD* received, DWORD* flags, void* from,
                int* from_size, OVERLAPPED* overlapped, PVOID routine) {
  return with_socket(socket, [&](io::File& file) {
    io::Parts parts = parts_of(buffers, count);
    const auto options = static_cast<int>(std::exchange(*flags, 0));
    if (overlapped != nullptr && file.overlaps()) {
      auto operation = io::receiving(file, std::move(parts), options, from, from_size);
      return answer(begin_socket(file, std::move(operation), *overlapped, routine), received);
    }
    io::SocketAddress sender;
    const auto done = io::receive(file, parts, options, thread::current_waiter(), &sender);
    if (!done) return socket_failed(done.error());
    *received = static_cast<DWORD>(*done);
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

int send(SOCKET socket, CHAR* buffer, int size, int flags) {
  return sendto(socket, buffer, size, flags, nullptr, 0);
}

int recvfrom(SOCKET socket, CHAR* buffer, int size, int flags, void* from, int* from_size) {
  const WSABUF one{static_cast<ULONG>(size), buffer};
  DWORD received = 0, options = static_cast<DWORD>(flags);
  const int done = WSARecvFrom(socket, &one, 1, &received, &options, from, from_size, nullptr, nullptr);
  return done == 0 ? static_cast<int>(received) : SOCKET_ERROR;
}

int recv(SOCKET socket, CHAR* buffer, int size, int flags) {
  return recvfrom(socket, buffer, size, flags, nullptr, nullptr);
}

BOOL WSAGetOverlappedResult(SOCKET socket, OVERLAPPED* overlapped, DWORD* transferred, BOOL wait,
                            DWORD* flags) {
  auto file = socket_of(socket);
  if (!file) return socket_failed(file.error(), FALSE);
  const auto ended =
      overlapped_outcome(reinterpret_cast<HANDLE>(socket), *overlapped, wait ? INFINITE : 0, false);
  if (!ended) return FALSE;
  *transferred = static_cast<DWORD>(ended->transferred);
  *flags = 0;
  return ended->good() ? TRUE : failed(io::socket_error_of(ended->status));
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
      if (!file) return socket_failed(file.error());
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
  if (!count) return socket_failed(count.error());
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
      if (!event) return socket_failed(event.error());
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
    if (command == kNonBlocking) return io::set_blocking(file, *argument == 0), 0;
    if (command != kBytesWaiting) return failed(WSAEOPNOTSUPP, SOCKET_ERROR);
    const auto count = io::bytes_waiting(file);
    if (!count) return socket_failed(count.error());
    *argument = *count;
    return 0;
  });
}

/// What a command of WSAIoctl is handed, and where its answer goes.
struct Command {
  DWORD code;
  const BYTE* in;
  DWORD in_size;
  BYTE* out;
  DWORD out_size;

  /// The argument, if it is whole.
  template <class T>
  std::optional<T> argument() const {
    T value;
    if (in == nullptr || in_size < sizeof value) return std::nullopt;
    std::memcpy(&value, in, sizeof value);
    return value;
  }
  /// How much was answered; nothing if there is no room.
  template <class T>
  Result<DWORD> answer(const T& value) const {
    if (out == nullptr || out_size < sizeof value) return io::socket_failure("there is no room", EFAULT);
    std::memcpy(out, &value, sizeof value);
    return DWORD{sizeof value};
  }
};

Result<DWORD> carry_out(io::File& file, const Command& command) {
  constexpr DWORD FIONBIO = 0x8004667E, FIONREAD = 0x4004667F, SIO_KEEPALIVE_VALS = 0x98000004,
                  SIO_UDP_CONNRESET = 0x9800000C, SIO_GET_EXTENSION_FUNCTION_POINTER = 0xC8000006;
  struct tcp_keepalive {
    ULONG onoff, keepalivetime, keepaliveinterval;
  };
  const auto missing = [] { return io::socket_failure("there is no argument", EFAULT); };
  switch (command.code) {
    case FIONBIO:
      if (const auto on = command.argument<ULONG>()) return io::set_blocking(file, *on == 0), DWORD{0};
      return missing();
    case FIONREAD: {
      const auto count = io::bytes_waiting(file);
      return count ? command.answer<ULONG>(*count) : fail(count.error());
    }
    case SIO_UDP_CONNRESET:
      if (const auto on = command.argument<BOOL>())
        return file.socket()->told_of_unreachable = *on != FALSE, DWORD{0};
      return missing();
    case SIO_KEEPALIVE_VALS:
      if (const auto values = command.argument<tcp_keepalive>()) {
        const auto set =
            io::keep_alive(file, values->onoff != 0, values->keepalivetime, values->keepaliveinterval);
        return set ? Result<DWORD>(0) : fail(set.error());
      }
      return missing();
    case SIO_GET_EXTENSION_FUNCTION_POINTER: {
      const auto wanted = command.argument<GUID>();
      if (!wanted) return missing();
      void* const function = socket_extension(*wanted);
      if (function == nullptr) return io::socket_failure("there is no such function", EINVAL);
      return command.answer(function);
    }
    default:
      return io::socket_failure("there is no such command", EOPNOTSUPP);
  }
}

/// Each command is complete on return, whoever is to be told.
int WSAIoctl(SOCKET socket, DWORD code, BYTE* in, DWORD in_size, BYTE* out, DWORD out_size, DWORD* count,
             OVERLAPPED* overlapped, PVOID routine) {
  return with_socket(socket, [&](io::File& file) {
    const auto answered = carry_out(file, {code, in, in_size, out, out_size});
    if (!answered) return socket_failed(answered.error());
    if (overlapped == nullptr || !file.overlaps()) return *count = *answered, 0;
    io::Operation done{.kind = io::Operation::Kind::read,
                       .attempt = [size = *answered] { return io::Outcome{STATUS_SUCCESS, size}; },
                       .asker = {}};
    return answer(begin_socket(file, std::move(done), *overlapped, routine), count);
  });
}

int getsockopt(SOCKET socket, int level, int option, BYTE* out, int* size) {
  return with_socket(socket, [&](io::File& file) {
    const auto got = io::get_option(file, level, option,
                                    {reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(*size)});
    if (!got) return socket_failed(got.error());
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
    NATIVE(kWs2_32, WSAGetOverlappedResult),
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
