// Stacks of guest threads, pooled. A stack is one reservation: at the bottom a page that is never accessible,
// and guard pages; then memory that the host commits as it is touched. Touching a guard page is the guest's
// stack overflow: it gets these pages to handle it on. A dead thread's stack is reused once its host thread
// has left it for good.
#pragma once

#include <cstddef>
#include <vector>

#include "base/checked.hpp"
#include "base/error.hpp"
#include "memory/address_space.hpp"
#include "os/os.hpp"

namespace bobbin::thread {

struct Stack {
  /// What is left for handlers when the stack has overflowed.
  static constexpr std::size_t kGuard = 4 * os::kPageSize;

  std::byte* base = nullptr;  ///< lowest address, the page that is never accessible
  std::size_t size = 0;       ///< with that page
  os::HostThread host;        ///< whose host frames stand on it too, if it is that thread's own
  [[nodiscard]] bool valid() const { return base != nullptr; }
  [[nodiscard]] std::byte* usable() const { return base + os::kPageSize; }
  [[nodiscard]] std::byte* limit() const { return usable() + kGuard; }  ///< above the guard pages
  [[nodiscard]] std::size_t usable_size() const { return size - os::kPageSize; }
  [[nodiscard]] std::byte* top() const { return base + size; }
};

/// Thread-safe.
class StackPool {
 public:
  explicit StackPool(memory::AddressSpace& space) : space_(space) {}
  ~StackPool();

  /// The size of the stack that take() gives to whom asks for `size` bytes.
  [[nodiscard]] static constexpr std::size_t size_for(std::size_t size) {
    return align_up(size, memory::kAllocationGranularity);
  }
  /// A stack of that size.
  [[nodiscard]] Result<Stack> take(std::size_t size);
  /// Gives back a stack that no guest code runs on any more. That of a host thread is reused once the thread
  /// can be joined.
  void give_back(Stack stack) noexcept;
  /// Makes the guard pages guard pages again, if whoever had the stack overflowed it.
  void arm(const Stack& stack) noexcept;
  /// Waits (by yielding) until all host threads whose stacks were given back are gone.
  void drain() noexcept;

 private:
  void collect() noexcept;
  [[nodiscard]] Result<Stack> make(std::size_t whole);

  memory::AddressSpace& space_;
  os::Mutex mutex_;
  // What follows is guarded by mutex_. Either list has room for all stacks that there are, so that giving one
  // back needs no memory.
  std::size_t made_ = 0;
  std::vector<Stack> leaving_;  ///< of host threads
  std::size_t next_ = 0;        ///< of leaving_: which to look at next
  std::vector<Stack> free_;     ///< the warmest last
};

}  // namespace bobbin::thread
