#include "thread/carriers.hpp"

#include <sched.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "thread/signal_stack.hpp"

namespace bobbin::thread {
namespace {
/// How often a carrier looks for a job before it sleeps: whoever waited for its last guest thread often
/// starts another at once, and waking a CPU that idles takes longer than all else in a birth.
constexpr int kYields = 50;
}  // namespace

Result<Carriers::Seat> Carriers::take(std::size_t size) {
  const std::size_t whole = StackPool::size_for(size);
  {
    const std::scoped_lock lock(mutex_);
    if (const std::uint32_t process = os::process_id(); process != process_) {
      waiting_.clear();  // in the child of a fork only the thread that forked exists
      process_ = process;
    }
    const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(),
                                   [=](const Carrier* carrier) { return carrier->stack_.size == whole; });
    if (last != waiting_.rend()) {
      Carrier* const carrier = *last;
      waiting_.erase(std::next(last).base());
      return Seat{carrier->stack_, carrier};
    }
  }
  auto stack = stacks_.take(size);
  if (!stack) return propagate(stack);
  return Seat{*stack};
}

void Carriers::give_back(const Seat& seat) noexcept {
  if (seat.carrier == nullptr) return stacks_.give_back(seat.stack);
  const std::scoped_lock lock(mutex_);
  put(*seat.carrier);
}

/// Under mutex_: makes a carrier that waits one that can be taken.
void Carriers::put(Carrier& carrier) noexcept {
  if (!closed_ && waiting_.size() < kMostWaiting) {
    waiting_.push_back(&carrier);
  } else {
    ++leaving_;
    carrier.state_ = Carrier::dismissed;
    os::futex_wake(carrier.state_, 1);
  }
}

Result<void> Carriers::start(const Seat& seat, void* job) {
  ++busy_;
  if (seat.carrier != nullptr) {
    seat.carrier->job_ = job;
    seat.carrier->state_ = Carrier::working;
    os::futex_wake(seat.carrier->state_, 1);
    return {};
  }
  std::unique_ptr<Carrier> carrier(new (std::nothrow) Carrier);
  auto started = without_throwing([&]() -> Result<os::HostThread> {
    if (!carrier) return no_memory();
    carrier->owner_ = this;
    carrier->stack_ = seat.stack;
    carrier->job_ = job;
    return os::start_thread(seat.stack.usable(), seat.stack.usable_size(), &Carriers::run, carrier.get());
  });
  if (!started) {
    --busy_;
    return propagate(started);
  }
  (void)carrier.release();  // its own
  return {};
}

void Carriers::offer(Carrier& self) noexcept {
  self.offered_ = true;
  self.experienced_ = true;
  self.state_ = Carrier::waiting;
  const std::scoped_lock lock(mutex_);
  put(self);
}

void Carriers::run(void* carrier) {
  const std::unique_ptr<Carrier> self(static_cast<Carrier*>(carrier));
  Carriers& owner = *self->owner_;
  self->stack_.host = os::current_host_thread();
  for (;;) {
    owner.routine_(self->job_, *self);
    if (!std::exchange(self->offered_, false)) {
      release_signal_stack();
      if (!self->gave_stack_away_) owner.stacks_.give_back(self->stack_);
      --owner.busy_;
      return;
    }
    --owner.busy_;
    for (int i = 0; i < kYields && self->state_.load() == Carrier::waiting; ++i) sched_yield();
    while (self->state_.load() == Carrier::waiting) os::futex_wait(self->state_, Carrier::waiting);
    if (self->state_.load() == Carrier::dismissed) {
      release_signal_stack();
      owner.stacks_.give_back(self->stack_);
      --owner.leaving_;
      return;
    }
  }
}

void Carriers::dismiss() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    for (Carrier* carrier : std::exchange(waiting_, {})) put(*carrier);
  }
  while (leaving_.load() != 0) sched_yield();
}

}  // namespace bobbin::thread
