#include "image/cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "image/plan.hpp"

namespace bobbin::image {
namespace {

constexpr char kSuffix[] = ".image";
constexpr char kNewPrefix[] = ".new-";
constexpr std::int64_t kNanoseconds = 1'000'000'000;
/// Two changes of a file within one tick of the kernel's clock leave the same times. So a file that has only
/// just changed is not cached yet.
constexpr std::int64_t kSettled = kNanoseconds / 20;
/// An unfinished entry this old was left by a process that ended halfway.
constexpr std::int64_t kAbandoned = 3600 * kNanoseconds;

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * kNanoseconds + time.tv_nsec; }

std::int64_t now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return nanoseconds(time);
}

/// The last page of an entry: what it was made from. Compared as bytes, so it has no padding.
struct Trailer {
  char magic[16] = "bobbin image 1";
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified = 0, changed = 0;
  std::uint64_t image_size = 0;

  Trailer(const struct stat& source, std::uint32_t image_bytes)
      : device(source.st_dev),
        inode(source.st_ino),
        size(static_cast<std::uint64_t>(source.st_size)),
        modified(nanoseconds(source.st_mtim)),
        changed(nanoseconds(source.st_ctim)),
        image_size(image_bytes) {}
  Trailer() = default;
  bool operator==(const Trailer& other) const { return std::memcmp(this, &other, sizeof *this) == 0; }
};
static_assert(sizeof(Trailer) == 64);

/// Ours alone to change.
bool is_private(const struct stat& status) {
  return status.st_uid == geteuid() && (status.st_mode & 022) == 0;
}

bool write_at(int fd, std::uint64_t offset, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  while (size != 0) {
    const ssize_t done = pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes += done;
    offset += static_cast<std::uint64_t>(done);
    size -= static_cast<std::size_t>(done);
  }
  return true;
}

/// Makes a folder and those above it that are missing. Whoever opens it finds out whether that worked.
void make_folders(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno != ENOENT) return;
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos || slash == 0) return;
  make_folders(path.substr(0, slash));
  mkdir(path.c_str(), 0700);
}

class Cache {
 public:
  Cache(const FileBytes& file, const pe::File& parsed, const MapOptions& options)
      : file_(file), parsed_(parsed), options_(options) {}

  os::Descriptor find_or_make() {
    struct stat source{};
    if (fstat(file_.fd(), &source) != 0) return {};
    wanted_ = Trailer(source, parsed_.header().image_size);
    name_ = fmt::format("{:x}-{:x}{}", wanted_.device, wanted_.inode, kSuffix);
    if (os::Descriptor entry = find()) return entry;
    return make();
  }

 private:
  [[nodiscard]] std::uint64_t entry_size() const { return wanted_.image_size + pe::kPageSize; }

  /// Three system calls for a hit: this is on the path of every process start.
  os::Descriptor find() {
    const std::string path = fmt::format("{}/{}", options_.cache_folder, name_);
    os::Descriptor entry(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status{};
    if (!entry || fstat(entry.get(), &status) != 0) return {};
    if (!S_ISREG(status.st_mode) || !is_private(status)) return {};
    if (static_cast<std::uint64_t>(status.st_size) != entry_size()) return {};
    Trailer found;
    const auto at = static_cast<off_t>(wanted_.image_size);
    if (pread(entry.get(), &found, sizeof found, at) != sizeof found || !(found == wanted_)) return {};
    const std::int64_t started = now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME);
    if (nanoseconds(status.st_mtim) < started && !verify(entry)) return {};
    return entry;
  }

  /// Compares an entry with the file that it was made from; a good one counts as written now.
  bool verify(const os::Descriptor& entry) {
    const auto size = static_cast<std::size_t>(wanted_.image_size);
    void* map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, entry.get(), 0);
    if (map == MAP_FAILED) return false;
    const auto* image = static_cast<const std::byte*>(map);
    const bool same = std::ranges::all_of(pieces(parsed_), [&](const Piece& piece) {
      return std::memcmp(image + piece.rva, file_.bytes().data() + piece.offset, piece.size) == 0;
    });
    munmap(map, size);
    if (same) futimens(entry.get(), nullptr);
    return same;
  }

  /// Lays the file out under a name of its own, and puts that in the entry's place when it is whole.
  os::Descriptor make() {
    if (entry_size() > options_.cache_limit || !settled()) return {};
    const os::Descriptor folder = open_folder();
    if (!folder) return {};
    static std::atomic<unsigned> counter{0};
    const std::string temporary = fmt::format("{}{}-{}", kNewPrefix, getpid(), counter.fetch_add(1));
    os::Descriptor entry(
        openat(folder.get(), temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!entry) return {};
    if (!write(entry) || !unchanged() ||
        renameat(folder.get(), temporary.c_str(), folder.get(), name_.c_str()) != 0) {
      unlinkat(folder.get(), temporary.c_str(), 0);
      return {};
    }
    trim(folder);
    return entry;
  }

  [[nodiscard]] bool settled() const {
    const std::int64_t age = now(CLOCK_REALTIME) - std::max(wanted_.modified, wanted_.changed);
    return age < 0 || age > kSettled;
  }
  /// Whether the file is still the one that we looked at first.
  [[nodiscard]] bool unchanged() const {
    struct stat source{};
    return fstat(file_.fd(), &source) == 0 && Trailer(source, parsed_.header().image_size) == wanted_;
  }

  /// The folder, if it is one that only we can change.
  [[nodiscard]] os::Descriptor open_folder() const {
    make_folders(options_.cache_folder);
    os::Descriptor folder(
        open(options_.cache_folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!folder || fstat(folder.get(), &status) != 0 || !is_private(status)) return {};
    return folder;
  }

  [[nodiscard]] bool write(const os::Descriptor& entry) const {
    if (ftruncate(entry.get(), static_cast<off_t>(entry_size())) != 0) return false;
    for (const Piece& piece : pieces(parsed_)) {
      if (!write_at(entry.get(), piece.rva, file_.bytes().data() + piece.offset, piece.size)) return false;
    }
    return write_at(entry.get(), wanted_.image_size, &wanted_, sizeof wanted_);
  }

  struct Entry {
    std::string name;
    std::uint64_t size;
    std::int64_t used;
  };

  /// Removes the entries that were not used for longest until the rest fits the limit; and what was
  /// abandoned.
  void trim(const os::Descriptor& folder) const {
    std::vector<Entry> entries = list(folder);
    std::ranges::sort(entries, {}, &Entry::used);
    std::uint64_t total = 0;
    for (const Entry& e : entries) total += e.size;
    for (const Entry& e : entries) {
      if (total <= options_.cache_limit) return;
      if (e.name == name_) continue;
      if (unlinkat(folder.get(), e.name.c_str(), 0) == 0) total -= e.size;
    }
  }

  [[nodiscard]] std::vector<Entry> list(const os::Descriptor& folder) const {
    std::vector<Entry> entries;
    const int copy = fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    DIR* stream = copy >= 0 ? fdopendir(copy) : nullptr;
    if (stream == nullptr) return entries;
    while (const dirent* item = readdir(stream)) {
      const std::string name = item->d_name;
      const bool unfinished = name.starts_with(kNewPrefix);
      struct stat status{};
      if (!unfinished && !name.ends_with(kSuffix)) continue;
      if (fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      const std::int64_t used = std::max(nanoseconds(status.st_atim), nanoseconds(status.st_mtim));
      if (unfinished && now(CLOCK_REALTIME) - used > kAbandoned) unlinkat(folder.get(), name.c_str(), 0);
      if (!unfinished) entries.push_back({name, static_cast<std::uint64_t>(status.st_blocks) * 512, used});
    }
    closedir(stream);
    return entries;
  }

  const FileBytes& file_;
  const pe::File& parsed_;
  const MapOptions& options_;
  Trailer wanted_;
  std::string name_;
};

}  // namespace

os::Descriptor find_laid_out(const FileBytes& file, const pe::File& parsed, const MapOptions& options) {
  if (options.cache_folder.empty()) return {};
  return Cache(file, parsed, options).find_or_make();
}

}  // namespace bobbin::image
