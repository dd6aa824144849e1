#include "process/thread_pool.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "abi/status.hpp"
#include "os/service_thread.hpp"

namespace bobbin::process {
namespace {

using sync::Event;
using sync::Ref;
using sync::Waitable;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kIdleTime = 5'000 * kMillisecond;
/// A queue that nobody has taken from for so long gets another worker: those there are may all be blocked.
constexpr std::uint64_t kStallTime = 10 * kMillisecond;
constexpr std::uint32_t kDefaultMaximum = 500;
constexpr std::size_t kObjectsPerWatcher = 60;

}  // namespace

namespace {

struct Job {
  Ref<Task> task;
  Call::Why why;
};

struct Registration {
  std::uint64_t number;
  Ref<Task> task;
  ThreadPool::Watch watch;
  bool resting = false;  ///< watches again when its callback has returned
};

/// One watching thread and what it watches.
struct Watcher {
  sync::Waiter waiter;
  Ref<Event> changed = Ref<Event>::adopt(new Event(false, false));
  std::vector<Registration> registrations;  ///< guarded by the pool's mutex
  std::thread thread;
  [[nodiscard]] std::size_t objects() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(registrations, [](const Registration& r) { return bool(r.watch.object); }));
  }
};

}  // namespace

struct PoolState : std::enable_shared_from_this<PoolState> {
  explicit PoolState(PoolThreads given) : threads(std::move(given)) {}

  const PoolThreads threads;
  const std::uint32_t eager =
      std::max(2u, std::thread::hardware_concurrency());  ///< started without hesitation
  const Ref<sync::Semaphore> available = Ref<sync::Semaphore>::adopt(new sync::Semaphore(0, INT32_MAX));
  mutable os::Mutex mutex;
  // All below is guarded by mutex.
  std::deque<Job> queue;
  std::uint32_t workers = 0;
  std::uint32_t idle = 0;
  std::uint32_t minimum = 0;
  std::uint32_t maximum = kDefaultMaximum;
  std::uint64_t last_taken = 0;  ///< when a worker last took a job
  std::uint64_t next_number = 1;
  bool stopping = false;
  std::vector<std::unique_ptr<Watcher>> watchers;

  // Each of these is called with mutex held.
  void enqueue(Ref<Task> task, Call::Why why);
  void finish(Task& task);
  [[nodiscard]] bool wants_worker() const;
  bool remove(Task& task);
  void resume(Task& task);
  Result<void> add(Registration registration);
  /// Throws bad_alloc if one is needed that cannot be had.
  Watcher& watcher_for(bool object);
  void call_watcher() noexcept;
  os::Deadline fire_due(Watcher& watcher, std::vector<Ref<Waitable>>& objects,
                        std::vector<std::uint64_t>& numbers);
  void fire(Watcher& watcher, std::size_t index, Call::Why why);

  // And these without.
  Result<void> grow();
  void work();
  bool carry_out(const Job& job);
  void watch(Watcher& watcher);
  void grow_if_stalled();
};

// ---- the queue -------------------------------------------------------------------------------------------

void PoolState::enqueue(Ref<Task> task, Call::Why why) {
  if (queue.empty()) last_taken = os::monotonic_now();
  if (task->outstanding_++ == 0) task->idle_->reset();
  queue.push_back({std::move(task), why});
  (void)available->release(1);
}

/// One outstanding callback less.
void PoolState::finish(Task& task) {
  if (--task.outstanding_ != 0) return;
  task.idle_->set();
  if (task.retired_ && task.when_retired_) task.when_retired_->set();
}

bool PoolState::wants_worker() const {
  return !stopping && queue.size() > idle && workers < std::min(eager, maximum);
}

Result<void> PoolState::grow() {
  {
    const std::scoped_lock lock(mutex);
    if (stopping || workers >= maximum) return {};
    ++workers;
  }
  auto* self = new std::shared_ptr<PoolState>(shared_from_this());
  auto started = threads.create_worker(
      [](void* argument) {
        const std::unique_ptr<std::shared_ptr<PoolState>> state(
            static_cast<std::shared_ptr<PoolState>*>(argument));
        (*state)->work();
      },
      self);
  if (started) return {};
  delete self;
  const std::scoped_lock lock(mutex);
  --workers;
  return started;
}

void PoolState::work() {
  sync::Waiter& self = threads.current_waiter();
  for (bool going_on = true; going_on;) {
    {
      const std::scoped_lock lock(mutex);
      ++idle;
    }
    const auto outcome = sync::wait(*available, sync::deadline_after(kIdleTime), self);
    std::unique_lock lock(mutex);
    --idle;
    using enum sync::WaitOutcome::Kind;
    going_on = !stopping && outcome.kind != interrupted;
    // Idle for long enough; but a job that came just now has counted on this worker.
    if (outcome.kind == timed_out && workers > minimum && queue.empty()) going_on = false;
    if (!going_on || queue.empty()) continue;  // empty: what it was woken for has been cancelled
    const Job job = std::move(queue.front());
    queue.pop_front();
    last_taken = os::monotonic_now();
    lock.unlock();
    going_on = carry_out(job);
  }
  const std::scoped_lock lock(mutex);
  --workers;
}

bool PoolState::carry_out(const Job& job) {
  Call call;
  call.pool_ = this;
  call.task_ = job.task.get();
  call.why_ = job.why;
  const bool going_on = job.task->body_(call);
  const std::scoped_lock lock(mutex);
  if (call.counted_) finish(*job.task);
  if (going_on && job.task->registration_ != 0) resume(*job.task);
  return going_on;
}

void Call::disassociate() noexcept {
  const std::scoped_lock lock(pool_->mutex);
  if (std::exchange(counted_, false)) pool_->finish(*task_);
}

bool Call::may_run_long() noexcept {
  {
    const std::scoped_lock lock(pool_->mutex);
    if (pool_->idle > 0) return true;
    if (pool_->workers >= pool_->maximum) return false;
  }
  return pool_->grow().has_value();
}

// ---- watching --------------------------------------------------------------------------------------------

/// Puts the registration's task in the queue; a one-time registration is over.
void PoolState::fire(Watcher& watcher, std::size_t index, Call::Why why) {
  Registration& registration = watcher.registrations[index];
  enqueue(registration.task, why);
  ThreadPool::Watch& what = registration.watch;
  if (what.period != 0) {
    what.deadline = std::max(*what.deadline + what.period, os::monotonic_now());
  } else if (what.again) {
    registration.resting = true;  // an object that stays signalled would fill the queue
  } else {
    registration.task->registration_ = 0;
    watcher.registrations.erase(watcher.registrations.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

/// Fires what is due, and lists the objects to wait for and until when.
os::Deadline PoolState::fire_due(Watcher& watcher, std::vector<Ref<Waitable>>& objects,
                                 std::vector<std::uint64_t>& numbers) {
  const std::uint64_t now = os::monotonic_now();
  for (std::size_t i = watcher.registrations.size(); i-- > 0;) {
    const Registration& registration = watcher.registrations[i];
    if (const auto due = registration.watch.deadline; !registration.resting && due && *due <= now) {
      fire(watcher, i, Call::Why::timed_out);
    }
  }
  os::Deadline until;
  for (const Registration& registration : watcher.registrations) {
    if (registration.resting) continue;
    const os::Deadline due = registration.watch.deadline;
    if (due && (!until || *due < *until)) until = due;
    if (!registration.watch.object) continue;
    objects.push_back(registration.watch.object);
    numbers.push_back(registration.number);
  }
  if (!queue.empty() && (!until || *until > now + kStallTime)) until = now + kStallTime;
  return until;
}

void PoolState::grow_if_stalled() {
  {
    const std::scoped_lock lock(mutex);
    const bool stalled = !queue.empty() && idle == 0 && os::monotonic_now() - last_taken >= kStallTime;
    if (!stalled && !wants_worker()) return;
    last_taken = os::monotonic_now();
  }
  (void)grow();
}

void PoolState::watch(Watcher& watcher) {
  for (;;) {
    std::vector<Ref<Waitable>> objects;
    std::vector<std::uint64_t> numbers;
    os::Deadline until;
    {
      const std::scoped_lock lock(mutex);
      if (stopping) return;
      until = fire_due(watcher, objects, numbers);
    }
    grow_if_stalled();
    std::vector<Waitable*> pointers;
    pointers.reserve(objects.size() + 1);
    for (const auto& object : objects) pointers.push_back(object.get());
    pointers.push_back(watcher.changed.get());
    const auto outcome = sync::wait(pointers, false, until, watcher.waiter);
    if (outcome.kind == sync::WaitOutcome::Kind::timed_out || outcome.index >= numbers.size()) continue;
    const std::scoped_lock lock(mutex);
    const auto found =
        std::ranges::find(watcher.registrations, numbers[outcome.index], &Registration::number);
    if (found == watcher.registrations.end()) continue;  // given up in the moment when it was signalled
    fire(watcher, static_cast<std::size_t>(found - watcher.registrations.begin()), Call::Why::signalled);
  }
}

Watcher& PoolState::watcher_for(bool object) {
  for (const auto& watcher : watchers) {
    if (!object || watcher->objects() < kObjectsPerWatcher) return *watcher;
  }
  if (stopping) throw std::bad_alloc();  // nobody would join it
  auto fresh = std::make_unique<Watcher>();
  Watcher& watcher = *fresh;
  watchers.reserve(watchers.size() + 1);
  watcher.thread = os::start_service_thread([this, &watcher] { watch(watcher); });
  if (!watcher.thread.joinable()) throw std::bad_alloc();
  watchers.push_back(std::move(fresh));
  return watcher;
}

void PoolState::call_watcher() noexcept try {
  watcher_for(false).changed->set();
} catch (const std::bad_alloc&) {  // no thread to be had: the workers there are must do
}

Result<void> PoolState::add(Registration registration) try {
  Watcher& watcher = watcher_for(bool(registration.watch.object));
  watcher.registrations.push_back(std::move(registration));
  Registration& added = watcher.registrations.back();
  added.task->registration_ = added.number;
  watcher.changed->set();
  return {};
} catch (const std::bad_alloc&) {
  return fail({.kind = ErrorKind::out_of_memory,
               .status = abi::STATUS_NO_MEMORY,
               .what = "the thread pool cannot watch for more",
               .advice = "look at the limits on processes and memory (ulimit -u, -v)"});
}

/// Lets a registration that rested while its callback ran watch again.
void PoolState::resume(Task& task) {
  for (const auto& watcher : watchers) {
    const auto found = std::ranges::find(watcher->registrations, task.registration_, &Registration::number);
    if (found == watcher->registrations.end() || !found->resting) continue;
    found->resting = false;
    const std::uint64_t timeout = found->watch.timeout;
    found->watch.deadline = timeout == 0 ? std::nullopt : sync::deadline_after(timeout);
    watcher->changed->set();
  }
}

bool PoolState::remove(Task& task) {
  const std::uint64_t number = std::exchange(task.registration_, 0);
  if (number == 0) return false;
  for (const auto& watcher : watchers) {
    const auto found = std::ranges::find(watcher->registrations, number, &Registration::number);
    if (found == watcher->registrations.end()) continue;
    watcher->registrations.erase(found);
    watcher->changed->set();
    return true;
  }
  return false;
}

// ---- the pool --------------------------------------------------------------------------------------------

ThreadPool::ThreadPool(PoolThreads threads) : state_(std::make_shared<PoolState>(std::move(threads))) {}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  std::vector<std::unique_ptr<Watcher>> watchers;
  std::deque<Job> queue;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
    watchers.swap(state_->watchers);
    queue.swap(state_->queue);
    for (std::uint32_t i = 0; i < state_->workers; ++i) (void)state_->available->release(1);
  }
  for (const auto& watcher : watchers) {
    watcher->changed->set();
    watcher->thread.join();
  }
}

Result<void> ThreadPool::submit(Task& task) {
  bool grow = false;
  bool none = false;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->enqueue(Ref<Task>(&task), Call::Why::asked);
    grow = state_->wants_worker();
    none = state_->workers == 0;
    // A watcher sees to it that a queue which is stuck gets more workers.
    if (!grow && state_->queue.size() > state_->idle) state_->call_watcher();
  }
  if (!grow) return {};
  auto grown = state_->grow();
  if (grown || !none) return {};
  cancel_pending(task);
  return grown;
}

Result<void> ThreadPool::watch(Task& task, Watch what) {
  const std::scoped_lock lock(state_->mutex);
  if (task.retired_) return {};
  state_->remove(task);
  return state_->add({state_->next_number++, Ref<Task>(&task), std::move(what)});
}

bool ThreadPool::unwatch(Task& task) noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->remove(task);
}

bool ThreadPool::is_watching(const Task& task) const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return task.registration_ != 0;
}

std::size_t ThreadPool::cancel_pending(Task& task) noexcept {
  const std::scoped_lock lock(state_->mutex);
  const std::size_t count =
      std::erase_if(state_->queue, [&](const Job& job) { return job.task.get() == &task; });
  for (std::size_t i = 0; i < count; ++i) state_->finish(task);
  return count;
}

void ThreadPool::wait_until_idle(Task& task, sync::Waiter& self) {
  (void)sync::wait(*task.idle_, std::nullopt, self);
}

bool ThreadPool::is_idle(const Task& task) const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return task.outstanding_ == 0;
}

void ThreadPool::retire(Task& task, Ref<Event> event) noexcept {
  const std::scoped_lock lock(state_->mutex);
  state_->remove(task);
  task.retired_ = true;
  task.when_retired_ = std::move(event);
  if (task.outstanding_ == 0 && task.when_retired_) task.when_retired_->set();
}

void ThreadPool::set_maximum(std::uint32_t workers) noexcept {
  const std::scoped_lock lock(state_->mutex);
  state_->maximum = std::max(1u, workers);
}

Result<void> ThreadPool::set_minimum(std::uint32_t workers) {
  std::uint32_t missing = 0;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->minimum = workers;
    missing = workers > state_->workers ? workers - state_->workers : 0;
  }
  for (; missing > 0; --missing) {
    if (auto grown = state_->grow(); !grown) return grown;
  }
  return {};
}

std::uint32_t ThreadPool::workers() const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->workers;
}

}  // namespace bobbin::process
