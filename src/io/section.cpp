#include "io/section.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/file.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what) {
  return fail({.kind = ErrorKind::invalid, .status = status, .what = what});
}

}  // namespace

Result<sync::Ref<Section>> Section::of_file(File& file, std::uint64_t size, bool write, bool execute) {
  if (file.file_kind() != FileKind::disk)
    return refused(abi::STATUS_INVALID_PARAMETER, "only files on disk can be mapped");
  const std::uint32_t needed = abi::FILE_READ_DATA | (write ? abi::FILE_WRITE_DATA : 0u);
  if ((file.access() & needed) != needed)
    return refused(abi::STATUS_ACCESS_DENIED, "the file was not opened for what the mapping is to allow");
  auto info = file.info();
  if (!info) return propagate(info);
  if (size == 0) size = info->size;
  if (size == 0) return refused(status_of_win32(abi::ERROR_FILE_INVALID), "an empty file cannot be mapped");
  if (size > info->size) {
    if (!write) return refused(abi::STATUS_NO_MEMORY, "the mapping is longer than its file");
    if (auto grown = file.resize(size); !grown) return propagate(grown);
  }
  os::Descriptor descriptor(fcntl(file.fd(), F_DUPFD_CLOEXEC, 3));
  if (descriptor.get() < 0) return host_failure("dup", errno);
  return sync::Ref<Section>::adopt(new Section(std::move(descriptor), size, write, execute));
}

Result<sync::Ref<Section>> Section::of_memory(std::uint64_t size, bool execute) {
  if (size == 0) return refused(abi::STATUS_INVALID_PARAMETER, "memory of no size cannot be mapped");
  os::Descriptor descriptor(memfd_create("bobbin-section", MFD_CLOEXEC));
  if (descriptor.get() < 0) return host_failure("memfd_create", errno);
  if (ftruncate(descriptor.get(), static_cast<off_t>(size)) != 0) return host_failure("ftruncate", errno);
  return sync::Ref<Section>::adopt(new Section(std::move(descriptor), size, true, execute));
}

}  // namespace bobbin::io
