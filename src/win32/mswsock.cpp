// mswsock.h: connections that are made, accepted and ended by operations that wait. AcceptEx and its
// addresses have names in mswsock.dll; ConnectEx and DisconnectEx, as on Windows, are had of WSAIoctl alone.
#include "win32/natives.hpp"
#include "win32/socket_support.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

/// TRUE, or FALSE and last error; `count` may be null.
BOOL answer(const Result<std::optional<io::Outcome>>& begun, DWORD* count) {
  if (!begun) return socket_failed(begun.error(), FALSE);
  if (!*begun) return failed(ERROR_IO_PENDING);
  if (!(*begun)->good()) return failed(io::socket_error_of((*begun)->status));
  if (count != nullptr) *count = static_cast<DWORD>((*begun)->transferred);
  return TRUE;
}

/// What is received, then both addresses.
BOOL AcceptEx(SOCKET listener, SOCKET into, BYTE* room, DWORD data_size, DWORD own_size, DWORD peer_size,
              DWORD* received, OVERLAPPED* overlapped) {
  auto listening = socket_of(listener);
  if (!listening) return socket_failed(listening.error(), FALSE);
  auto accepted = socket_of(into);
  if (!accepted) return socket_failed(accepted.error(), FALSE);
  if (overlapped == nullptr || !(*listening)->overlaps()) return failed(ERROR_INVALID_PARAMETER);
  if (room == nullptr) return failed(WSAEFAULT);
  const std::span all(reinterpret_cast<std::byte*>(room), std::size_t{data_size} + own_size + peer_size);
  auto operation = io::accepting(
      **listening, *accepted,
      {.data = all.first(data_size), .own = all.subspan(data_size, own_size), .peer = all.last(peer_size)});
  if (!operation) return socket_failed(operation.error(), FALSE);
  return answer(begin_socket(**listening, std::move(*operation), *overlapped, nullptr), received);
}

void GetAcceptExSockaddrs(BYTE* room, DWORD data_size, DWORD own_size, DWORD, void** own, int* own_length,
                          void** peer, int* peer_length) {
  BYTE* const addresses[] = {room + data_size, room + data_size + own_size};
  *own = addresses[0];
  *own_length = static_cast<int>(io::translate_accepted(reinterpret_cast<std::byte*>(addresses[0])));
  *peer = addresses[1];
  *peer_length = static_cast<int>(io::translate_accepted(reinterpret_cast<std::byte*>(addresses[1])));
}

BOOL ConnectEx(SOCKET socket, const void* address, int address_size, void* data, DWORD size, DWORD* sent,
               OVERLAPPED* overlapped) {
  auto file = socket_of(socket);
  if (!file) return socket_failed(file.error(), FALSE);
  if (overlapped == nullptr || !(*file)->overlaps()) return failed(ERROR_INVALID_PARAMETER);
  const auto to = io::address_from(address, static_cast<std::uint32_t>(address_size));
  if (!to) return socket_failed(to.error(), FALSE);
  io::Parts parts;
  if (data != nullptr) parts.push_back({data, size});
  auto operation = io::connecting(**file, *to, std::move(parts));
  if (!operation) return socket_failed(operation.error(), FALSE);
  return answer(begin_socket(**file, std::move(*operation), *overlapped, nullptr), sent);
}

BOOL DisconnectEx(SOCKET socket, OVERLAPPED* overlapped, DWORD flags, DWORD) {
  constexpr DWORD TF_REUSE_SOCKET = 2;
  if ((flags & ~TF_REUSE_SOCKET) != 0) return failed(WSAEINVAL);
  auto file = socket_of(socket);
  if (!file) return socket_failed(file.error(), FALSE);
  auto operation = io::disconnecting(**file, (flags & TF_REUSE_SOCKET) != 0);
  if (overlapped != nullptr && (*file)->overlaps())
    return answer(begin_socket(**file, std::move(operation), *overlapped, nullptr), nullptr);
  return answer(carry_out(**file, std::move(operation)), nullptr);
}

const Export kExports[] = {
    NATIVE(kMswsock, AcceptEx),
    NATIVE(kMswsock, GetAcceptExSockaddrs),
};

}  // namespace

void* socket_extension(const GUID& which) {
  constexpr std::uint32_t kNoMemory = 0;
  static const struct {
    GUID guid;
    void* function;
  } kFunctions[] = {
      {{0xB5367DF1, 0xCBAC, 0x11CF, {0x95, 0xCA, 0x00, 0x80, 0x5F, 0x48, 0xA1, 0x92}},
       reinterpret_cast<void*>(&Entry<&AcceptEx, kNoMemory>::call)},
      {{0xB5367DF2, 0xCBAC, 0x11CF, {0x95, 0xCA, 0x00, 0x80, 0x5F, 0x48, 0xA1, 0x92}},
       reinterpret_cast<void*>(&Entry<&GetAcceptExSockaddrs, kNoMemory>::call)},
      {{0x25A207B9, 0xDDF3, 0x4660, {0x8E, 0xE9, 0x76, 0xE5, 0x8C, 0x74, 0x06, 0x3E}},
       reinterpret_cast<void*>(&Entry<&ConnectEx, kNoMemory>::call)},
      {{0x7FDA2E11, 0x8630, 0x436F, {0xA0, 0x31, 0xF5, 0x36, 0xA6, 0xEE, 0xC1, 0x57}},
       reinterpret_cast<void*>(&Entry<&DisconnectEx, kNoMemory>::call)},
  };
  for (const auto& one : kFunctions) {
    if (std::memcmp(&one.guid, &which, sizeof which) == 0) return one.function;
  }
  return nullptr;
}

std::span<const Export> mswsock_natives() { return kExports; }

}  // namespace bobbin::win32
