// What Bobbin asks of the host: memory, locks, waiting, threads, clocks. One header, two implementations,
// chosen at link time: os/linux/ (the real one) and os/fake/ (unit tests: memory that can be made to run out,
// locks that hand control to a deterministic scheduler). A port to another host is another such folder.
//
// All functions are thread-safe unless they say otherwise. Sizes are in bytes. Those that can run out of
// something return Result; those that give back are noexcept and cannot fail.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/error.hpp"

namespace bobbin::os {

inline constexpr std::size_t kPageSize = 4096;

// ---- memory ----------------------------------------------------------------------------------------------

enum class Protection : std::uint8_t { none, read, read_write, execute, read_execute, read_write_execute };

/// Reserves address space without memory behind it. `at`, if not null, is exact: if anything stands there the
/// call fails with STATUS_CONFLICTING_ADDRESSES and nothing is changed. Otherwise the host chooses an address
/// that is a multiple of `alignment` (a power of two, at least a page).
[[nodiscard]] Result<std::byte*> reserve(std::size_t size, void* at = nullptr,
                                         std::size_t alignment = kPageSize);

/// Gives reserved pages zeroed memory (lazily) and a protection. Pages that have memory keep their content.
[[nodiscard]] Result<void> commit(void* at, std::size_t size, Protection protection);

/// Changes the protection of pages that have memory.
[[nodiscard]] Result<void> protect(void* at, std::size_t size, Protection protection);

/// Back to reserved: the content is gone, the address space stays taken.
void decommit(void* at, std::size_t size) noexcept;

/// Drops private changes: anonymous pages read as zero again, copy-on-write pages show their file again.
void discard(void* at, std::size_t size) noexcept;

/// Asks the host not to put large pages behind [at, at + size): it is used sparsely, a page here and there.
void use_sparsely(void* at, std::size_t size) noexcept;

/// Gives address space back to the host.
void release(void* at, std::size_t size) noexcept;

/// Maps [offset, offset + size) of `fd` copy-on-write over reserved space at `at` (null: the host chooses).
[[nodiscard]] Result<std::byte*> map_private(int fd, std::uint64_t offset, std::size_t size,
                                             Protection protection, void* at = nullptr);

/// Maps [offset, offset + size) of `fd` over reserved space at `at`, shared with whoever else maps it.
[[nodiscard]] Result<void> map_shared(int fd, std::uint64_t offset, std::size_t size, Protection protection,
                                      void* at);

/// Whether no page of [at, at + size) has been written to since it was privately mapped from a file. False if
/// it cannot be known, and for memory that has no file behind it.
[[nodiscard]] bool never_written(const void* at, std::size_t size) noexcept;

/// Ordinary memory for our own small records; 16-byte aligned, zeroed. nullptr when there is none.
[[nodiscard]] void* allocate(std::size_t size) noexcept;
void deallocate(void* block) noexcept;

/// What the host says about the address: the mapping that holds it, or the gap between two mappings.
struct HostRange {
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;                ///< UINTPTR_MAX after the last mapping
  std::optional<Protection> protection;  ///< nothing in a gap
  bool of_file = false;
};
/// Reads the host's own list, line by line: microseconds, not nanoseconds. Nothing if the host will not say.
[[nodiscard]] std::optional<HostRange> host_range(const void* address) noexcept;

/// Copies between addresses that may be bad: says how many bytes it copied before it met one.
[[nodiscard]] std::size_t copy_from_doubtful(void* to, const void* doubtful, std::size_t size) noexcept;
[[nodiscard]] std::size_t copy_to_doubtful(void* doubtful, const void* from, std::size_t size) noexcept;

/// Keeps pages in memory, if the host's limits allow; STATUS_WORKING_SET_QUOTA if they do not.
[[nodiscard]] Result<void> pin(void* at, std::size_t size);
void unpin(void* at, std::size_t size) noexcept;

/// When this returns, every write that another running thread of the process had made is seen by all.
void flush_process_writes() noexcept;

/// A file that exists in memory only, grown and written by its owner, mapped by many (map_private).
class MemoryFile {
 public:
  MemoryFile() = default;
  MemoryFile(MemoryFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  MemoryFile& operator=(MemoryFile&& other) noexcept;
  ~MemoryFile();

  [[nodiscard]] static Result<MemoryFile> create(const char* name);
  [[nodiscard]] Result<void> resize(std::uint64_t size);
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Frees the pages behind [offset, offset + size); they read as zero.
  void punch(std::uint64_t offset, std::uint64_t size) noexcept;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Failure injection (BOBBIN_FAIL_ALLOCATION=n, and unit tests): from now on the n-th call (1 is the next) of
/// reserve, commit, protect, map_private, allocate, MemoryFile or start_thread fails; 0 turns it off. Hands
/// back how many calls the failure asked for before was still away: 0 if it has come.
std::uint64_t fail_allocation(std::uint64_t nth) noexcept;

/// Whether the call that asks is the n-th, and must fail: for allocations that do not come here one by one.
[[nodiscard]] bool injected_failure() noexcept;

// ---- locks and waiting -----------------------------------------------------------------------------------

/// A short-held mutual exclusion of our own; never held while guest code runs. Not recursive.
class Mutex {
 public:
  void lock() noexcept;
  [[nodiscard]] bool try_lock() noexcept;
  void unlock() noexcept;

 private:
  std::atomic<std::uint32_t> word_{0};  ///< 0 free, 1 held, 2 held and waited for
};

/// Many readers or one writer; a waiting writer holds new readers off. Not recursive.
class RwLock {
 public:
  void lock() noexcept;
  void unlock() noexcept;
  void lock_shared() noexcept;
  void unlock_shared() noexcept;

 private:
  std::atomic<std::uint32_t> word_{0};     ///< count of readers, or kWriter; and kWriterWaits
  std::atomic<std::uint32_t> waiting_{0};  ///< threads, of either kind, that may sleep
};

/// A point in time on the monotonic clock, in nanoseconds; std::nullopt in a wait means for ever.
using Deadline = std::optional<std::uint64_t>;

enum class WaitResult : std::uint8_t { woken, timed_out, interrupted };

/// Sleeps while `word` holds `expected`, until woken, until the deadline, or until a signal arrives
/// (interrupted). May wake for no reason: the caller looks again.
WaitResult futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline = std::nullopt) noexcept;
/// Wakes up to `count` sleepers on `word`.
void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

// ---- clocks ----------------------------------------------------------------------------------------------

/// Nanoseconds since some fixed point; never goes back.
[[nodiscard]] std::uint64_t monotonic_now() noexcept;
/// 100-nanosecond units since 1601-01-01 UTC, as FILETIME counts.
[[nodiscard]] std::uint64_t system_time_now() noexcept;

// ---- threads ---------------------------------------------------------------------------------------------

/// A host thread that start_thread made; must be joined once, by try_join() answering true.
struct HostThread {
  std::uintptr_t id = 0;
};

/// Starts a host thread that runs `routine(argument)` on the given stack (low address and size, page aligned;
/// the host keeps its own bookkeeping at the top). The stack must live until try_join() has answered true.
[[nodiscard]] Result<HostThread> start_thread(std::byte* stack, std::size_t size, void (*routine)(void*),
                                              void* argument);

/// The calling thread, if start_thread made it.
[[nodiscard]] HostThread current_host_thread() noexcept;

/// Whether the thread has left its stack for good; if so its handle is used up. Never waits.
[[nodiscard]] bool try_join(HostThread thread) noexcept;

/// Host id of this process (getpid).
[[nodiscard]] std::uint32_t process_id() noexcept;
/// Host id of the calling thread (gettid).
[[nodiscard]] std::uint32_t host_thread_id() noexcept;
/// CPU time that a thread of this process has spent, in units of 100 ns; 0 if there is no such thread.
[[nodiscard]] std::uint64_t cpu_time(std::uint32_t host_thread_id) noexcept;

}  // namespace bobbin::os
