// The host's own list of mappings, /proc/self/maps, read without taking memory: the list changes when memory
// is taken, and a reader that allocates would chase itself.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "os/os.hpp"

namespace bobbin::os {
namespace {

/// A line as "7f00-7f80 r-xp 00000000 08:01 1234   /path"; only what stands before the path is looked at.
struct Line {
  unsigned long start = 0;
  unsigned long end = 0;
  char access[5] = {};
  unsigned long inode = 0;
};

bool parse(const char* text, Line& line) {
  return std::sscanf(text, "%lx-%lx %4s %*x %*x:%*x %lu", &line.start, &line.end, line.access, &line.inode) ==
         4;
}

Protection protection_of(const char* access) {
  const bool read = access[0] == 'r';
  const bool write = access[1] == 'w';
  const bool execute = access[2] == 'x';
  if (write) return execute ? Protection::read_write_execute : Protection::read_write;
  if (execute) return read ? Protection::read_execute : Protection::execute;
  return read ? Protection::read : Protection::none;
}

/// Hands over a file's lines one by one, cut off after 120 characters (paths are longer; nobody needs them).
class Lines {
 public:
  explicit Lines(const char* path) : fd_(open(path, O_RDONLY | O_CLOEXEC)) {}
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  [[nodiscard]] const char* next() {
    std::size_t length = 0;
    for (int c = read_char(); c >= 0; c = read_char()) {
      if (c == '\n') {
        line_[length] = 0;
        return line_;
      }
      if (length + 1 < sizeof line_) line_[length++] = static_cast<char>(c);
    }
    return nullptr;
  }

 private:
  int read_char() {
    if (position_ == filled_) {
      ssize_t got = 0;
      do got = read(fd_, buffer_, sizeof buffer_);
      while (got < 0 && errno == EINTR);
      if (got <= 0) return -1;
      filled_ = static_cast<std::size_t>(got);
      position_ = 0;
    }
    return static_cast<unsigned char>(buffer_[position_++]);
  }

  int fd_;
  std::size_t filled_ = 0;
  std::size_t position_ = 0;
  char line_[120];
  char buffer_[4096];
};

}  // namespace

std::optional<HostRange> host_range(const void* address) noexcept {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  Lines lines("/proc/self/maps");
  if (!lines.is_open()) return std::nullopt;
  HostRange gap;
  gap.end = UINTPTR_MAX;
  while (const char* text = lines.next()) {
    Line line;
    if (!parse(text, line)) continue;
    if (wanted < line.start) {
      gap.end = line.start;
      return gap;
    }
    if (wanted < line.end)
      return HostRange{line.start, line.end, protection_of(line.access), line.inode != 0};
    gap.start = line.end;
  }
  return gap;
}

}  // namespace bobbin::os
