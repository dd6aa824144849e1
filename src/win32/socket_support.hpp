// What the natives about sockets share. A SOCKET is a handle, and what fails leaves its WSAE* number as last
// error.
#pragma once

#include <optional>
#include <utility>

#include "io/socket.hpp"
#include "win32/io_support.hpp"

namespace bobbin::win32 {

using SOCKET = abi::ULONG_PTR;
inline constexpr SOCKET INVALID_SOCKET = ~SOCKET{0};
inline constexpr int SOCKET_ERROR = -1;
enum : abi::DWORD {
  WSAEFAULT = 10014,
  WSAEINVAL = 10022,
  WSAENOTSOCK = 10038,
  WSAEOPNOTSUPP = 10045,
  WSAVERNOTSUPPORTED = 10092,
};

/// Sets last error to the WSAE* number of an internal failure.
template <class T = int>
T socket_failed(const Error& error, T answer = static_cast<T>(SOCKET_ERROR)) {
  return failed(io::socket_error_of(error.status), answer);
}

[[nodiscard]] inline Borrowed<io::File> socket_of(SOCKET socket) {
  auto file = find_file(reinterpret_cast<abi::HANDLE>(socket));
  if (!file) {
    return fail({.kind = ErrorKind::invalid,
                 .status = io::status_of_win32(WSAENOTSOCK),
                 .what = "the handle names no socket"});
  }
  if (auto is_one = io::check_socket(**file); !is_one) return propagate(is_one);
  return file;
}

/// 0, or SOCKET_ERROR and last error.
[[nodiscard]] inline int outcome(const Result<void>& done) { return done ? 0 : socket_failed(done.error()); }

/// Runs `use` on a socket.
template <class Use>
int with_socket(SOCKET socket, Use use) {
  auto file = socket_of(socket);
  return file ? use(**file) : socket_failed(file.error());
}

/// Begins what an OVERLAPPED, and perhaps a procedure, will be told of; nothing if that has to wait.
[[nodiscard]] Result<std::optional<io::Outcome>> begin_socket(io::File& socket, io::Operation operation,
                                                              abi::OVERLAPPED& overlapped, void* routine);

/// The function of mswsock.h that a GUID names, or null.
[[nodiscard]] void* socket_extension(const abi::GUID& which);

}  // namespace bobbin::win32
