// One image in memory: placed, filled, relocated, protected, and taken down again by its destructor.
//
// Three steps, so that everything that can fail has failed before a module becomes visible:
//   map_image()   reserve SizeOfImage (preferred base if free), map or copy the sections, relocate; all pages
//                 that will be patched are writable, none is writable and executable
//   ...           the loader binds imports and tls/ writes the index
//   protect()     final page protections; the last step that can fail
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.hpp"
#include "memory/address_space.hpp"
#include "pe/file.hpp"

namespace bobbin::image {

/// The bytes of a file on disk, mapped read-only; closed and unmapped by the destructor.
class FileBytes {
 public:
  /// Opens a regular file. Errors name the path.
  [[nodiscard]] static Result<FileBytes> open(const std::string& path);
  FileBytes(FileBytes&& other) noexcept;
  FileBytes& operator=(FileBytes&& other) noexcept;
  ~FileBytes();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  FileBytes() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int fd_ = -1;
  std::string path_;
};

struct MapOptions {
  /// Folder for page-aligned copies of files that cannot be mapped as they are; empty: always copy in memory.
  std::string cache_folder;
  /// Upper bound of that folder's content, bytes.
  std::uint64_t cache_limit = 1ull << 30;
  /// Data files (LOAD_LIBRARY_AS_IMAGE_RESOURCE) are laid out but never relocated nor executable.
  bool data_only = false;
};

/// An image that stands in memory.
class Mapped {
 public:
  Mapped(Mapped&& other) noexcept;
  Mapped& operator=(Mapped&& other) noexcept;
  ~Mapped();

  [[nodiscard]] std::byte* base() const { return base_; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::byte* at(Rva rva) const { return base_ + rva.value; }
  [[nodiscard]] bool contains(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    return byte >= base_ && byte < base_ + size_;
  }
  /// Whether the image stands elsewhere than its header prefers.
  [[nodiscard]] bool relocated() const { return relocated_; }

  /// Makes [at, at + size) writable until protect(); for import tables and the TLS index in read-only pages.
  [[nodiscard]] Result<void> make_writable(Rva at, std::uint32_t size);
  /// Sets every section to its final protection.
  [[nodiscard]] Result<void> protect();

 private:
  friend Result<Mapped> map_image(const FileBytes&, const pe::File&, memory::AddressSpace&, const MapOptions&);
  Mapped() = default;
  memory::AddressSpace* space_ = nullptr;
  std::byte* base_ = nullptr;
  std::uint32_t size_ = 0;
  bool relocated_ = false;
  std::vector<pe::Section> sections_;  ///< names are not used; ranges and characteristics are
  std::uint32_t headers_size_ = 0;
};

/// Places `parsed` (parsed from `file`'s bytes) in memory. On failure nothing stays mapped.
[[nodiscard]] Result<Mapped> map_image(const FileBytes& file, const pe::File& parsed,
                                       memory::AddressSpace& space, const MapOptions& options);

}  // namespace bobbin::image
