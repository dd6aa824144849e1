// What stands where: every range of address space that the guest was given, with its pages' states and
// protections, as VirtualAlloc, VirtualProtect and VirtualQuery know them.
//
// The host has the truth about access; this map adds what the host does not know: which pages belong to one
// allocation, which are reserved but not committed, and what Windows calls their protection.
//
// Every change is made in the same order: what the map needs (and may run out of memory for), then the host's
// pages (which may fail, and are then put back), then the map, which cannot fail any more. So a failure
// leaves map and host as they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/error.hpp"
#include "memory/page_runs.hpp"
#include "os/os.hpp"

namespace bobbin::memory {

/// Windows hands out address space in units of 64 KiB.
inline constexpr std::size_t kAllocationGranularity = 0x10000;

/// Guests have [64 KiB, kAddressLimit); Windows calls its last byte lpMaximumApplicationAddress.
inline constexpr std::uintptr_t kAddressLimit = 0x7FFF'FFFF'0000;

/// PAGE_* values, as guests write them.
enum Protect : std::uint32_t {
  kNoAccess = 0x01,
  kReadOnly = 0x02,
  kReadWrite = 0x04,
  kWriteCopy = 0x08,
  kExecute = 0x10,
  kExecuteRead = 0x20,
  kExecuteReadWrite = 0x40,
  kExecuteWriteCopy = 0x80,
  kGuard = 0x100,
  kNoCache = 0x200,
  kWriteCombine = 0x400,
};

enum class Type : std::uint32_t { private_memory = 0x20000, mapped = 0x40000, image = 0x1000000 };
enum class State : std::uint32_t { committed = 0x1000, reserved = 0x2000, free = 0x10000 };

/// VirtualQuery's answer for the run of equal pages that holds an address.
struct Region {
  std::byte* base = nullptr;
  std::size_t size = 0;
  State state = State::free;
  std::uint32_t protect = 0;             ///< 0 if reserved, kNoAccess if free
  std::byte* allocation_base = nullptr;  ///< nullptr if free
  std::uint32_t allocation_protect = 0;
  Type type = Type::private_memory;  ///< meaningful unless free
};

/// The map. Thread-safe. Addresses and sizes must be page multiples (STATUS_INVALID_PARAMETER otherwise),
/// except for query(). A range that is not inside one allocation fails with STATUS_MEMORY_NOT_ALLOCATED, a
/// protection that is no PAGE_* value with STATUS_INVALID_PAGE_PROTECTION.
class AddressSpace {
 public:
  AddressSpace() = default;
  ~AddressSpace();  ///< releases what was reserved; what was only noted stays
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// Reserves a new allocation: at exactly `at`, or where there is room (a multiple of 64 KiB; near the other
  /// images if it is one). Fails with
  /// STATUS_CONFLICTING_ADDRESSES if `at` is taken. `protect` is remembered as the allocation's protection.
  [[nodiscard]] Result<std::byte*> reserve(std::size_t size, void* at, Type type, std::uint32_t protect);

  /// Commits pages of one allocation. Committed pages keep their content; their protection changes.
  [[nodiscard]] Result<void> commit(void* at, std::size_t size, std::uint32_t protect);

  /// Who sees what is written to a file's pages.
  enum class Writes : std::uint8_t { copied, shared };
  /// Puts pages of a file over reserved pages of one allocation (they become committed).
  /// STATUS_CONFLICTING_ADDRESSES if one of them is committed already.
  [[nodiscard]] Result<void> commit_file(void* at, std::size_t size, int fd, std::uint64_t offset,
                                         std::uint32_t protect, Writes writes = Writes::copied);

  /// Changes the protection of committed pages of one allocation; hands back the first page's old one.
  /// STATUS_NOT_COMMITTED if one of them is only reserved.
  [[nodiscard]] Result<std::uint32_t> protect(void* at, std::size_t size, std::uint32_t protect);

  /// The guard page at `address`, and its neighbours of the same kind, become ordinary pages; hands back the
  /// lowest. nullptr if there is none.
  [[nodiscard]] std::byte* take_guard(const void* address) noexcept;

  /// Back to reserved. size 0 means the whole allocation, `at` then being its base
  /// (STATUS_FREE_VM_NOT_AT_BASE otherwise). Noted ranges belong to others: STATUS_UNABLE_TO_FREE_VM.
  [[nodiscard]] Result<void> decommit(void* at, std::size_t size);

  /// Frees the whole allocation whose base is `at` (STATUS_FREE_VM_NOT_AT_BASE, STATUS_UNABLE_TO_FREE_VM as
  /// above).
  [[nodiscard]] Result<void> release(void* at);

  /// Keeps committed pages of one allocation in memory (VirtualLock), until unpin() or decommit().
  /// STATUS_WORKING_SET_QUOTA where the host's limits forbid it.
  [[nodiscard]] Result<void> pin(void* at, std::size_t size);
  /// STATUS_NOT_LOCKED unless all of it is pinned.
  [[nodiscard]] Result<void> unpin(void* at, std::size_t size);

  /// Tells the map of a range that others mapped and will unmap (a thread's stack, a TEB), so that
  /// VirtualQuery answers for it; `forget` before it goes away. All its pages count as committed.
  [[nodiscard]] Result<void> note(void* at, std::size_t size, std::uint32_t protect);
  void forget(void* at) noexcept;

  /// The run of equal pages around `address`, which is rounded down to its page. Memory that only the host
  /// knows of (our own library, its heap) answers as one foreign allocation, never as free.
  [[nodiscard]] Region query(const void* address) const;

  /// The size of the allocation whose base is `at`; errors as for release().
  [[nodiscard]] Result<std::size_t> allocation_size(void* at);

  /// How many allocations stand (for leak tests).
  [[nodiscard]] std::size_t allocations() const;

  /// The host's protection for a PAGE_* value; nothing for a value that is not one (0x03, 0, ...).
  [[nodiscard]] static std::optional<os::Protection> host_protection(std::uint32_t protect);

 private:
  struct Allocation {
    Type type;
    std::uint32_t protect;
    bool noted;       ///< mapped by others, who will unmap it
    PageRuns pages;   ///< protection of each page, 0 while it is only reserved
    PageRuns pinned;  ///< 1 for pages that pin() was called for
  };
  using Allocations = std::map<std::uintptr_t, Allocation>;
  /// [start, end) of the allocation at `base`.
  struct Range {
    std::uintptr_t base;
    Allocation* allocation;
    std::size_t start;
    std::size_t end;
    [[nodiscard]] void* host() const { return reinterpret_cast<void*>(base + start); }
    [[nodiscard]] std::size_t size() const { return end - start; }
  };

  /// Address space among the guest's images if there is room, or anywhere.
  [[nodiscard]] Result<std::byte*> reserve_near(std::size_t size);
  /// The allocation that holds `address`, or end().
  [[nodiscard]] Allocations::const_iterator find(std::uintptr_t address) const;
  [[nodiscard]] Result<Range> locate(void* at, std::size_t size);
  [[nodiscard]] Result<Range> locate_base(void* at);
  [[nodiscard]] Result<Range> locate_committed(void* at, std::size_t size);
  [[nodiscard]] Result<void> change(const Range& range, std::uint32_t protect);
  [[nodiscard]] Region query_foreign(std::uintptr_t page) const;

  mutable os::Mutex mutex_;
  Allocations allocations_;  ///< guarded by mutex_; by base address
};

}  // namespace bobbin::memory
