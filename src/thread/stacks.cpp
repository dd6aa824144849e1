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
    const auto fits =
        std::find_if(free_.rbegin(), free_.rend(), [=](const Stack& stack) { return stack.size == whole; });
    if (fits != free_.rend()) {
      const Stack stack = *fits;
      free_.erase(std::next(fits).base());
      arm(stack);
      return stack;
    }
    if (free_.capacity() <= made_) {
      const std::size_t room = std::max<std::size_t>(16, 2 * made_);
      leaving_.reserve(room);
      free_.reserve(room);
    }
    ++made_;
  }
  auto stack = without_throwing([=, this] { return make(whole); });
  if (!stack) {
    const std::scoped_lock lock(mutex_);
    --made_;
  }
  return stack;
}

Result<Stack> StackPool::make(std::size_t whole) {
  auto base = os::reserve(whole, nullptr, memory::kAllocationGranularity);
  if (!base) return propagate(base);
  const Stack stack{*base, whole, {}};
  auto ready = without_throwing([&]() -> Result<void> {
    auto done = os::commit(stack.usable(), stack.usable_size(), os::Protection::read_write);
    return done ? space_.note(stack.base, stack.size, memory::kReadWrite) : propagate(done);
  });
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
  (void)without_throwing(
      [&] { return space_.protect(stack.usable(), Stack::kGuard, memory::kReadWrite | memory::kGuard); });
}

void StackPool::give_back(Stack stack) noexcept {
  const std::scoped_lock lock(mutex_);
  (stack.host.id != 0 ? leaving_ : free_).push_back(stack);
}

/// Frees stacks whose host threads are gone, up to the first that is not. The next call begins with the one
/// after it: a thread may live on without its stack, which a fiber has lost, and must be in nobody's way.
void StackPool::collect() noexcept {
  while (!leaving_.empty()) {
    if (next_ >= leaving_.size()) next_ = 0;
    Stack& stack = leaving_[next_];
    if (!os::try_join(stack.host)) {
      ++next_;
      return;
    }
    stack.host = {};
    free_.push_back(stack);
    stack = leaving_.back();
    leaving_.pop_back();
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
