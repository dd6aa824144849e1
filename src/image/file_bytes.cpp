#include "image/file_bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "abi/status.hpp"

namespace bobbin::image {
namespace {

std::unexpected<Error> host_error(const std::string& path, const char* call, int code) {
  return fail({.kind = code == ENOENT || code == ENOTDIR ? ErrorKind::not_found : ErrorKind::system,
               .status = abi::status_from_errno(code),
               .what = fmt::format("{}: {}", call, std::strerror(code)),
               .file = path});
}

std::unexpected<Error> not_a_file(const std::string& path, bool folder) {
  return fail({.kind = ErrorKind::invalid,
               .status = folder ? abi::STATUS_FILE_IS_A_DIRECTORY : abi::STATUS_INVALID_IMAGE_FORMAT,
               .what = folder ? "is a folder, not a file" : "is not a regular file",
               .file = path});
}

}  // namespace

Result<FileBytes> FileBytes::open(const std::string& path) {
  FileBytes file;
  file.path_ = path;
  // O_NONBLOCK: a pipe of that name must be refused, not waited for.
  file.fd_ = os::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.fd_) return host_error(path, "cannot be opened", errno);
  struct stat status{};
  if (fstat(file.fd(), &status) != 0) return host_error(path, "fstat", errno);
  if (!S_ISREG(status.st_mode)) return not_a_file(path, S_ISDIR(status.st_mode));
  if (status.st_size == 0) return file;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (data == MAP_FAILED) return host_error(path, "mapping it", errno);
  file.data_ = static_cast<const std::byte*>(data);
  file.size_ = size;
  return file;
}

FileBytes::FileBytes(FileBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::move(other.fd_)),
      path_(std::move(other.path_)) {}

FileBytes& FileBytes::operator=(FileBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  fd_ = std::move(other.fd_);
  path_.swap(other.path_);
  return *this;
}

FileBytes::~FileBytes() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace bobbin::image
