// Files of the host, as bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/error.hpp"
#include "os/descriptor.hpp"

namespace bobbin::image {

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
  os::Descriptor fd_;
  std::string path_;
};

}  // namespace bobbin::image
