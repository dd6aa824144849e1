// namedpipeapi.h: anonymous pipes. Named ones are not there: making one fails, and there is none to wait for.
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

HANDLE CreateNamedPipeW(LPCWSTR, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, SECURITY_ATTRIBUTES*) {
  return failed(ERROR_NOT_SUPPORTED, INVALID_HANDLE_VALUE);
}

/// For the server's end of a named pipe, which no handle names.
BOOL ConnectNamedPipe(HANDLE handle, OVERLAPPED*) {
  auto pipe = pipe_of(handle);
  return failed(pipe ? ERROR_INVALID_FUNCTION : win32_error(pipe.error().status));
}

BOOL WaitNamedPipeA(LPCSTR, DWORD) { return failed(ERROR_FILE_NOT_FOUND); }

const Export kExports[] = {
    NATIVE(kKernel32, ConnectNamedPipe),
    NATIVE(kKernel32, CreateNamedPipeW),
    NATIVE(kKernel32, CreatePipe),
    NATIVE(kKernel32, PeekNamedPipe),
    NATIVE(kKernel32, SetNamedPipeHandleState),
    NATIVE(kKernel32, WaitNamedPipeA),
};

}  // namespace

std::span<const Export> namedpipeapi_natives() { return kExports; }

}  // namespace bobbin::win32
