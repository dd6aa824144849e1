#include "io/folder_watch.hpp"

#include <dirent.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "abi/status.hpp"
#include "io/file.hpp"
#include "nls/utf.hpp"
#include "os/os.hpp"

namespace bobbin::io {
namespace {

enum : std::uint32_t { kAdded = 1, kRemoved, kModified, kRenamedOld, kRenamedNew };  // FILE_ACTION_*
enum : std::uint32_t {                                                               // FILE_NOTIFY_CHANGE_*
  kFileName = 0x1,
  kFolderName = 0x2,
  kSize = 0x8,
  kLastWrite = 0x10,
  kAttributes = 0x4 | 0x20 | 0x40 | 0x100,  // with what the host tells as one: times and rights
};
constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB;

/// Where a record after one of that size begins.
constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

/// The part of a path before its last name, with the slash.
std::string_view folder_in(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace

Result<std::shared_ptr<FolderWatch>> FolderWatch::begin(const std::string& host, std::uint32_t filter,
                                                        bool subtree, std::size_t room) {
  std::shared_ptr<FolderWatch> watch(new FolderWatch(host + "/", filter, subtree, room));
  watch->inotify_ = os::Descriptor(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch->inotify_) return host_failure("inotify_init1", errno);
  watch->add("", false);
  if (watch->watched_.empty()) return host_failure("inotify_add_watch", errno, host);
  return watch;
}

void FolderWatch::add(const std::string& folder, bool is_new) {
  const std::string host = host_ + folder;
  const int watch = inotify_add_watch(fd(), host.c_str(), kEvents | IN_ONLYDIR | IN_DONT_FOLLOW);
  if (watch < 0) {
    lost_ |= errno == ENOSPC;  // of watches: what happens there is lost
    return;
  }
  Watched& watched = watched_[watch];
  watched = {.folder = folder, .found = {}};
  if (!subtree_) return;
  DIR* const entries = opendir(host.c_str());
  if (entries == nullptr) return;
  std::vector<std::string> folders;
  while (const dirent* entry = readdir(entries)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const auto info = info_of(host + name);
    const bool is_folder = info && (info->mode & S_IFMT) == S_IFDIR;
    if (is_new) {
      watched.found.insert(name);
      tell(kAdded, folder + name, is_folder ? kFolderName : kFileName);
    }
    if (is_folder) folders.push_back(folder + name + "/");
  }
  closedir(entries);
  for (const std::string& below : folders) add(below, is_new);
}

void FolderWatch::forget(const std::string& folder) {
  std::erase_if(watched_, [&](const auto& one) {
    const bool below = one.second.folder.starts_with(folder);
    if (below) inotify_rm_watch(fd(), one.first);
    return below;
  });
}

std::size_t FolderWatch::size_of(const Change& change) {
  return 3 * sizeof(std::uint32_t) + 2 * change.name.size();
}

void FolderWatch::tell(std::uint32_t action, const std::string& name, std::uint32_t concerned) {
  if ((filter_ & concerned) == 0 || lost_) return;
  Change change{.action = action, .name = nls::name_to_utf16(name)};
  std::ranges::replace(change.name, u'/', u'\\');
  const bool again = action == kModified && !changes_.empty() && changes_.back().action == kModified &&
                     changes_.back().name == change.name;
  if (again) return;
  size_ = padded(size_) + size_of(change);
  changes_.push_back(std::move(change));
  lost_ = size_ > room_;
}

void FolderWatch::moved_out() {
  if (!moved_) return;
  const Moved moved = *std::exchange(moved_, std::nullopt);
  if (moved.is_folder) forget(moved.name + "/");
  tell(kRemoved, moved.name, moved.is_folder ? kFolderName : kFileName);
}

void FolderWatch::take_event(const inotify_event& event) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) lost_ = true;
  const auto at = watched_.find(event.wd);
  if (at == watched_.end()) return;
  if ((event.mask & IN_IGNORED) != 0) {
    watched_.erase(at);
    return;
  }
  if (event.len == 0) return;  // the folder itself
  const std::string own_name = event.name;
  const std::string name = at->second.folder + own_name;
  const bool is_folder = (event.mask & IN_ISDIR) != 0;
  const std::uint32_t naming = is_folder ? kFolderName : kFileName;
  if ((event.mask & IN_MOVED_TO) != 0 && moved_ && moved_->cookie == event.cookie) {
    const Moved from = *std::exchange(moved_, std::nullopt);
    const bool stays = folder_in(from.name) == folder_in(name);
    tell(stays ? kRenamedOld : kRemoved, from.name, naming);
    tell(stays ? kRenamedNew : kAdded, name, naming);
    for (auto& [watch, watched] : watched_) {
      if (is_folder && watched.folder.starts_with(from.name + "/"))
        watched.folder.replace(0, from.name.size(), name);
    }
    return;
  }
  moved_out();
  if ((event.mask & IN_MOVED_FROM) != 0) {
    moved_ = Moved{event.cookie, name, is_folder};
  } else if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    if (at->second.found.erase(own_name) != 0) return;
    tell(kAdded, name, naming);
    if (is_folder && subtree_) add(name + "/", true);
  } else if ((event.mask & IN_DELETE) != 0) {
    at->second.found.erase(own_name);
    tell(kRemoved, name, naming);
  } else {
    tell(kModified, name, (event.mask & IN_MODIFY) != 0 ? kSize | kLastWrite : kAttributes | kLastWrite);
  }
}

void FolderWatch::drain() {
  // Where a name has gone to is told right after where it came from, but not in the same instant.
  constexpr int kLongestMilliseconds = 100;
  alignas(inotify_event) char buffer[16 * (sizeof(inotify_event) + NAME_MAX + 1)];
  do {
    for (;;) {
      const ssize_t size = read(fd(), buffer, sizeof buffer);
      if (size <= 0) break;
      for (ssize_t at = 0; at < size;) {
        const auto& event = *reinterpret_cast<const inotify_event*>(buffer + at);
        take_event(event);
        at += static_cast<ssize_t>(sizeof event + event.len);
      }
    }
  } while (moved_ && readable_now(fd(), kLongestMilliseconds));
  moved_out();
}

std::optional<Outcome> FolderWatch::take_all() {
  drain();
  const bool changed = lost_ || !changes_.empty();
  changes_.clear();
  size_ = 0;
  lost_ = false;
  return changed ? std::optional(Outcome{}) : std::nullopt;
}

std::optional<Outcome> FolderWatch::take(std::span<std::byte> into) {
  drain();
  if (!lost_ && changes_.empty()) return std::nullopt;
  const bool too_much = lost_ || size_ > into.size();
  const auto changes = std::exchange(changes_, {});
  const std::size_t size = std::exchange(size_, 0);
  lost_ = false;
  if (too_much) return Outcome{abi::STATUS_NOTIFY_ENUM_DIR};
  std::vector<std::byte> records(size);
  std::byte* at = records.data();
  for (const Change& change : changes) {
    const auto next = static_cast<std::uint32_t>(&change == &changes.back() ? 0 : padded(size_of(change)));
    const std::uint32_t head[] = {next, change.action, static_cast<std::uint32_t>(2 * change.name.size())};
    std::memcpy(at, head, sizeof head);
    std::memcpy(at + sizeof head, change.name.data(), head[2]);
    at += next;
  }
  // The guest may have given its memory back.
  if (os::copy_to_doubtful(into.data(), records.data(), size) != size)
    return Outcome{abi::STATUS_ACCESS_VIOLATION};
  return Outcome{abi::STATUS_SUCCESS, size};
}

}  // namespace bobbin::io
