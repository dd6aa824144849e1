// ioapiset.h: completion ports, the outcome and the end of overlapped operations, and device control; of
// winbase.h what belongs to completion ports.
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <utility>

#include "io/folder_watch.hpp"
#include "sync/completion_port.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using sync::CompletionPort;
using sync::Packet;

Borrowed<CompletionPort> port_of(HANDLE handle) {
  return borrow<CompletionPort>(handle, sync::Kind::completion_port);
}

bool succeeded(std::uint32_t status) { return static_cast<NTSTATUS>(status) >= 0; }

/// Without a port it makes one; with a file it lets the port be told of the file's operations.
HANDLE CreateIoCompletionPort(HANDLE handle, HANDLE port, ULONG_PTR key, DWORD) {
  if (handle == INVALID_HANDLE_VALUE) {
    if (port != nullptr) return failed(ERROR_INVALID_PARAMETER, nullptr);
    return new_handle(sync::Ref<CompletionPort>::adopt(new CompletionPort), nullptr);
  }
  auto file = file_of(handle);
  if (!file) return failed(file.error(), nullptr);
  const HANDLE given =
      port != nullptr ? port : new_handle(sync::Ref<CompletionPort>::adopt(new CompletionPort), nullptr);
  if (given == nullptr) return nullptr;
  auto object = port_of(given);
  auto associated = object ? (*file)->associate(std::move(*object), key) : fail(object.error());
  if (associated) return given;
  if (port == nullptr) (void)services().handles.close(handle_value(given));
  return failed(associated.error(), nullptr);
}

BOOL PostQueuedCompletionStatus(HANDLE handle, DWORD transferred, ULONG_PTR key, OVERLAPPED* overlapped) {
  auto port = port_of(handle);
  if (!port) return failed(port.error());
  (*port)->post({.key = key, .overlapped = overlapped, .transferred = transferred});
  return TRUE;
}

/// How many packets were taken; 0 and last error if none came.
std::size_t take(HANDLE handle, std::span<Packet> into, DWORD milliseconds, bool alertable) {
  auto port = port_of(handle);
  if (!port) return failed<std::size_t>(port.error());
  const auto taken = (*port)->take(into, deadline_of(milliseconds), thread::current_waiter(), alertable);
  constexpr DWORD ERROR_ABANDONED_WAIT_0 = 735;
  if (taken.outcome == sync::WaitOutcome::Kind::abandoned)
    set_last_error(ERROR_ABANDONED_WAIT_0);
  else if (taken.count == 0)
    set_last_error(ended({taken.outcome}));  // WAIT_TIMEOUT or WAIT_IO_COMPLETION
  return taken.count;
}

BOOL GetQueuedCompletionStatus(HANDLE handle, DWORD* transferred, ULONG_PTR* key, OVERLAPPED** overlapped,
                               DWORD milliseconds) {
  Packet packet;
  *overlapped = nullptr;
  if (take(handle, {&packet, 1}, milliseconds, false) == 0) return FALSE;
  *transferred = static_cast<DWORD>(packet.transferred);
  *key = packet.key;
  *overlapped = static_cast<OVERLAPPED*>(packet.overlapped);
  return succeeded(packet.status) ? TRUE : failed(win32_error(packet.status));
}

struct OVERLAPPED_ENTRY {
  ULONG_PTR lpCompletionKey;
  OVERLAPPED* lpOverlapped;
  ULONG_PTR Internal;
  DWORD dwNumberOfBytesTransferred;
};
static_assert(sizeof(OVERLAPPED_ENTRY) == 32);

BOOL GetQueuedCompletionStatusEx(HANDLE handle, OVERLAPPED_ENTRY* entries, ULONG room, ULONG* count,
                                 DWORD milliseconds, BOOL alertable) {
  if (entries == nullptr || count == nullptr || room == 0) return failed(ERROR_INVALID_PARAMETER);
  probe_for_write(entries, std::size_t{room} * sizeof *entries);
  probe_for_write(count);
  std::array<Packet, 64> packets;
  const std::size_t taken =
      take(handle, std::span(packets).first(std::min<std::size_t>(room, packets.size())), milliseconds,
           alertable != FALSE);
  for (std::size_t i = 0; i < taken; ++i) {
    entries[i] = {packets[i].key, static_cast<OVERLAPPED*>(packets[i].overlapped), packets[i].status,
                  static_cast<DWORD>(packets[i].transferred)};
  }
  *count = static_cast<ULONG>(taken);
  return taken != 0;
}

BOOL SetFileCompletionNotificationModes(HANDLE handle, UCHAR modes) {
  constexpr UCHAR kSkipPortOnSuccess = 1, kSkipSetEventOnHandle = 2;
  if ((modes & ~(kSkipPortOnSuccess | kSkipSetEventOnHandle)) != 0) return failed(ERROR_INVALID_PARAMETER);
  auto file = file_of(handle);
  if (!file) return failed(file.error());
  if ((modes & kSkipPortOnSuccess) != 0) (*file)->skip_port_on_success();
  return TRUE;
}

// ---- overlapped operations -------------------------------------------------------------------------------

/// The status of an operation, which the host may be about to end.
std::uint32_t status_of(const OVERLAPPED& overlapped) {
  return static_cast<std::uint32_t>(
      std::atomic_ref(const_cast<ULONG_PTR&>(overlapped.Internal)).load(std::memory_order_acquire));
}

BOOL GetOverlappedResultEx(HANDLE handle, OVERLAPPED* overlapped, DWORD* transferred, DWORD milliseconds,
                           BOOL alertable) {
  const auto ended = overlapped_outcome(handle, *overlapped, milliseconds, alertable != FALSE);
  if (!ended) return FALSE;
  *transferred = static_cast<DWORD>(ended->transferred);
  return ended->good() ? TRUE : failed(win32_error(ended->status));
}

BOOL GetOverlappedResult(HANDLE handle, OVERLAPPED* overlapped, DWORD* transferred, BOOL wait) {
  return GetOverlappedResultEx(handle, overlapped, transferred, wait ? INFINITE : 0, FALSE);
}

Result<void> cancel(HANDLE handle, const void* block, const sync::Waiter* thread) {
  auto file = file_of(handle);
  if (!file) return propagate(file);
  if (services().files.operations().cancel(**file, block, thread)) return {};
  return fail({.kind = ErrorKind::invalid, .status = STATUS_NOT_FOUND, .what = "there is nothing to cancel"});
}

BOOL CancelIoEx(HANDLE handle, OVERLAPPED* overlapped) { return done(cancel(handle, overlapped, nullptr)); }

/// What the calling thread has begun; nothing is as good.
BOOL CancelIo(HANDLE handle) {
  const auto cancelled = cancel(handle, nullptr, &thread::current_waiter());
  return cancelled || cancelled.error().status == STATUS_NOT_FOUND ? TRUE : failed(cancelled.error());
}

NTSTATUS NtCancelIoFileEx(HANDLE handle, IO_STATUS_BLOCK* block, IO_STATUS_BLOCK* result) {
  const NTSTATUS status = nt(cancel(handle, block, nullptr));
  if (result != nullptr) *result = {{.Status = status}, 0};
  return status;
}

// ---- device control: no file here is a device that takes requests
// ------------------------------------------

BOOL DeviceIoControl(HANDLE handle, DWORD, LPVOID, DWORD, LPVOID, DWORD, DWORD* returned, OVERLAPPED*) {
  if (returned != nullptr) *returned = 0;
  auto file = file_of(handle);
  return failed(file ? ERROR_INVALID_FUNCTION : win32_error(file.error().status));
}

NTSTATUS NtDeviceIoControlFile(HANDLE handle, HANDLE, PVOID, PVOID, IO_STATUS_BLOCK* result, ULONG, PVOID,
                               ULONG, PVOID, ULONG) {
  auto file = file_of(handle);
  const NTSTATUS status = file ? nt(STATUS_INVALID_DEVICE_REQUEST) : nt(file.error());
  *result = {{.Status = status}, 0};
  return status;
}

// ---- changes in folders ----------------------------------------------------------------------------------

/// Waits for changes, and puts them where the caller wants them.
io::Operation watching(std::shared_ptr<io::FolderWatch> watch, std::span<std::byte> into, io::Asker asker) {
  const int fd = watch->fd();
  return {.kind = io::Operation::Kind::watch,
          .fd = fd,
          .attempt = [watch = std::move(watch), into] { return watch->take(into); },
          .asker = std::move(asker)};
}

Result<std::shared_ptr<io::FolderWatch>> watch_of(io::File& folder, DWORD filter, BOOL subtree, DWORD room) {
  constexpr DWORD kEveryChange = 0x17F;
  if (folder.file_kind() == io::FileKind::folder && filter != 0 && (filter & ~kEveryChange) == 0)
    return folder.watch(filter, subtree != FALSE, room);
  return fail({.kind = ErrorKind::invalid,
               .status = STATUS_INVALID_PARAMETER,
               .what = "this is no folder, or there is no such change"});
}

/// Changes that come between two calls are kept.
BOOL ReadDirectoryChangesW(HANDLE handle, LPVOID buffer, DWORD size, BOOL subtree, DWORD filter, DWORD* count,
                           OVERLAPPED* overlapped, PVOID routine) {
  auto folder = file_of(handle);
  if (!folder) return failed(folder.error());
  auto watch = watch_of(**folder, filter, subtree, size);
  if (!watch) return failed(watch.error());
  const std::span into(static_cast<std::byte*>(buffer), size);
  if (overlapped == nullptr || ((*folder)->flags() & FILE_FLAG_OVERLAPPED) == 0)
    return begun(carry_out(**folder, watching(std::move(*watch), into, {})), count);
  auto asker = asker_of(*overlapped, routine);
  if (!asker) return failed(asker.error());
  const auto outcome =
      services().files.operations().begin(**folder, watching(std::move(*watch), into, std::move(*asker)));
  return !outcome || outcome->good() ? TRUE : failed(win32_error(outcome->status));
}

/// The handle is one for the folder, signalled when an operation ends that waits for any change.
void notice_next(io::File& folder, const std::shared_ptr<io::FolderWatch>& watch) {
  (void)services().files.operations().begin(folder, {.kind = io::Operation::Kind::watch,
                                                     .fd = watch->fd(),
                                                     .attempt = [watch] { return watch->take_all(); },
                                                     .asker = {.block = &watch->block}});
}

HANDLE find_first_change(std::u16string_view path, BOOL subtree, DWORD filter) {
  auto opened = services().files.open(path, {FILE_READ_DATA, FILE_SHARE_ALL, OPEN_EXISTING,
                                             FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED});
  if (!opened) return failed(opened.error(), INVALID_HANDLE_VALUE);
  constexpr DWORD kRoom = 4096;
  auto watch = watch_of(*opened->file, filter, subtree, kRoom);
  if (!watch) return failed(watch.error(), INVALID_HANDLE_VALUE);
  notice_next(*opened->file, *watch);
  const HANDLE handle = new_handle(std::move(opened->file), nullptr);
  return handle == nullptr ? INVALID_HANDLE_VALUE : handle;
}

HANDLE FindFirstChangeNotificationW(LPCWSTR path, BOOL subtree, DWORD filter) {
  return find_first_change(view(path), subtree, filter);
}

HANDLE FindFirstChangeNotificationA(LPCSTR path, BOOL subtree, DWORD filter) {
  return find_first_change(wide(path), subtree, filter);
}

BOOL FindNextChangeNotification(HANDLE handle) {
  auto folder = file_of(handle);
  if (!folder) return failed(folder.error());
  const auto watch = (*folder)->watch();
  if (!watch) return failed(ERROR_INVALID_HANDLE);
  if (static_cast<std::uint32_t>(watch->block.Status) != STATUS_PENDING) notice_next(**folder, watch);
  return TRUE;
}

BOOL FindCloseChangeNotification(HANDLE handle) {
  return done(services().handles.close(handle_value(handle)));
}

const Export kExports[] = {
    NATIVE(kKernel32, CancelIo),
    NATIVE(kKernel32, CancelIoEx),
    NATIVE(kKernel32, CreateIoCompletionPort),
    NATIVE(kKernel32, DeviceIoControl),
    NATIVE(kKernel32, FindCloseChangeNotification),
    NATIVE(kKernel32, FindFirstChangeNotificationA),
    NATIVE(kKernel32, FindFirstChangeNotificationW),
    NATIVE(kKernel32, FindNextChangeNotification),
    NATIVE(kKernel32, GetOverlappedResult),
    NATIVE(kKernel32, GetOverlappedResultEx),
    NATIVE(kKernel32, GetQueuedCompletionStatus),
    SYSTEM_CALL(kKernel32, GetQueuedCompletionStatusEx),
    NT_NATIVE(kNtdll, NtCancelIoFileEx),
    NT_NATIVE(kNtdll, NtDeviceIoControlFile),
    NATIVE(kKernel32, PostQueuedCompletionStatus),
    NATIVE(kKernel32, ReadDirectoryChangesW),
    NATIVE(kKernel32, SetFileCompletionNotificationModes),
};

}  // namespace

std::optional<io::Outcome> overlapped_outcome(HANDLE handle, const OVERLAPPED& overlapped, DWORD milliseconds,
                                              bool alertable) {
  constexpr auto no_outcome = [](DWORD error) { return failed<std::optional<io::Outcome>>(error); };
  if (status_of(overlapped) == STATUS_PENDING) {
    if (milliseconds == 0) return no_outcome(ERROR_IO_INCOMPLETE);
    const sync::Handle event = handle_value(overlapped.hEvent) & ~sync::Handle{1};
    auto object = waitable_of(event != 0 ? guest_handle(event) : handle);
    if (!object) return no_outcome(win32_error(object.error().status));
    const DWORD outcome = wait_for(**object, deadline_of(milliseconds), alertable);
    if (outcome != STATUS_WAIT_0) return no_outcome(outcome);  // WAIT_TIMEOUT or WAIT_IO_COMPLETION
    if (status_of(overlapped) == STATUS_PENDING)
      return no_outcome(ERROR_IO_INCOMPLETE);  // it was for another
  }
  return io::Outcome{status_of(overlapped), overlapped.InternalHigh};
}

std::span<const Export> ioapiset_natives() { return kExports; }

}  // namespace bobbin::win32
