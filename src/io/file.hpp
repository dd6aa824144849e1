// One open file: what a HANDLE from CreateFile, CreatePipe or the host's standard streams names.
//
// A File wraps a host descriptor and adds what Windows has and the host has not: access rights that were
// asked for when it was opened, share modes and byte ranges (kept for all Files of the process in a
// ShareTable), deletion on close. The position is the descriptor's own, so that a stream shared with the
// shell or a child advances for all who share it, as on Windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "io/operations.hpp"
#include "os/descriptor.hpp"
#include "os/os.hpp"
#include "sync/completion_port.hpp"
#include "sync/object.hpp"

namespace bobbin::io {

class Console;
class File;
class FolderWatch;
struct PipeInstance;
struct SocketState;

/// The failure of a host call, from errno.
[[nodiscard]] std::unexpected<Error> host_failure(const char* what, int host_errno, std::string file = {});
/// A failure that has a Win32 number but no NTSTATUS in our list; win32_error() gives the number back.
[[nodiscard]] constexpr std::uint32_t status_of_win32(std::uint32_t error) { return 0xC0070000u | error; }

/// Which file, however it is named.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};

/// What can be asked about a file. Times count 100 ns since 1601, as FILETIME does.
struct FileInfo {
  std::uint32_t attributes = 0;
  std::uint32_t reparse_tag = 0;  ///< IO_REPARSE_TAG_SYMLINK for a symbolic link
  std::uint64_t size = 0;         ///< 0 for folders
  std::uint64_t allocated = 0;
  std::uint64_t creation_time = 0;
  std::uint64_t access_time = 0;
  std::uint64_t write_time = 0;
  std::uint64_t change_time = 0;
  std::uint32_t links = 1;
  FileId id = {};
  std::uint32_t mode = 0;  ///< the host's
};

/// About an open descriptor.
[[nodiscard]] Result<FileInfo> info_of(int fd);
/// About a path. A symbolic link has FILE_ATTRIBUTE_REPARSE_POINT, and, if it leads somewhere, its target's
/// size, times and kind (links are common on this host, and programs that stat through them expect the file).
[[nodiscard]] Result<FileInfo> info_of(const std::string& host);

/// Times to set; nothing leaves one as it is. Creation time is not kept by the host.
struct NewTimes {
  std::optional<std::uint64_t> access;
  std::optional<std::uint64_t> write;
};

/// Share modes and locked byte ranges of all files that are open in this process, by device and inode.
/// Thread-safe. (Byte ranges are also taken from the host, so that another Bobbin process sees them.)
class ShareTable {
 public:
  /// Registers an open, or STATUS_SHARING_VIOLATION (its access is not shared by an earlier open, or the
  /// other way round) or STATUS_DELETE_PENDING.
  [[nodiscard]] Result<void> open(FileId id, const File* file, std::uint32_t access, std::uint32_t share);
  /// Ends an open and its locks. True if the file is to be deleted now: it was the last open of a condemned
  /// file.
  [[nodiscard]] bool close(FileId id, const File* file);
  /// Whether someone who asks for `access` and shares all could open it now.
  [[nodiscard]] Result<void> check(FileId id, std::uint32_t access, std::uint32_t share) const;
  void set_delete_pending(FileId id, bool pending);
  /// FILE_FLAG_DELETE_ON_CLOSE: closing `file` condemns it.
  void set_delete_pending_on_close(FileId id, const File* file);
  [[nodiscard]] bool delete_pending(FileId id) const;

  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    bool exclusive = false;
    const File* owner = nullptr;
  };
  /// Locks a range; STATUS_LOCK_NOT_GRANTED if an overlapping one is in the way.
  [[nodiscard]] Result<void> lock(FileId id, Range range);
  /// Unlocks exactly this range; STATUS_RANGE_NOT_LOCKED.
  [[nodiscard]] Result<void> unlock(FileId id, Range range);
  /// Whether `file` may read (or write) the range: STATUS_FILE_LOCK_CONFLICT if another's lock forbids it.
  [[nodiscard]] Result<void> may_access(FileId id, const File* file, std::uint64_t offset, std::uint64_t size,
                                        bool write) const;
  /// Changes each time that a lock is given back: what a blocked lock waits for.
  [[nodiscard]] const std::atomic<std::uint32_t>& unlocks() const { return unlocks_; }

 private:
  struct Open {
    const File* file;
    std::uint32_t access;
    std::uint32_t share;
    bool delete_on_close = false;
  };
  struct Entry {
    std::vector<Open> opens;
    std::vector<Range> locks;
    bool delete_pending = false;
  };
  /// mutex_ is held.
  [[nodiscard]] Result<void> check_locked(FileId id, std::uint32_t access, std::uint32_t share) const;

  mutable os::Mutex mutex_;
  std::map<FileId, Entry> entries_;  ///< guarded by mutex_
  std::atomic<std::uint32_t> locked_{
      0};  ///< number of ranges locked, so that reads skip the table when none is
  std::atomic<std::uint32_t> unlocks_{0};
};

enum class FileKind : std::uint8_t {
  disk,
  folder,
  pipe,
  console_input,
  console_output,
  null_device,
  device,
  pipe_folder  ///< where named pipes are; opened to name one relative to it
};
[[nodiscard]] constexpr bool is_console(FileKind kind) {
  return kind == FileKind::console_input || kind == FileKind::console_output;
}

/// Signalled, but for operations that have not ended (operations.hpp).
class File final : public sync::Waitable {
 public:
  struct Options {
    FileKind kind = FileKind::disk;
    std::uint32_t access = 0;                 ///< specific rights (FILE_READ_DATA ...), no generic ones
    std::uint32_t flags = 0;                  ///< FILE_FLAG_*
    FileId id = {};                           ///< of disk files and folders
    ShareTable* shares = nullptr;             ///< registered there by the maker; File ends the registration
    Console* console = nullptr;               ///< of console input
    std::shared_ptr<PipeInstance> pipe = {};  ///< of the server's end of a named pipe
    std::shared_ptr<SocketState> socket = {};
  };
  File(os::Descriptor descriptor, Options options);

  [[nodiscard]] FileKind file_kind() const { return options_.kind; }
  [[nodiscard]] std::uint32_t access() const { return options_.access; }
  [[nodiscard]] std::uint32_t flags() const { return options_.flags; }
  [[nodiscard]] FileId id() const { return options_.id; }
  [[nodiscard]] int fd() const { return descriptor_.get(); }
  [[nodiscard]] const std::shared_ptr<PipeInstance>& pipe() const { return options_.pipe; }
  /// Null if this is no socket.
  [[nodiscard]] const std::shared_ptr<SocketState>& socket() const { return options_.socket; }
  /// Whether reads and writes that give an OVERLAPPED are for Operations.
  [[nodiscard]] bool overlaps() const {
    return options_.kind == FileKind::pipe && (options_.flags & abi::FILE_FLAG_OVERLAPPED) != 0;
  }
  /// The host path that it has now; it may have been renamed. Fails for what has no name.
  [[nodiscard]] Result<std::string> host_path() const;

  /// Reads up to `into.size()` bytes, from `offset` (the position then stands after what was read) or from
  /// the position. 0 at the end of a file; STATUS_PIPE_BROKEN at the end of a pipe. Blocks for pipes and
  /// consoles until something is there; ends with STATUS_CANCELLED when `self` is interrupted.
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into, std::optional<std::uint64_t> offset,
                                         sync::Waiter& self);
  /// Writes all of `from`, or says why not. The offset 2^64-1 appends.
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> from,
                                          std::optional<std::uint64_t> offset, sync::Waiter& self);

  /// What a pipe or a connection gives or takes without waiting; nothing if that is nothing. A read of no
  /// bytes ends when there are some.
  [[nodiscard]] std::optional<Outcome> try_read(std::span<std::byte> into);
  /// Adds to `done`; ends when that is all.
  [[nodiscard]] std::optional<Outcome> try_write(std::span<const std::byte> from, std::size_t& done);

  /// Moves the position; STATUS_INVALID_PARAMETER-like failures carry ERROR_NEGATIVE_SEEK.
  [[nodiscard]] Result<std::uint64_t> seek(std::int64_t distance, std::uint32_t origin);
  [[nodiscard]] Result<std::uint64_t> position() const;
  [[nodiscard]] Result<FileInfo> info() const;
  /// Cuts or grows the file (with zeros); the position stays.
  [[nodiscard]] Result<void> resize(std::uint64_t size);
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] Result<void> set_times(NewTimes times);
  [[nodiscard]] Result<void> set_attributes(std::uint32_t attributes);

  /// Locks a byte range, waiting for it unless `immediately`.
  [[nodiscard]] Result<void> lock(std::uint64_t offset, std::uint64_t size, bool exclusive, bool immediately,
                                  sync::Waiter& self);
  [[nodiscard]] Result<void> unlock(std::uint64_t offset, std::uint64_t size);

  /// Condemns the file: it is deleted when its last File is closed.
  [[nodiscard]] Result<void> set_delete_pending(bool pending);
  [[nodiscard]] bool delete_pending() const;

  /// From now on the port is told of each overlapped operation, under `key`. STATUS_INVALID_PARAMETER if it
  /// has a port, or was not opened for overlapped operations.
  [[nodiscard]] Result<void> associate(sync::Ref<sync::CompletionPort> port, std::uint64_t key);
  /// The port is told only of what is not complete on return (which is nothing) from now on.
  void skip_port_on_success() { skips_port_ = true; }
  /// Tells the port, if there is one, of an operation that has ended, `later` than the call that began it.
  void completed(void* overlapped, Outcome outcome, bool later);
  [[nodiscard]] bool has_port() const;
  /// It has, or has had, operations there.
  void waits_in(Operations& operations) { operations_ = &operations; }
  void set_signalled(bool signalled);

  /// How far the listing of an open folder has come; its maker's to understand.
  [[nodiscard]] sync::Ref<sync::Object> listing() const;
  void set_listing(sync::Ref<sync::Object> listing);

  /// The watch of a folder, which begins with the first call; later ones get the same, whatever they ask for.
  /// STATUS_ACCESS_DENIED without the right to list it.
  [[nodiscard]] Result<std::shared_ptr<FolderWatch>> watch(std::uint32_t filter, bool subtree,
                                                           std::size_t room);
  /// The same if it has begun, or null.
  [[nodiscard]] std::shared_ptr<FolderWatch> watch() const;

  /// Bytes that wait in a pipe.
  [[nodiscard]] Result<std::size_t> available() const;
  /// Copies what waits in a pipe, without taking it.
  [[nodiscard]] Result<std::size_t> peek(std::span<std::byte> into) const;

 private:
  ~File() override;
  bool signalled(const sync::Waiter&) const override { return signalled_; }
  [[nodiscard]] Result<void> need(std::uint32_t right) const;
  [[nodiscard]] Result<void> check_locks(std::optional<std::uint64_t> offset, std::size_t size,
                                         bool write) const;
  [[nodiscard]] bool may_block() const;
  /// Whether somebody is at the other end of a named pipe, or has been.
  [[nodiscard]] Result<void> check_pipe() const;

  os::Descriptor descriptor_;
  const Options options_;
  mutable os::Mutex mutex_;
  sync::Ref<sync::Object> listing_;       ///< guarded by mutex_
  std::shared_ptr<FolderWatch> watch_;    ///< guarded by mutex_; never changes again
  sync::Ref<sync::CompletionPort> port_;  ///< guarded by mutex_; never changes again
  std::uint64_t port_key_ = 0;            ///< guarded by mutex_, likewise
  std::atomic<bool> skips_port_{false};
  std::atomic<Operations*> operations_{nullptr};
  bool signalled_ = true;  ///< guarded by the dispatcher lock
};

/// Waits until `fd` can be read (or written), however long that takes. STATUS_CANCELLED when `self` is
/// interrupted.
[[nodiscard]] Result<void> wait_ready(int fd, bool for_write, sync::Waiter& self);

/// Waits no more than `milliseconds`; true if there is something to read, or an end.
[[nodiscard]] bool readable_now(int fd, int milliseconds = 0);

/// Attributes from a host mode (the READONLY bit is "no write bit at all").
[[nodiscard]] std::uint32_t attributes_of_mode(std::uint32_t mode);
/// Changes the write bits of an open file so that it is READONLY or not.
[[nodiscard]] Result<void> set_readonly(int fd, bool readonly);

/// A pipe's two ends.
struct PipeEnds {
  sync::Ref<File> read;
  sync::Ref<File> write;
};
[[nodiscard]] Result<PipeEnds> make_pipe(std::size_t size);

/// A File over a descriptor of the host (a standard stream, or what a parent passed on): a private duplicate,
/// so that closing the handle leaves the host's stream open. A terminal is the console's input side if
/// `input`, else its output side. STATUS_INVALID_HANDLE if the descriptor is closed.
[[nodiscard]] Result<sync::Ref<File>> adopt_host_stream(int fd, bool input, Console& console);

}  // namespace bobbin::io
