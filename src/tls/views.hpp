// Large templates. They are not copied to each thread: they lie in one file in memory, and each thread has a
// private, copy-on-write view of all of it. The host pays for a page when a thread first writes to it.
//
//     template file   [ A's template | B's template | hole | C's template |            ]   grows at its end
//                           |               |
//     thread 1's view  [ ...same offsets...                                 | reserved  ]   one mapping,
//     thread 2's view  [ ...                                                | reserved  ]   never remapped
//
// Growing the file makes the new range visible in every view at once. What a view shows for an untouched page
// is the file's present content, hence two rules:
//   1. a range of the file is written only while no module owns it in any thread (between take and commit);
//   2. before such a range is handed to a new module, each view drops what its thread had written there.
//
// The template is the image's memory as it is when the thread is born, not as it was at load (specification
// 3.1). So at birth those pages of the image that somebody has written to are copied if they differ from the
// file. Where the image is itself mapped from a file, the host knows the pages (os::never_written), and most
// births compare nothing; else all are compared. The comparison reads through a view of our own, so it
// touches no page of the new thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.hpp"
#include "os/os.hpp"

namespace bobbin::tls {

/// The template file and the making of views. place() and punch() need the modules lock exclusively, the
/// others at least shared.
class Views {
 public:
  /// `arena_size`: address space of one view, a multiple of the page; also the largest size of the file.
  explicit Views(std::uint64_t arena_size) : arena_size_(arena_size) {}
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;
  ~Views();

  /// Puts `bytes` into the file at `offset` (of a page), growing it; the rest of their last page is zero.
  [[nodiscard]] Result<void> place(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Gives the file's pages of [offset, offset + size) back; they read as zero.
  void punch(std::uint64_t offset, std::uint64_t size) noexcept;

  /// A new view of the whole file, aligned to kMaximumAlignment.
  [[nodiscard]] Result<std::byte*> map() const;
  void unmap(std::byte* view) const noexcept;

  /// Drops everything that has been written to `view`, or to a part of it.
  void clean(std::byte* view) const noexcept;
  static void clean(std::byte* view, std::uint64_t offset, std::uint64_t size) noexcept;

  /// Copies into `view` those pages of the template that the image has changed since place().
  void refresh(std::byte* view, std::uint64_t offset, std::span<const std::byte> bytes) const noexcept;

  [[nodiscard]] std::uint64_t file_size() const { return file_size_; }

 private:
  Result<void> open();
  void copy_changed(std::byte* view, std::uint64_t offset, std::span<const std::byte> bytes) const noexcept;

  const std::uint64_t arena_size_;
  os::MemoryFile file_;
  std::uint64_t file_size_ = 0;
  std::byte* original_ = nullptr;  ///< a view that nobody writes to
};

}  // namespace bobbin::tls
