// Memory of the real host: mmap and friends, with the failure counter that tests use.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "abi/status.hpp"
#include "os/countdown.hpp"
#include "os/os.hpp"
#include "os/protection.hpp"

namespace bobbin::os {
namespace {

constinit Countdown g_failure;

std::unexpected<Error> host_error(const char* call, int code) {
  return fail({.kind = code == ENOMEM ? ErrorKind::out_of_memory : ErrorKind::system,
               .status = code == EEXIST ? abi::STATUS_CONFLICTING_ADDRESSES : abi::status_from_errno(code),
               .what = std::string(call) + " failed: " + std::strerror(code)});
}

}  // namespace

bool injected_failure() noexcept { return g_failure.come(); }

std::uint64_t fail_allocation(std::uint64_t nth) noexcept { return g_failure.start(nth); }

Result<std::byte*> reserve(std::size_t size, void* at, std::size_t alignment) {
  if (injected_failure()) return host_error("reserving address space", ENOMEM);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at != nullptr ? MAP_FIXED_NOREPLACE : 0);
  const std::size_t slack = at == nullptr && alignment > kPageSize ? alignment - kPageSize : 0;
  void* got = mmap(at, size + slack, PROT_NONE, flags, -1, 0);
  if (got == MAP_FAILED) return host_error("reserving address space", errno);
  if (at != nullptr && got != at) {  // a kernel before 4.17 takes the flag for a hint
    munmap(got, size);
    return host_error("reserving address space", EEXIST);
  }
  auto* start = static_cast<std::byte*>(got);
  if (slack != 0) {
    const auto raw = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t head = ((raw + alignment - 1) & ~(alignment - 1)) - raw;
    if (head != 0) munmap(start, head);
    if (slack != head) munmap(start + head + size, slack - head);
    start += head;
  }
  return start;
}

Result<void> commit(void* at, std::size_t size, Protection protection) {
  return protect(at, size, protection);
}

Result<void> protect(void* at, std::size_t size, Protection protection) {
  if (injected_failure()) return host_error("changing page protection", ENOMEM);
  if (mprotect(at, size, host_protection(protection)) != 0) return host_error("mprotect", errno);
  return {};
}

void decommit(void* at, std::size_t size) noexcept {
  // A fresh mapping in place gives the memory back and revokes access in one step.
  (void)mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void discard(void* at, std::size_t size) noexcept { madvise(at, size, MADV_DONTNEED); }

void use_sparsely(void* at, std::size_t size) noexcept { madvise(at, size, MADV_NOHUGEPAGE); }

void release(void* at, std::size_t size) noexcept { munmap(at, size); }

Result<std::byte*> map_private(int fd, std::uint64_t offset, std::size_t size, Protection protection,
                               void* at) {
  if (injected_failure()) return host_error("mapping a file", ENOMEM);
  void* got =
      mmap(at, size, host_protection(protection),
           MAP_PRIVATE | MAP_NORESERVE | (at != nullptr ? MAP_FIXED : 0), fd, static_cast<off_t>(offset));
  if (got == MAP_FAILED) return host_error("mapping a file", errno);
  return static_cast<std::byte*>(got);
}

Result<void> map_shared(int fd, std::uint64_t offset, std::size_t size, Protection protection, void* at) {
  if (injected_failure()) return host_error("mapping a file", ENOMEM);
  void* got =
      mmap(at, size, host_protection(protection), MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
  if (got == MAP_FAILED) return host_error("mapping a file", errno);
  return {};
}

void* allocate(std::size_t size) noexcept {
  if (injected_failure()) return nullptr;
  return std::calloc(1, size);
}

void deallocate(void* block) noexcept { std::free(block); }

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

MemoryFile::~MemoryFile() {
  if (fd_ >= 0) close(fd_);
}

Result<MemoryFile> MemoryFile::create(const char* name) {
  if (injected_failure()) return host_error("memfd_create", ENOMEM);
  MemoryFile file;
  file.fd_ = memfd_create(name, MFD_CLOEXEC);
  if (file.fd_ < 0) return host_error("memfd_create", errno);
  return file;
}

Result<void> MemoryFile::resize(std::uint64_t size) {
  if (injected_failure()) return host_error("ftruncate", ENOMEM);
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return host_error("ftruncate", errno);
  return {};
}

Result<void> MemoryFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (injected_failure()) return host_error("writing a memory file", ENOMEM);
  while (!bytes.empty()) {
    const ssize_t done = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return host_error("writing a memory file", done < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

void MemoryFile::punch(std::uint64_t offset, std::uint64_t size) noexcept {
  fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(size));
}

}  // namespace bobbin::os
