#include "thread/stacks.hpp"

#include <sched.h>

#include <algorithm>
#include <mutex>
#include <new>

namespace bobbin::thread {

StackPool::~StackPool() {
  drain();
  for (const Stack& stack : free_) {
    space_.forget(stack.base);
    os::release(stack.base, stack.size);
  }
}

Result<Stack> StackPool::take(std::size_t size) {
  const std::size_t whole = size_for(size);
  {
    const std::scoped_lock lock(mutex_);
    collect();
    const auto fits = std::ranges::find(free_, whole, &Stack::size);
    if (fits != free_.end()) {
      const Stack stack = *fits;
      free_.erase(fits);
      arm(stack);
      return stack;
    }
  }
  auto base = os::reserve(whole, nullptr, memory::kAllocationGranularity);
  if (!base) return propagate(base);
  const Stack stack{*base, whole, {}};
  auto ready = os::commit(stack.usable(), stack.usable_size(), os::Protection::read_write);
  if (ready) ready = space_.note(stack.base, stack.size, memory::kReadWrite);
  if (!ready) {
    os::release(stack.base, stack.size);
    return propagate(ready);
  }
  arm(stack);
  return stack;
}

void StackPool::arm(const Stack& stack) noexcept {
  if ((space_.query(stack.usable()).protect & memory::kGuard) != 0) return;
  // Without guard pages an overflow is an access violation; the stack can be used all the same.
  (void)space_.protect(stack.usable(), Stack::kGuard, memory::kReadWrite | memory::kGuard);
}

void StackPool::give_back(Stack stack) noexcept {
  const std::scoped_lock lock(mutex_);
  if (stack.host.id != 0)
    leaving_.push_back(stack);
  else
    free_.push_front(stack);  // the warmest first
}

void StackPool::collect() noexcept {
  while (!leaving_.empty()) {
    Stack stack = leaving_.front();
    leaving_.pop_front();
    if (!os::try_join(stack.host)) {
      leaving_.push_back(
          stack);  // in the way of no other: a fiber may have lost the stack of a thread that lives
      return;
    }
    stack.host = {};
    free_.push_front(stack);
  }
}

void StackPool::drain() noexcept {
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      collect();
      if (leaving_.empty()) return;
    }
    sched_yield();
  }
}

}  // namespace bobbin::thread
