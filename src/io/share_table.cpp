#include <algorithm>
#include <climits>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/file.hpp"

namespace bobbin::io {
namespace {

constexpr std::uint32_t kReads = abi::FILE_READ_DATA | abi::FILE_EXECUTE;
constexpr std::uint32_t kWrites = abi::FILE_WRITE_DATA | abi::FILE_APPEND_DATA;

/// The share bits that others must have granted for `access`. Access to attributes alone needs none.
std::uint32_t needed_share(std::uint32_t access) {
  return ((access & kReads) != 0 ? abi::FILE_SHARE_READ : 0u) |
         ((access & kWrites) != 0 ? abi::FILE_SHARE_WRITE : 0u) |
         ((access & abi::DELETE_ACCESS) != 0 ? abi::FILE_SHARE_DELETE : 0u);
}

/// The last byte of a range, which may end at 2^64.
std::uint64_t last_byte(const ShareTable::Range& range) {
  return range.size - 1 > ULLONG_MAX - range.offset ? ULLONG_MAX : range.offset + range.size - 1;
}

bool overlap(const ShareTable::Range& a, const ShareTable::Range& b) {
  if (a.size == 0 || b.size == 0) return false;
  return a.offset <= last_byte(b) && b.offset <= last_byte(a);
}

std::unexpected<Error> refuse(std::uint32_t status, const char* what) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what});
}

}  // namespace

Result<void> ShareTable::check(FileId id, std::uint32_t access, std::uint32_t share) const {
  const std::scoped_lock lock(mutex_);
  return check_locked(id, access, share);
}

Result<void> ShareTable::check_locked(FileId id, std::uint32_t access, std::uint32_t share) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return {};
  const std::uint32_t needed = needed_share(access);
  for (const Open& open : found->second.opens) {
    const std::uint32_t others = needed_share(open.access);
    // Whoever touches attributes alone neither asks for sharing nor limits it.
    if (needed != 0 && others != 0 && ((needed & ~open.share) != 0 || (others & ~share) != 0)) {
      return refuse(abi::STATUS_SHARING_VIOLATION, "the file is open elsewhere in a way that excludes this");
    }
  }
  if (found->second.delete_pending) return refuse(abi::STATUS_DELETE_PENDING, "the file is being deleted");
  return {};
}

Result<void> ShareTable::open(FileId id, const File* file, std::uint32_t access, std::uint32_t share) {
  const std::scoped_lock lock(mutex_);
  auto allowed = check_locked(id, access, share);
  if (!allowed) return allowed;
  entries_[id].opens.push_back({.file = file, .access = access, .share = share});
  return {};
}

bool ShareTable::close(FileId id, const File* file) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  Entry& entry = found->second;
  const auto removed = std::erase_if(entry.locks, [&](const Range& range) { return range.owner == file; });
  if (removed != 0) {
    locked_.fetch_sub(static_cast<std::uint32_t>(removed));
    unlocks_.fetch_add(1);
    os::futex_wake(unlocks_, INT_MAX);
  }
  const auto open = std::ranges::find(entry.opens, file, &Open::file);
  if (open != entry.opens.end()) {
    entry.delete_pending |= open->delete_on_close;
    entry.opens.erase(open);
  }
  if (!entry.opens.empty()) return false;
  const bool condemned = entry.delete_pending;
  entries_.erase(found);
  return condemned;
}

void ShareTable::set_delete_pending(FileId id, bool pending) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.delete_pending = pending;
}

void ShareTable::set_delete_pending_on_close(FileId id, const File* file) {
  const std::scoped_lock lock(mutex_);
  for (Open& open : entries_[id].opens) open.delete_on_close |= open.file == file;
}

bool ShareTable::delete_pending(FileId id) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.delete_pending;
}

Result<void> ShareTable::lock(FileId id, Range range) {
  const std::scoped_lock lock(mutex_);
  Entry& entry = entries_[id];
  for (const Range& other : entry.locks) {
    if (!overlap(range, other) || (!range.exclusive && !other.exclusive)) continue;
    return refuse(abi::STATUS_LOCK_NOT_GRANTED, "part of the range is locked");
  }
  entry.locks.push_back(range);
  locked_.fetch_add(1);
  return {};
}

Result<void> ShareTable::unlock(FileId id, Range range) {
  const std::scoped_lock lock(mutex_);
  Entry& entry = entries_[id];
  const auto found = std::ranges::find_if(entry.locks, [&](const Range& other) {
    return other.owner == range.owner && other.offset == range.offset && other.size == range.size;
  });
  if (found == entry.locks.end()) return refuse(abi::STATUS_RANGE_NOT_LOCKED, "this range was not locked");
  entry.locks.erase(found);
  locked_.fetch_sub(1);
  unlocks_.fetch_add(1);
  os::futex_wake(unlocks_, INT_MAX);
  return {};
}

Result<void> ShareTable::may_access(FileId id, const File* file, std::uint64_t offset, std::uint64_t size,
                                    bool write) const {
  if (locked_.load(std::memory_order_relaxed) == 0) return {};
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return {};
  for (const Range& range : found->second.locks) {
    if (!overlap(range, {.offset = offset, .size = size})) continue;
    // A shared lock forbids writing to everyone, its owner too; an exclusive one forbids all to all others.
    if (range.exclusive ? range.owner != file : write) {
      return refuse(abi::STATUS_FILE_LOCK_CONFLICT, "part of the range is locked");
    }
  }
  return {};
}

}  // namespace bobbin::io
