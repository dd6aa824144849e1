#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "abi/status.hpp"
#include "os/countdown.hpp"
#include "os/fake/fake.hpp"
#include "os/os.hpp"
#include "os/protection.hpp"

namespace bobbin::os {
namespace {

constinit Countdown g_failure;

struct {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> mappings;  ///< start and size of what may be released
  std::size_t allocations = 0;
  std::size_t files = 0;
} g_books;

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "os/fake: %s\n", what);
  std::abort();
}

std::unexpected<Error> none_left(const char* what) {
  return fail({.kind = ErrorKind::out_of_memory,
               .status = abi::STATUS_NO_MEMORY,
               .what = std::string(what) + ": the fake host has none left"});
}

std::uintptr_t number(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

void note(const void* at, std::size_t size) {
  const std::scoped_lock guard(g_books.mutex);
  g_books.mappings[number(at)] = size;
}

/// Whether [at, at + size) lies inside something that was mapped; whatever else is done to it is a bug.
bool known(const void* at, std::size_t size) {
  const std::scoped_lock guard(g_books.mutex);
  auto after = g_books.mappings.upper_bound(number(at));
  if (after == g_books.mappings.begin()) return false;
  const auto& [start, length] = *--after;
  return number(at) + size <= start + length;
}

}  // namespace

fake::Books fake::books() {
  const std::scoped_lock guard(g_books.mutex);
  Books now{.mappings = g_books.mappings.size(),
            .mapped_bytes = 0,
            .allocations = g_books.allocations,
            .files = g_books.files};
  for (const auto& [start, size] : g_books.mappings) now.mapped_bytes += size;
  return now;
}

std::uint64_t fail_allocation(std::uint64_t nth) noexcept { return g_failure.start(nth); }

bool injected_failure() noexcept { return g_failure.come(); }

Result<std::byte*> reserve(std::size_t size, void* at, std::size_t alignment) {
  if (injected_failure()) return none_left("reserving address space");
  if (at != nullptr) misuse("reserving at a given address is not faked");
  const std::size_t slack = alignment > kPageSize ? alignment - kPageSize : 0;
  void* got = mmap(nullptr, size + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return none_left("reserving address space");
  const std::uintptr_t start = (number(got) + alignment - 1) & ~(alignment - 1);
  if (start != number(got)) munmap(got, start - number(got));
  const std::size_t tail = number(got) + slack - start;
  if (tail != 0) munmap(reinterpret_cast<void*>(start + size), tail);
  note(reinterpret_cast<void*>(start), size);
  return reinterpret_cast<std::byte*>(start);
}

Result<void> commit(void* at, std::size_t size, Protection protection) {
  return protect(at, size, protection);
}

Result<void> protect(void* at, std::size_t size, Protection protection) {
  if (!known(at, size)) misuse("protecting what was never reserved");
  if (injected_failure() || mprotect(at, size, host_protection(protection)) != 0)
    return none_left("protecting pages");
  return {};
}

void decommit(void* at, std::size_t size) noexcept {
  if (!known(at, size)) misuse("decommitting what was never reserved");
  mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void discard(void* at, std::size_t size) noexcept {
  if (!known(at, size)) misuse("discarding what was never mapped");
  madvise(at, size, MADV_DONTNEED);
}

void use_sparsely(void* at, std::size_t size) noexcept {
  if (!known(at, size)) misuse("advice on what was never reserved");
}

void release(void* at, std::size_t size) noexcept {
  {
    const std::scoped_lock guard(g_books.mutex);
    const auto found = g_books.mappings.find(number(at));
    if (found == g_books.mappings.end() || found->second != size) misuse("releasing what was never reserved");
    g_books.mappings.erase(found);
  }
  munmap(at, size);
}

Result<std::byte*> map_private(int fd, std::uint64_t offset, std::size_t size, Protection protection,
                               void* at) {
  if (at != nullptr && !known(at, size)) misuse("mapping over what was never reserved");
  if (injected_failure()) return none_left("mapping a file");
  void* got =
      mmap(at, size, host_protection(protection),
           MAP_PRIVATE | MAP_NORESERVE | (at != nullptr ? MAP_FIXED : 0), fd, static_cast<off_t>(offset));
  if (got == MAP_FAILED) return none_left("mapping a file");
  if (at == nullptr) note(got, size);
  return static_cast<std::byte*>(got);
}

void* allocate(std::size_t size) noexcept {
  if (injected_failure()) return nullptr;
  const std::scoped_lock guard(g_books.mutex);
  ++g_books.allocations;
  return std::calloc(1, size);
}

void deallocate(void* block) noexcept {
  if (block == nullptr) return;
  std::free(block);
  const std::scoped_lock guard(g_books.mutex);
  if (g_books.allocations-- == 0) misuse("more blocks given back than taken");
}

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

MemoryFile::~MemoryFile() {
  if (fd_ < 0) return;
  close(fd_);
  const std::scoped_lock guard(g_books.mutex);
  --g_books.files;
}

Result<MemoryFile> MemoryFile::create(const char* name) {
  if (injected_failure()) return none_left("making a memory file");
  MemoryFile file;
  file.fd_ = memfd_create(name, MFD_CLOEXEC);
  if (file.fd_ < 0) return none_left("making a memory file");
  const std::scoped_lock guard(g_books.mutex);
  ++g_books.files;
  return file;
}

Result<void> MemoryFile::resize(std::uint64_t size) {
  if (injected_failure() || ftruncate(fd_, static_cast<off_t>(size)) != 0)
    return none_left("growing a memory file");
  return {};
}

Result<void> MemoryFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (injected_failure()) return none_left("writing a memory file");
  const ssize_t done = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (done != static_cast<ssize_t>(bytes.size())) return none_left("writing a memory file");
  return {};
}

void MemoryFile::punch(std::uint64_t offset, std::uint64_t size) noexcept {
  fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(size));
}

}  // namespace bobbin::os
