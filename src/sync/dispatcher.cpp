// How a wait works.
//
// A thread that must wait leaves one WaitBlock in the queue of each object that it waits for, lets the
// dispatcher lock go, and sleeps on its own futex word. Whoever signals an object walks that object's queue
// from the front, and for each wait that this completes does everything in its stead: consumes (an auto-reset
// event is handed over, never up for grabs), takes its blocks out of all queues, writes the outcome, raises
// `wake`. The woken thread only reads the outcome; it needs no lock.
//
//     Waitable ---first_waiter_---> WaitBlock --next--> WaitBlock ...      one queue for each object
//                                       |                   |
//                                       v                   v
//                                     Wait                Wait             one for each sleeping thread
//
// `wake` may also be raised without a completed wait (interrupt(), a timer that was set again): the sleeper
// then takes the lock and looks for itself.
#include "sync/dispatcher.hpp"

#include <algorithm>
#include <new>

#include "abi/status.hpp"
#include "sync/deadlock.hpp"
#include "sync/wait.hpp"

namespace bobbin::sync {
namespace {

constinit os::Mutex g_dispatcher;

using Outcome = WaitOutcome::Kind;

/// The earlier of two points in time, where none is for ever.
os::Deadline earlier(os::Deadline a, os::Deadline b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

bool passed(os::Deadline deadline) { return deadline && *deadline <= os::monotonic_now(); }

}  // namespace

os::Deadline deadline_after(std::uint64_t nanoseconds) noexcept {
  const std::uint64_t now = os::monotonic_now();
  // The host's clock is a signed count; a time beyond it is centuries away.
  constexpr std::uint64_t kFarthest = std::uint64_t{1} << 62;
  if (nanoseconds >= kFarthest - now) return std::nullopt;
  return now + nanoseconds;
}

// ---- the lock --------------------------------------------------------------------------------------------

DispatcherLock::DispatcherLock() noexcept { g_dispatcher.lock(); }

DispatcherLock::~DispatcherLock() {
  g_dispatcher.unlock();
  // A thread may be gone by now; a wake on memory that is no futex any more is harmless, and nothing else of
  // the Waiter is touched.
  for (std::size_t i = 0; i < postponed_count_; ++i) os::futex_wake(postponed_[i]->wake, 1);
}

void DispatcherLock::wake(Waiter& waiter, std::uint32_t why) noexcept {
  waiter.wake.fetch_or(why,
                       std::memory_order_release);  // with kDone, the thread and its Wait may be gone now
  if (postponed_count_ < kPostponed) {
    postponed_[postponed_count_++] = &waiter;
  } else {
    os::futex_wake(waiter.wake, 1);
  }
}

namespace {

constexpr std::uint64_t kLongWait =
    10'000'000;  ///< nanoseconds; after them it pays to ask whether it can end

/// False if `until` came first.
bool sleep_on(const std::atomic<std::uint32_t>& wake, os::Deadline until) {
  while (wake.load(std::memory_order_acquire) == 0) {
    if (os::futex_wait(wake, 0, until) == os::WaitResult::timed_out) return false;
  }
  return true;
}

}  // namespace

bool Waiter::sleep(os::Deadline until) noexcept {
  if (!until && watching_for_deadlocks() && !sleep_on(wake, os::monotonic_now() + kLongWait)) {
    look_for_deadlock(*this);
  }
  return sleep_on(wake, until) && (wake.load(std::memory_order_acquire) & kDone) != 0;
}

// ---- waits -----------------------------------------------------------------------------------------------

bool Wait::try_satisfy_any() {
  for (std::uint32_t i = 0; i < objects.size(); ++i) {
    if (!objects[i]->signalled(self)) continue;
    outcome = {objects[i]->consume(self) ? Outcome::abandoned : Outcome::satisfied, i};
    return true;
  }
  return false;
}

bool Wait::try_satisfy_all() {
  if (!std::ranges::all_of(objects, [&](const Waitable* object) { return object->signalled(self); }))
    return false;
  outcome = {Outcome::satisfied, 0};
  for (Waitable* object : objects) {
    if (object->consume(self)) outcome.kind = Outcome::abandoned;
  }
  return true;
}

bool Wait::try_satisfy() {
  if (objects.empty()) return false;
  return all ? try_satisfy_all() : try_satisfy_any();
}

void Wait::enqueue(Block* storage) {
  for (std::size_t i = 0; i < objects.size(); ++i) {
    Waitable& object = *objects[i];
    Block* block = new (storage + i) Block{this, &object, nullptr, object.last_waiter_};
    (object.last_waiter_ != nullptr ? object.last_waiter_->next : object.first_waiter_) = block;
    object.last_waiter_ = block;
  }
  blocks = storage;
  self.waiting = this;
  self.waits.fetch_add(1);
}

void Wait::dequeue() {
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const Block& block = blocks[i];
    (block.previous != nullptr ? block.previous->next : block.object->first_waiter_) = block.next;
    (block.next != nullptr ? block.next->previous : block.object->last_waiter_) = block.previous;
  }
  blocks = nullptr;
  self.waiting = nullptr;
  self.waits.fetch_add(1);
}

void Wait::serve_queue(Waitable& object, DispatcherLock& lock) {
  Block* block = object.first_waiter_;
  while (block != nullptr) {
    Wait& wait = *block->wait;
    // What is not there for this thread is not there for those behind it either. (A mutex is always there for
    // its owner, but it is notified only when it has none.)
    if (!object.signalled(wait.self)) return;
    do block = block->next;
    while (block != nullptr && block->wait == &wait);  // the same object twice stands side by side
    if (!wait.try_satisfy()) continue;
    wait.dequeue();
    lock.wake(wait.self, Waiter::kDone);
  }
}

void Wait::rouse_queue(Waitable& object, DispatcherLock& lock) {
  for (Block* block = object.first_waiter_; block != nullptr; block = block->next) {
    lock.wake(block->wait->self, Waiter::kLook);
  }
}

void Wait::alert(Waiter& waiter, DispatcherLock& lock) {
  if (waiter.waiting != nullptr && waiter.waiting->alertable) lock.wake(waiter, Waiter::kLook);
}

void Wait::poll_timers(DispatcherLock& lock) {
  for (Waitable* object : objects) {
    if (!passed(object->due())) continue;
    object->come_due();
    serve_queue(*object, lock);
    if (blocks == nullptr) return;
  }
}

os::Deadline Wait::next_due() const {
  os::Deadline due;
  for (const Waitable* object : objects) due = earlier(due, object->due());
  return due;
}

bool Wait::over(DispatcherLock& lock) {
  if (blocks != nullptr) poll_timers(lock);
  if (blocks == nullptr) return true;
  self.wake.store(0);
  const bool interrupted = self.interrupted.load();
  const bool alerted = alertable && !self.apcs.empty();
  if (interrupted || alerted || passed(deadline)) {
    dequeue();
    outcome = {interrupted ? Outcome::interrupted : alerted ? Outcome::alerted : Outcome::timed_out, 0};
    return true;
  }
  until = earlier(deadline, next_due());
  return false;
}

WaitOutcome wait(std::span<Waitable* const> objects, bool all, os::Deadline deadline, Waiter& self,
                 bool alertable) {
  // Raw storage: a wait on one object must not pay for 64 blocks.
  alignas(Wait::Block) std::byte storage[kMaximumWaitObjects * sizeof(Wait::Block)];
  Wait wait{.self = self, .objects = objects, .all = all, .deadline = deadline, .alertable = alertable};
  {
    DispatcherLock lock;
    if (wait.try_satisfy()) return wait.outcome;
    if (alertable && !self.apcs.empty()) return {Outcome::alerted, 0};
    if (deadline && *deadline == 0) return {Outcome::timed_out, 0};
    wait.enqueue(reinterpret_cast<Wait::Block*>(storage));
    if (wait.over(lock)) return wait.outcome;
  }
  while (!self.sleep(wait.until)) {
    DispatcherLock lock;
    if (wait.over(lock)) break;
  }
  return wait.outcome;
}

void interrupt(Waiter& waiter) noexcept {
  waiter.interrupted.store(true);
  waiter.wake.fetch_or(Waiter::kLook);
  os::futex_wake(waiter.wake, 1);
}

void queue_apc(Waiter& waiter, const Apc& apc) {
  DispatcherLock lock;
  waiter.apcs.push_back(apc);
  Wait::alert(waiter, lock);
}

std::optional<Apc> take_apc(Waiter& self) noexcept {
  const DispatcherLock lock;
  if (self.apcs.empty()) return std::nullopt;
  const Apc first = self.apcs.front();
  self.apcs.pop_front();
  return first;
}

void DispatcherLock::notify(Waitable& object) noexcept { Wait::serve_queue(object, *this); }

void DispatcherLock::rouse(Waitable& object) noexcept { Wait::rouse_queue(object, *this); }

// ---- objects ---------------------------------------------------------------------------------------------

bool Event::set() noexcept {
  DispatcherLock lock;
  return set(lock);
}

bool Event::set(DispatcherLock& lock) noexcept {
  const bool before = std::exchange(set_, true);
  if (!before) lock.notify(*this);
  return before;
}

bool Event::reset() noexcept {
  const DispatcherLock lock;
  return std::exchange(set_, false);
}

void Event::expect() noexcept {
  const DispatcherLock lock;
  ++expected_;
}

void Event::set_as_expected() noexcept {
  DispatcherLock lock;
  --expected_;
  set(lock);
}

void Event::pulse() noexcept {
  DispatcherLock lock;
  set_ = true;
  lock.notify(*this);
  set_ = false;
}

Result<std::int32_t> Semaphore::release(std::int32_t count) {
  DispatcherLock lock;
  if (count <= 0 || count > maximum_ - count_) {
    return fail({.kind = ErrorKind::invalid,
                 .status = count <= 0 ? abi::STATUS_INVALID_PARAMETER : abi::STATUS_SEMAPHORE_LIMIT_EXCEEDED,
                 .what = "a semaphore's count would pass its maximum"});
  }
  const std::int32_t before = count_;
  count_ += count;
  lock.notify(*this);
  return before;
}

Mutex::Mutex(Waiter* owner) : Waitable(sync::Kind::mutex) {
  if (owner == nullptr) return;
  const DispatcherLock lock;
  consume(*owner);
}

Mutex::~Mutex() {
  const DispatcherLock lock;
  if (owner_ != nullptr) unlink();
}

void Mutex::link(Waiter& owner) noexcept {
  owner_ = &owner;
  previous_owned_ = nullptr;
  next_owned_ = owner.owned_mutexes;
  if (next_owned_ != nullptr) next_owned_->previous_owned_ = this;
  owner.owned_mutexes = this;
}

void Mutex::unlink() noexcept {
  (previous_owned_ != nullptr ? previous_owned_->next_owned_ : owner_->owned_mutexes) = next_owned_;
  if (next_owned_ != nullptr) next_owned_->previous_owned_ = previous_owned_;
  owner_ = nullptr;
}

bool Mutex::consume(Waiter& who) {
  if (owner_ == nullptr) link(who);
  ++recursion_;
  return std::exchange(abandoned_, false);
}

Result<void> Mutex::release(Waiter& self) {
  DispatcherLock lock;
  if (owner_ != &self) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_MUTANT_NOT_OWNED,
                 .what = "a mutex was released by a thread that does not own it"});
  }
  if (--recursion_ == 0) {
    unlink();
    lock.notify(*this);
  }
  return {};
}

void Mutex::abandon_all(Waiter& dead) noexcept {
  DispatcherLock lock;
  while (Mutex* mutex = dead.owned_mutexes) {
    mutex->unlink();
    mutex->recursion_ = 0;
    mutex->abandoned_ = true;
    lock.notify(*mutex);
  }
}

bool Timer::signalled(const Waiter&) const { return set_ || passed(due_); }

bool Timer::consume(Waiter&) {
  if (!set_) come_due();
  set_ = manual_;
  return false;
}

void Timer::come_due() {
  set_ = true;
  if (period_ == 0) {
    due_ = std::nullopt;
  } else {  // ticks that nobody waited for are one tick
    due_ = *due_ + (1 + (os::monotonic_now() - *due_) / period_) * period_;
  }
}

void Timer::set(std::uint64_t due, std::uint64_t period) noexcept {
  DispatcherLock lock;
  set_ = false;
  due_ = due;
  period_ = period;
  lock.rouse(*this);
}

void Timer::cancel() noexcept {
  const DispatcherLock lock;
  set_ = set_ || passed(due_);
  due_ = std::nullopt;
  period_ = 0;
}

}  // namespace bobbin::sync
