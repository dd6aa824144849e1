// namedpipeapi.h: anonymous and named pipes, of bytes: messages are refused, and so is what does not wait.
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

Borrowed<io::File> pipe_of(HANDLE handle) {
  auto file = find_file(handle);
  if (file && (*file)->file_kind() != io::FileKind::pipe) {
    return fail(
        {.kind = ErrorKind::invalid, .status = STATUS_INVALID_DEVICE_REQUEST, .what = "this is no pipe"});
  }
  return file;
}

BOOL CreatePipe(HANDLE* read, HANDLE* write, SECURITY_ATTRIBUTES* security, DWORD size) {
  auto ends = io::make_pipe(size);
  if (!ends) return failed(ends.error());
  const bool inheritable = security != nullptr && security->bInheritHandle != FALSE;
  auto reader = services().handles.insert(std::move(ends->read), inheritable);
  if (!reader) return failed(reader.error());
  auto writer = services().handles.insert(std::move(ends->write), inheritable);
  if (!writer) {
    (void)services().handles.close(*reader);
    return failed(writer.error());
  }
  *read = guest_handle(*reader);
  *write = guest_handle(*writer);
  return TRUE;
}

BOOL PeekNamedPipe(HANDLE handle, LPVOID buffer, DWORD size, DWORD* count, DWORD* available, DWORD* left) {
  auto pipe = pipe_of(handle);
  if (!pipe) return failed(pipe.error());
  const auto waiting = (*pipe)->available();
  if (!waiting) return failed(waiting.error());
  const bool copy = buffer != nullptr && size != 0;
  const auto peeked = copy ? (*pipe)->peek({static_cast<std::byte*>(buffer), size}) : Result<std::size_t>(0);
  if (!peeked) return failed(peeked.error());
  if (count != nullptr) *count = static_cast<DWORD>(*peeked);
  if (available != nullptr) *available = static_cast<DWORD>(*waiting);
  if (left != nullptr) *left = 0;  // a byte stream has no messages
  return TRUE;
}

/// Byte mode and waiting is all that a pipe here can do.
BOOL SetNamedPipeHandleState(HANDLE handle, DWORD* mode, DWORD* maximum_count, DWORD* timeout) {
  auto pipe = pipe_of(handle);
  if (!pipe) return failed(pipe.error());
  if (mode != nullptr && *mode != 0) return failed(ERROR_NOT_SUPPORTED);
  return maximum_count == nullptr && timeout == nullptr ? TRUE : failed(ERROR_INVALID_PARAMETER);
}

enum : DWORD { PIPE_ACCESS_INBOUND = 1, PIPE_ACCESS_OUTBOUND = 2, PIPE_ACCESS_DUPLEX = 3 };
enum : DWORD {
  PIPE_NOWAIT = 1,
  PIPE_READMODE_MESSAGE = 2,
  PIPE_TYPE_MESSAGE = 4,
  PIPE_REJECT_REMOTE_CLIENTS = 8
};
constexpr DWORD FILE_FLAG_FIRST_PIPE_INSTANCE = 0x00080000;
constexpr DWORD PIPE_UNLIMITED_INSTANCES = 255;

HANDLE create_named_pipe(std::u16string_view path, DWORD open_mode, DWORD pipe_mode, DWORD most,
                         DWORD out_size, DWORD in_size, DWORD default_wait,
                         const SECURITY_ATTRIBUTES* security) {
  const auto name = io::NamedPipes::name_in(path);
  const DWORD direction = open_mode & PIPE_ACCESS_DUPLEX;
  if (!name) return failed(ERROR_INVALID_NAME, INVALID_HANDLE_VALUE);
  if (direction == 0 || most == 0 || most > PIPE_UNLIMITED_INSTANCES)
    return failed(ERROR_INVALID_PARAMETER, INVALID_HANDLE_VALUE);
  if ((pipe_mode & (PIPE_NOWAIT | PIPE_READMODE_MESSAGE | PIPE_TYPE_MESSAGE)) != 0)
    return failed(ERROR_NOT_SUPPORTED, INVALID_HANDLE_VALUE);
  io::PipeTerms terms{.to_server = (direction & PIPE_ACCESS_INBOUND) != 0,
                      .to_client = (direction & PIPE_ACCESS_OUTBOUND) != 0,
                      .most = most == PIPE_UNLIMITED_INSTANCES ? INFINITE : most};
  if (default_wait != 0) terms.default_wait = default_wait;
  auto pipe = services().files.pipes().create(
      *name, terms, open_mode & (FILE_FLAG_OVERLAPPED | FILE_FLAG_WRITE_THROUGH), std::max(out_size, in_size),
      (open_mode & FILE_FLAG_FIRST_PIPE_INSTANCE) != 0);
  if (!pipe) return failed(pipe.error(), INVALID_HANDLE_VALUE);
  const HANDLE handle = new_handle(std::move(*pipe), security);
  return handle == nullptr ? INVALID_HANDLE_VALUE : handle;
}

HANDLE CreateNamedPipeW(LPCWSTR path, DWORD open_mode, DWORD pipe_mode, DWORD most, DWORD out_size,
                        DWORD in_size, DWORD default_wait, SECURITY_ATTRIBUTES* security) {
  return create_named_pipe(view(path), open_mode, pipe_mode, most, out_size, in_size, default_wait, security);
}

HANDLE CreateNamedPipeA(LPCSTR path, DWORD open_mode, DWORD pipe_mode, DWORD most, DWORD out_size,
                        DWORD in_size, DWORD default_wait, SECURITY_ATTRIBUTES* security) {
  return create_named_pipe(wide(path), open_mode, pipe_mode, most, out_size, in_size, default_wait, security);
}

/// The server's end of a named pipe.
Borrowed<io::File> server_of(HANDLE handle) {
  auto file = find_file(handle);
  if (file && !(*file)->pipe()) {
    return fail({.kind = ErrorKind::invalid,
                 .status = STATUS_INVALID_DEVICE_REQUEST,
                 .what = "this is no server's end of a named pipe"});
  }
  return file;
}

io::Operation connecting(io::File& pipe, io::Asker asker) {
  return {.kind = io::Operation::Kind::connect,
          .attempt =
              [&pipe, first_time = true]() mutable {
                return services().files.pipes().try_connect(*pipe.pipe(), std::exchange(first_time, false));
              },
          .asker = std::move(asker)};
}

BOOL ConnectNamedPipe(HANDLE handle, OVERLAPPED* overlapped) {
  auto pipe = server_of(handle);
  if (!pipe) return failed(pipe.error());
  if (overlapped == nullptr || !(*pipe)->overlaps()) return begun(carry_out(**pipe, connecting(**pipe, {})));
  auto asker = asker_of(*overlapped);
  if (!asker) return failed(asker.error());
  return begun(services().files.operations().begin(**pipe, connecting(**pipe, std::move(*asker))));
}

BOOL DisconnectNamedPipe(HANDLE handle) {
  auto pipe = server_of(handle);
  return pipe ? done(services().files.pipes().disconnect(**pipe)) : failed(pipe.error());
}

enum : ULONG {
  FSCTL_PIPE_DISCONNECT = 0x110004,
  FSCTL_PIPE_LISTEN = 0x110008,
  FSCTL_PIPE_PEEK = 0x11400C,
};

/// What FSCTL_PIPE_PEEK answers with; then the bytes.
struct FILE_PIPE_PEEK_BUFFER {
  ULONG NamedPipeState, ReadDataAvailable, NumberOfMessages, MessageLength;
};
enum : ULONG { FILE_PIPE_CONNECTED_STATE = 3 };

NTSTATUS peek(io::File& pipe, IO_STATUS_BLOCK* io, BYTE* out, ULONG size) {
  if (size < sizeof(FILE_PIPE_PEEK_BUFFER))
    return *io = {{.Status = nt(STATUS_BUFFER_TOO_SMALL)}, 0}, io->Status;
  const auto waiting = pipe.available();
  if (!waiting) return *io = {{.Status = nt(waiting.error())}, 0}, io->Status;
  const std::span room(reinterpret_cast<std::byte*>(out), size);
  const auto peeked = pipe.peek(room.subspan(sizeof(FILE_PIPE_PEEK_BUFFER)));
  if (!peeked) return *io = {{.Status = nt(peeked.error())}, 0}, io->Status;
  const FILE_PIPE_PEEK_BUFFER head{FILE_PIPE_CONNECTED_STATE, static_cast<ULONG>(*waiting), 0, 0};
  std::memcpy(out, &head, sizeof head);
  *io = {{.Status = nt(*peeked < *waiting ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS)}, sizeof head + *peeked};
  return io->Status;
}

/// Of what can be asked of file systems: what ConnectNamedPipe, DisconnectNamedPipe and PeekNamedPipe do.
NTSTATUS NtFsControlFile(HANDLE handle, HANDLE event, PVOID routine, PVOID context, IO_STATUS_BLOCK* io,
                         ULONG code, PVOID, ULONG, BYTE* out, ULONG size) {
  if (code == FSCTL_PIPE_PEEK) {
    auto pipe = pipe_of(handle);
    return pipe ? peek(**pipe, io, out, size) : nt(pipe.error());
  }
  if (code != FSCTL_PIPE_LISTEN && code != FSCTL_PIPE_DISCONNECT) {
    auto file = file_of(handle);
    return nt(file ? std::uint32_t{STATUS_INVALID_DEVICE_REQUEST} : file.error().status);
  }
  auto pipe = server_of(handle);
  if (!pipe) return nt(pipe.error());
  if (code == FSCTL_PIPE_LISTEN && (*pipe)->overlaps())
    return begin_nt(**pipe, event, routine, context, io, connecting(**pipe, {}));
  const NTSTATUS status = code == FSCTL_PIPE_LISTEN ? nt(carry_out(**pipe, connecting(**pipe, {})).status)
                                                    : nt(services().files.pipes().disconnect(**pipe));
  *io = {{.Status = status}, 0};
  return status;
}

BOOL wait_named_pipe(std::u16string_view path, DWORD milliseconds) {
  const auto name = io::NamedPipes::name_in(path);
  if (!name) return failed(ERROR_INVALID_NAME);
  return done(services().files.pipes().wait(*name, milliseconds, thread::current_waiter()));
}

BOOL WaitNamedPipeW(LPCWSTR path, DWORD milliseconds) { return wait_named_pipe(view(path), milliseconds); }
BOOL WaitNamedPipeA(LPCSTR path, DWORD milliseconds) { return wait_named_pipe(wide(path), milliseconds); }

const Export kExports[] = {
    NATIVE(kKernel32, ConnectNamedPipe),    NATIVE(kKernel32, CreateNamedPipeA),
    NATIVE(kKernel32, CreateNamedPipeW),    NATIVE(kKernel32, CreatePipe),
    NATIVE(kKernel32, DisconnectNamedPipe), NT_NATIVE(kNtdll, NtFsControlFile),
    NATIVE(kKernel32, PeekNamedPipe),       NATIVE(kKernel32, SetNamedPipeHandleState),
    NATIVE(kKernel32, WaitNamedPipeA),      NATIVE(kKernel32, WaitNamedPipeW),
};

}  // namespace

std::span<const Export> namedpipeapi_natives() { return kExports; }

}  // namespace bobbin::win32
