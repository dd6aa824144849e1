// Memory that may not be there, pages that must stay, and writes that must be seen: the kernel does it, so
// that no fault of ours has to be caught.
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "abi/status.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

using Transfer = ssize_t (*)(pid_t, const iovec*, unsigned long, const iovec*, unsigned long, unsigned long);

/// Page by page, since the kernel copies none of a segment that ends in a bad page.
std::size_t copy(Transfer transfer, std::byte* own, std::byte* doubtful, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const std::size_t in_page = reinterpret_cast<std::uintptr_t>(doubtful + done) % kPageSize;
    const iovec local{own + done, std::min(size - done, kPageSize - in_page)};
    const iovec remote{doubtful + done, local.iov_len};
    const ssize_t copied = transfer(getpid(), &local, 1, &remote, 1, 0);
    if (copied <= 0) break;
    done += static_cast<std::size_t>(copied);
  }
  return done;
}

int membarrier(int command) { return static_cast<int>(syscall(SYS_membarrier, command, 0, 0)); }

}  // namespace

std::size_t copy_from_doubtful(void* to, const void* doubtful, std::size_t size) noexcept {
  return copy(process_vm_readv, static_cast<std::byte*>(to),
              static_cast<std::byte*>(const_cast<void*>(doubtful)), size);
}

std::size_t copy_to_doubtful(void* doubtful, const void* from, std::size_t size) noexcept {
  return copy(process_vm_writev, static_cast<std::byte*>(const_cast<void*>(from)),
              static_cast<std::byte*>(doubtful), size);
}

Result<void> pin(void* at, std::size_t size) {
  if (mlock(at, size) == 0) return {};
  return fail({.kind = ErrorKind::system,
               .status = abi::STATUS_WORKING_SET_QUOTA,
               .what = "the host refuses to keep more pages in memory",
               .advice = "raise the limit on locked memory (ulimit -l)"});
}

void unpin(void* at, std::size_t size) noexcept { munlock(at, size); }

void flush_process_writes() noexcept {
  static const bool expedited = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  if (expedited && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return;
  membarrier(MEMBARRIER_CMD_GLOBAL);
}

}  // namespace bobbin::os
