// One image in memory: placed, filled, relocated, protected, and taken down again by its destructor.
//
// Three steps, so that everything that can fail has failed before a module becomes visible:
//   map_image()   reserve SizeOfImage (preferred base if free), map or copy the sections, relocate; all pages
//                 are writable, none is executable
//   ...           the loader binds imports and tls/ writes the index
//   protect()     final page protections; the last step that can fail
//
// Where the bytes come from, best first:
//   the file      if its sections stand on page borders in the file too: mapped copy-on-write, so that a page
//                 costs something only when it is touched, and memory only when it is written
//   the cache     most files have a FileAlignment of 512 and cannot be mapped so. Such a file is laid out
//   once,
//                 as it stands in memory, in a file in the cache folder, and that one is mapped
//   a copy        of small files, where copying is cheaper than asking the cache, and wherever the cache
//   fails
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "image/file_bytes.hpp"
#include "memory/address_space.hpp"
#include "pe/file.hpp"

namespace bobbin::image {

/// Pages [begin, end) of an image, by RVA, and the PAGE_* value that they get.
struct ProtectedRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t protect = 0;
};

struct MapOptions {
  /// Folder for page-aligned copies of files that cannot be mapped as they are; empty: always copy in memory.
  /// Made when it does not exist, with those above it, for the user alone.
  std::string cache_folder;
  /// Upper bound of that folder's content, bytes.
  std::uint64_t cache_limit = 1ull << 30;
  /// Files whose image is smaller are copied without asking the cache. Measured, mapping and then touching
  /// every eighth page: 52 KiB take 48 us copied and 26 us from the cache, 168 KiB 112 and 29, 604 KiB 356
  /// and 56; below 32 KiB there is nothing to gain that would be worth an entry.
  std::uint32_t copy_below = 0x8000;
  /// Data files (LOAD_LIBRARY_AS_IMAGE_RESOURCE) are laid out but never relocated nor executable.
  bool data_only = false;
};

/// An image that stands in memory. Not thread-safe; what is in it is the guest's.
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
  /// Whether its pages come from a file (its own, or the cache's) rather than from a copy.
  [[nodiscard]] bool file_backed() const { return file_backed_; }

  /// Makes the pages of [at, at + size) writable until (the next) protect(). Before the first protect() all
  /// are.
  [[nodiscard]] Result<void> make_writable(Rva at, std::uint32_t size);
  /// Sets every section to its final protection.
  [[nodiscard]] Result<void> protect();

 private:
  friend class Mapper;
  Mapped() = default;
  memory::AddressSpace* space_ = nullptr;
  std::byte* base_ = nullptr;
  std::uint32_t size_ = 0;
  bool relocated_ = false;
  bool file_backed_ = false;
  bool protected_ = false;
  std::vector<ProtectedRange> final_;  ///< all of [0, size), ascending
};

/// Places `parsed` (parsed from `file`'s bytes) in memory. On failure nothing stays mapped. Fails with
/// STATUS_CONFLICTING_ADDRESSES if the preferred base is taken and the file holds no relocations.
[[nodiscard]] Result<Mapped> map_image(const FileBytes& file, const pe::File& parsed,
                                       memory::AddressSpace& space, const MapOptions& options);

}  // namespace bobbin::image
