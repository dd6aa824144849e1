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
      return stack;
    }
  }
  auto base = os::reserve(whole, nullptr, memory::kAllocationGranularity);
  if (!base) return propagate(base);
  const Stack stack{*base, whole};
  auto ready = os::commit(stack.usable(), stack.usable_size(), os::Protection::read_write);
  if (ready) ready = space_.note(stack.base, stack.size, memory::kReadWrite);
  if (!ready) {
    os::release(stack.base, stack.size);
    return propagate(ready);
  }
  return stack;
}

void StackPool::give_back(Stack stack) noexcept {
  const std::scoped_lock lock(mutex_);
  free_.push_front(stack);  // the warmest first
}

void StackPool::give_back_after(Stack stack, os::HostThread thread) noexcept {
  const std::scoped_lock lock(mutex_);
  leaving_.push_back({stack, thread});
}

void StackPool::collect() noexcept {
  while (!leaving_.empty() && os::try_join(leaving_.front().thread)) {
    free_.push_front(leaving_.front().stack);
    leaving_.pop_front();
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
