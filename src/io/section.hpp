// Sections: what CreateFileMapping makes, a file (or memory that belongs to no file) that views can be mapped
// of.
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "os/descriptor.hpp"
#include "sync/object.hpp"

namespace bobbin::io {

class File;

/// Keeps its file open by itself.
class Section final : public sync::Object {
 public:
  /// Of a file, which grows if it is shorter than `size` and may be written; of all of it if `size` is 0
  /// (an empty file cannot be: ERROR_FILE_INVALID). STATUS_ACCESS_DENIED for more than the file was opened
  /// for.
  [[nodiscard]] static Result<sync::Ref<Section>> of_file(File& file, std::uint64_t size, bool write,
                                                          bool execute);
  /// Of zeroed memory.
  [[nodiscard]] static Result<sync::Ref<Section>> of_memory(std::uint64_t size, bool execute);

  [[nodiscard]] int fd() const { return descriptor_.get(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Whether views may write to what others see, and be executed.
  [[nodiscard]] bool writable() const { return writable_; }
  [[nodiscard]] bool executable() const { return executable_; }

 private:
  Section(os::Descriptor descriptor, std::uint64_t size, bool write, bool execute)
      : Object(sync::Kind::mapping),
        descriptor_(std::move(descriptor)),
        size_(size),
        writable_(write),
        executable_(execute) {}
  ~Section() override = default;

  const os::Descriptor descriptor_;
  const std::uint64_t size_;
  const bool writable_;
  const bool executable_;
};

}  // namespace bobbin::io
