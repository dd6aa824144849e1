// Which pages of a private file mapping have become copies: /proc/self/pagemap tells, for each page, whether
// what is there belongs to a file. Since Linux 6.7 it can be asked for the first copy in a range, and skips
// what was never touched; before, an entry for each page has to be read, which takes forty times as long.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/checked.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

constexpr std::uint64_t kPresent = 1ull << 63;
constexpr std::uint64_t kSwapped = 1ull << 62;
constexpr std::uint64_t kOfFile = 1ull << 61;

/// The kernel's table of this process's pages; -1 if there is none to read. A descriptor that fork has handed
/// down would tell of the parent.
int page_table() {
  static std::atomic<std::uint64_t> opened{0};  // process id, and descriptor + 1
  const auto process = static_cast<std::uint64_t>(getpid());
  std::uint64_t known = opened.load();
  if (known >> 32 == process) return static_cast<int>(known & 0xFFFFFFFF) - 1;
  const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (opened.compare_exchange_strong(known, process << 32 | static_cast<std::uint32_t>(fd + 1))) return fd;
  if (fd >= 0) close(fd);  // another thread was faster
  return static_cast<int>(known & 0xFFFFFFFF) - 1;
}

// PAGEMAP_SCAN of linux/fs.h, which is older on the systems that we build on.
constexpr std::uint64_t kScanFile = 1 << 2, kScanPresent = 1 << 3, kScanSwapped = 1 << 4;
struct Region {
  std::uint64_t start, end, categories;
};
struct ScanArguments {
  std::uint64_t size = sizeof(ScanArguments), flags = 0;
  std::uint64_t start, end, walk_end = 0;
  std::uint64_t regions, regions_length = 1;
  std::uint64_t max_pages = 1;
  std::uint64_t inverted = kScanFile;  ///< what these categories say is turned round
  std::uint64_t all_of = kScanFile, any_of = kScanPresent | kScanSwapped, returned = kScanFile;
};
static_assert(sizeof(ScanArguments) == 96);
const unsigned long kPagemapScan = _IOWR('f', 16, ScanArguments);

/// Whether a page of [start, end) is a copy, or nothing if this kernel cannot be asked.
std::optional<bool> has_copy(int table, std::uintptr_t start, std::uintptr_t end) {
  Region found;
  ScanArguments arguments{.start = start, .end = end, .regions = reinterpret_cast<std::uintptr_t>(&found)};
  const int regions = ioctl(table, kPagemapScan, &arguments);
  if (regions < 0) return std::nullopt;
  return regions != 0;
}

}  // namespace

bool never_written(const void* at, std::size_t size) noexcept {
  const int table = page_table();
  if (table < 0) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  std::uint64_t page = address / kPageSize;
  const std::uint64_t end = align_up(address + size, kPageSize) / kPageSize;
  if (const auto copy = has_copy(table, page * kPageSize, end * kPageSize)) return !*copy;
  std::uint64_t left = end - page;
  std::array<std::uint64_t, 512> entries;
  while (left != 0) {
    const std::uint64_t count = std::min<std::uint64_t>(left, entries.size());
    const auto bytes = static_cast<ssize_t>(count * sizeof(std::uint64_t));
    if (pread(table, entries.data(), static_cast<std::size_t>(bytes), static_cast<off_t>(page * 8)) !=
        bytes) {
      return false;
    }
    const auto copied = [](std::uint64_t entry) {
      return (entry & (kPresent | kSwapped)) != 0 && (entry & kOfFile) == 0;
    };
    if (std::any_of(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count), copied))
      return false;
    page += count;
    left -= count;
  }
  return true;
}

}  // namespace bobbin::os
