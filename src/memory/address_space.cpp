#include "memory/address_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "abi/status.hpp"
#include "base/checked.hpp"

namespace bobbin::memory {
namespace {

using Lock = std::scoped_lock<os::Mutex>;

// Where images go that have no address of their own: among those that have (linkers take 0x140000000 for
// programs, and 0x180000000 and above for DLLs), because calls between images are dearer above 4 GiB
// (DESIGN.md).
constexpr std::uintptr_t kNearStart = 0x1'A000'0000, kNearEnd = 0x2'4000'0000;
constexpr std::uintptr_t kNearStep = 0x100'0000;
constexpr int kNearAttempts = 8;

std::uintptr_t number(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }
std::byte* pointer(std::uintptr_t address) { return reinterpret_cast<std::byte*>(address); }

std::unexpected<Error> refuse(std::uint32_t status, const void* at, std::size_t size, const char* why) {
  return fail({.kind = ErrorKind::invalid,
               .status = status,
               .what = fmt::format("memory at {}, {:#x} bytes: {}", fmt::ptr(at), size, why)});
}

std::unexpected<Error> refuse_protection(std::uint32_t protect) {
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_INVALID_PAGE_PROTECTION,
               .what = fmt::format("{:#x} is not a page protection", protect)});
}

bool is_page_range(const void* at, std::size_t size) {
  return number(at) % os::kPageSize == 0 && size % os::kPageSize == 0 && size != 0 &&
         checked_add(number(at), size).has_value();
}

/// The PAGE_* value that says what the host says.
std::uint32_t windows_protection(os::Protection protection) {
  switch (protection) {
    case os::Protection::none:
      return kNoAccess;
    case os::Protection::read:
      return kReadOnly;
    case os::Protection::read_write:
      return kReadWrite;
    case os::Protection::execute:
      return kExecute;
    case os::Protection::read_execute:
      return kExecuteRead;
    case os::Protection::read_write_execute:
      return kExecuteReadWrite;
  }
  return kNoAccess;
}

}  // namespace

std::optional<os::Protection> AddressSpace::host_protection(std::uint32_t protect) {
  constexpr std::uint32_t kModifiers = kGuard | kNoCache | kWriteCombine;
  // Neither makes sense for pages that nobody can touch.
  if ((protect & kNoAccess) != 0 && (protect & kModifiers) != 0) return std::nullopt;
  const bool guarded = (protect & kGuard) != 0;
  switch (protect & ~kModifiers) {
    case kNoAccess:
      return os::Protection::none;
    case kReadOnly:
      return guarded ? os::Protection::none : os::Protection::read;
    case kReadWrite:
    case kWriteCopy:
      return guarded ? os::Protection::none : os::Protection::read_write;
    // Code that can only be run is readable on x86-64 Windows, and programs rely on it.
    case kExecute:
    case kExecuteRead:
      return guarded ? os::Protection::none : os::Protection::read_execute;
    case kExecuteReadWrite:
    case kExecuteWriteCopy:
      return guarded ? os::Protection::none : os::Protection::read_write_execute;
    default:
      return std::nullopt;
  }
}

AddressSpace::~AddressSpace() {
  for (const auto& [base, allocation] : allocations_) {
    if (!allocation.noted) os::release(pointer(base), allocation.pages.size());
  }
}

Result<std::byte*> AddressSpace::reserve(std::size_t size, void* at, Type type, std::uint32_t protect) {
  if (!is_page_range(at, size)) return refuse(abi::STATUS_INVALID_PARAMETER, at, size, "not whole pages");
  if (!host_protection(protect)) return refuse_protection(protect);
  // The map's node is made before the address is known, so that nothing can fail once the host has given it.
  Allocations made;
  made.try_emplace(0, type, protect, false, PageRuns(size, 0), PageRuns(size, 0));
  auto node = made.extract(made.begin());
  auto base = at == nullptr && type == Type::image ? reserve_near(size)
                                                   : os::reserve(size, at, kAllocationGranularity);
  if (!base) return base;
  node.key() = number(*base);
  const Lock lock(mutex_);
  allocations_.insert(std::move(node));
  return base;
}

Result<std::byte*> AddressSpace::reserve_near(std::size_t size) {
  std::uintptr_t at = kNearStart;
  for (int attempt = 0; attempt < kNearAttempts; ++attempt) {
    {
      const Lock lock(mutex_);
      for (auto next = allocations_.lower_bound(at); next != allocations_.end(); ++next) {
        if (next->first - at >= size) break;
        at = align_up(next->first + next->second.pages.size(), kAllocationGranularity);
      }
    }
    if (at > kNearEnd || size > kNearEnd - at) break;
    auto base = os::reserve(size, pointer(at), kAllocationGranularity);
    if (base || base.error().status != abi::STATUS_CONFLICTING_ADDRESSES) return base;
    at += kNearStep;  // something of the host's, or of another Runtime
  }
  return os::reserve(size, nullptr, kAllocationGranularity);
}

Result<void> AddressSpace::commit(void* at, std::size_t size, std::uint32_t protect) {
  const Lock lock(mutex_);
  auto range = locate(at, size);
  if (!range) return propagate(range);
  return change(*range, protect);
}

Result<std::uint32_t> AddressSpace::protect(void* at, std::size_t size, std::uint32_t protect) {
  const Lock lock(mutex_);
  auto range = locate_committed(at, size);
  if (!range) return propagate(range);
  const std::uint32_t before = range->allocation->pages.at(range->start).value;
  auto changed = change(*range, protect);
  if (!changed) return propagate(changed);
  return before;
}

std::byte* AddressSpace::take_guard(const void* address) noexcept {
  const Lock lock(mutex_);
  const auto at = find(reinterpret_cast<std::uintptr_t>(address));
  if (at == allocations_.end()) return nullptr;
  const PageRun run = at->second.pages.at((reinterpret_cast<std::uintptr_t>(address) - at->first) /
                                          os::kPageSize * os::kPageSize);
  if ((run.value & kGuard) == 0) return nullptr;
  auto range = locate_committed(pointer(at->first + run.start), run.end - run.start);
  if (!range || !change(*range, run.value & ~std::uint32_t{kGuard})) return nullptr;
  return static_cast<std::byte*>(pointer(at->first + run.start));
}

Result<void> AddressSpace::change(const Range& range, std::uint32_t protect) {
  const auto host = host_protection(protect);
  if (!host) return refuse_protection(protect);
  PageRuns& pages = range.allocation->pages;
  const auto before = pages.within(range.start, range.end);
  pages.prepare();
  auto changed = os::commit(range.host(), range.size(), *host);
  if (!changed) {
    // The host may have changed some of the pages before it failed; going back needs no more than they had.
    for (const PageRun& run : before) {
      (void)os::protect(pointer(range.base + run.start), run.end - run.start,
                        run.value == 0 ? os::Protection::none : *host_protection(run.value));
    }
    return changed;
  }
  pages.set(range.start, range.end, protect);
  return {};
}

Result<void> AddressSpace::commit_file(void* at, std::size_t size, int fd, std::uint64_t offset,
                                       std::uint32_t protect, Writes writes) {
  const auto host = host_protection(protect);
  if (!host) return refuse_protection(protect);
  const Lock lock(mutex_);
  auto range = locate(at, size);
  if (!range) return propagate(range);
  PageRuns& pages = range->allocation->pages;
  if (!pages.all(range->start, range->end, 0)) {
    return refuse(abi::STATUS_CONFLICTING_ADDRESSES, at, size, "part of it is committed already");
  }
  pages.prepare();
  if (writes == Writes::shared) {
    if (auto mapped = os::map_shared(fd, offset, size, *host, at); !mapped) return mapped;
  } else {
    if (auto mapped = os::map_private(fd, offset, size, *host, at); !mapped) return propagate(mapped);
  }
  pages.set(range->start, range->end, protect);
  return {};
}

Result<void> AddressSpace::decommit(void* at, std::size_t size) {
  const Lock lock(mutex_);
  auto range = size == 0 ? locate_base(at) : locate(at, size);
  if (!range) return propagate(range);
  if (range->allocation->noted)
    return refuse(abi::STATUS_UNABLE_TO_FREE_VM, at, size, "not the guest's to free");
  auto& [type, protect, noted, pages, pinned] = *range->allocation;
  pages.prepare();
  pinned.prepare();
  os::decommit(range->host(), range->size());
  pages.set(range->start, range->end, 0);
  pinned.set(range->start, range->end, 0);
  return {};
}

Result<void> AddressSpace::pin(void* at, std::size_t size) {
  const Lock lock(mutex_);
  auto range = locate_committed(at, size);
  if (!range) return propagate(range);
  PageRuns& pinned = range->allocation->pinned;
  pinned.prepare();
  auto done = os::pin(at, size);
  if (done) pinned.set(range->start, range->end, 1);
  return done;
}

Result<void> AddressSpace::unpin(void* at, std::size_t size) {
  const Lock lock(mutex_);
  auto range = locate(at, size);
  if (!range) return propagate(range);
  PageRuns& pinned = range->allocation->pinned;
  if (!pinned.all(range->start, range->end, 1)) {
    return refuse(abi::STATUS_NOT_LOCKED, at, size, "not all of it is pinned");
  }
  pinned.prepare();
  os::unpin(at, size);
  pinned.set(range->start, range->end, 0);
  return {};
}

Result<void> AddressSpace::release(void* at) {
  const Lock lock(mutex_);
  auto range = locate_base(at);
  if (!range) return propagate(range);
  if (range->allocation->noted)
    return refuse(abi::STATUS_UNABLE_TO_FREE_VM, at, 0, "not the guest's to free");
  const std::size_t size = range->size();
  // Out of the map first: the moment the host has the address back, another thread may be given it.
  allocations_.erase(range->base);
  os::release(at, size);
  return {};
}

Result<void> AddressSpace::note(void* at, std::size_t size, std::uint32_t protect) {
  if (!is_page_range(at, size)) return refuse(abi::STATUS_INVALID_PARAMETER, at, size, "not whole pages");
  if (!host_protection(protect)) return refuse_protection(protect);
  const Lock lock(mutex_);
  const auto next = allocations_.lower_bound(number(at));
  if (find(number(at)) != allocations_.end() ||
      (next != allocations_.end() && next->first < number(at) + size)) {
    return refuse(abi::STATUS_CONFLICTING_ADDRESSES, at, size, "part of it is known already");
  }
  allocations_.try_emplace(number(at), Type::private_memory, protect, true, PageRuns(size, protect),
                           PageRuns(size, 0));
  return {};
}

void AddressSpace::forget(void* at) noexcept {
  const Lock lock(mutex_);
  allocations_.erase(number(at));
}

Region AddressSpace::query(const void* address) const {
  const std::uintptr_t page = align_down<std::uintptr_t>(number(address), os::kPageSize);
  const Lock lock(mutex_);
  const auto found = find(page);
  if (found == allocations_.end()) return query_foreign(page);
  const auto& [base, allocation] = *found;
  const PageRun run = allocation.pages.at(page - base);
  return {.base = pointer(page),
          .size = base + run.end - page,
          .state = run.value == 0 ? State::reserved : State::committed,
          .protect = run.value,
          .allocation_base = pointer(base),
          .allocation_protect = allocation.protect,
          .type = allocation.type};
}

Region AddressSpace::query_foreign(std::uintptr_t page) const {
  // The host may join its own mapping with one of ours next to it; ours bound the answer.
  const auto next = allocations_.upper_bound(page);
  const std::uintptr_t start =
      next == allocations_.begin() ? 0 : std::prev(next)->first + std::prev(next)->second.pages.size();
  const std::uintptr_t end = next == allocations_.end() ? kAddressLimit : next->first;
  // Where the host will not say, everything that is not ours may be its own.
  const auto host =
      os::host_range(pointer(page))
          .value_or(os::HostRange{.start = start, .end = end, .protection = os::Protection::none});
  const std::size_t size = std::max(std::min(end, host.end), page + os::kPageSize) - page;
  if (!host.protection) return {.base = pointer(page), .size = size, .protect = kNoAccess};
  const bool committed = *host.protection != os::Protection::none;
  const std::uint32_t protect = windows_protection(*host.protection);
  return {.base = pointer(page),
          .size = size,
          .state = committed ? State::committed : State::reserved,
          .protect = committed ? protect : 0,
          .allocation_base = pointer(std::max(start, host.start)),
          .allocation_protect = protect,
          .type = host.of_file ? Type::mapped : Type::private_memory};
}

Result<std::size_t> AddressSpace::allocation_size(void* at) {
  const Lock lock(mutex_);
  auto range = locate_base(at);
  if (!range) return propagate(range);
  return range->size();
}

std::size_t AddressSpace::allocations() const {
  const Lock lock(mutex_);
  return allocations_.size();
}

AddressSpace::Allocations::const_iterator AddressSpace::find(std::uintptr_t address) const {
  auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) return allocations_.end();
  --next;
  return address - next->first < next->second.pages.size() ? next : allocations_.end();
}

Result<AddressSpace::Range> AddressSpace::locate(void* at, std::size_t size) {
  if (!is_page_range(at, size)) return refuse(abi::STATUS_INVALID_PARAMETER, at, size, "not whole pages");
  const auto found = find(number(at));
  if (found == allocations_.end() ||
      !in_range<std::size_t>(number(at) - found->first, size, found->second.pages.size())) {
    return refuse(abi::STATUS_MEMORY_NOT_ALLOCATED, at, size, "not inside one allocation");
  }
  const std::size_t start = number(at) - found->first;
  return Range{found->first, &allocations_.find(found->first)->second, start, start + size};
}

Result<AddressSpace::Range> AddressSpace::locate_committed(void* at, std::size_t size) {
  auto range = locate(at, size);
  if (range && range->allocation->pages.any(range->start, range->end, 0)) {
    return refuse(abi::STATUS_NOT_COMMITTED, at, size, "not all of it is committed");
  }
  return range;
}

Result<AddressSpace::Range> AddressSpace::locate_base(void* at) {
  const auto found = find(number(at));
  if (found == allocations_.end()) {
    return refuse(abi::STATUS_MEMORY_NOT_ALLOCATED, at, 0, "no allocation stands there");
  }
  if (found->first != number(at)) {
    return refuse(abi::STATUS_FREE_VM_NOT_AT_BASE, at, 0, "not the base of its allocation");
  }
  return locate(at, found->second.pages.size());
}

}  // namespace bobbin::memory
