// Files of the host: descriptors that close themselves, and a file's bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "base/error.hpp"

namespace bobbin::image {

/// A host file descriptor, closed by the destructor; -1 if there is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// The bytes of a file on disk, mapped read-only; closed and unmapped by the destructor. Whoever shortens the
/// file meanwhile takes bytes away from under us, as with any mapped file on Linux (Windows would not let
/// them).
class FileBytes {
 public:
  /// Opens a regular file. Errors name the path.
  [[nodiscard]] static Result<FileBytes> open(const std::string& path);
  FileBytes(FileBytes&& other) noexcept;
  FileBytes& operator=(FileBytes&& other) noexcept;
  ~FileBytes();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  FileBytes() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Descriptor fd_;
  std::string path_;
};

}  // namespace bobbin::image
