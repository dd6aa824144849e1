#include "thread/thread.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <new>
#include <utility>

#include "abi/status.hpp"
#include "sync/deadlock.hpp"
#include "thread/guest_call.hpp"
#include "thread/signal_stack.hpp"
#include "thread/stop.hpp"
#include "trace/trace.hpp"

namespace bobbin::thread {

constinit thread_local Thread* t_current = nullptr;

Thread* current_or_null() noexcept {
  // A Runtime that has ended took the TEBs of all threads, but cannot reach their thread-local variables.
  if (t_current != nullptr && t_current->teb_or_null() == nullptr) [[unlikely]] {
    std::exchange(t_current, nullptr)->release_reference();
    arch::set_gs_base(nullptr);
  }
  return t_current;
}

Thread* current_in_handler() noexcept {
  return t_current != nullptr && t_current->teb_or_null() != nullptr ? t_current : nullptr;
}

/// Host threads that are at their end, and may still use a Threads.
constinit std::atomic<std::uint32_t> g_ending{0};

void run_down_attached(void*) noexcept {
  // Before the look at the TEB, which ~Threads takes before it looks here.
  ++g_ending;
  if (Thread* thread = current_or_null(); thread != nullptr) thread->owner_->detach_current();
  --g_ending;
  release_signal_stack();
}

namespace {

/// At the top of a guest thread's stack: the signal stack, then host frames and the host's own data. What is
/// below is the guest's, and may be needed when the host has left.
constexpr std::size_t kHostPart = arch::kSignalStackSize + (64 << 10);

std::unexpected<Error> no_memory(const char* what) {
  return fail({.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = what});
}

/// Windows starts threads with 53-bit x87 precision and all exceptions masked.
void set_windows_floating_point() {
  const std::uint16_t x87 = 0x027F;
  const std::uint32_t mxcsr = 0x1F80;
  asm volatile("fldcw %0\n\tldmxcsr %1" : : "m"(x87), "m"(mxcsr));
}

/// Runs attached threads down when the host ends them.
pthread_key_t g_exit_key;

void set_exit_key() {
  static const bool made = pthread_key_create(&g_exit_key, &run_down_attached) == 0;
  if (made) pthread_setspecific(g_exit_key, &g_exit_key);  // any value that is not NULL
}

void set_stack(abi::TEB& teb, void* low, void* limit, void* high) {
  teb.DeallocationStack = low;
  teb.StackLimit = limit;
  teb.StackBase = high;
}

}  // namespace

Threads::Threads(tls::Engine& engine, memory::AddressSpace& space, memory::Heaps& heaps, abi::PEB& peb)
    : engine_(engine),
      space_(space),
      heaps_(heaps),
      peb_(peb),
      stacks_(space),
      carriers_(stacks_, busy_, &Threads::carry) {
  install_stop_signal();
}

Threads::~Threads() {
  carriers_.dismiss();
  stacks_.drain();
  for (;;) {
    Ref<Thread> thread;
    {
      const std::scoped_lock lock(mutex_);
      if (alive_.empty() && busy_.load() == 0 && g_ending.load() == 0) return;
      if (!alive_.empty()) thread = Ref<Thread>(alive_.back());
    }
    auto expected = Thread::Ending::none;
    if (!thread || !thread->ending_.compare_exchange_strong(expected, Thread::Ending::by_owner)) {
      sched_yield();  // it is about to leave the list by itself
    } else {
      retire(*thread, thread->exit_code_pending());
    }
  }
}

// ---- birth -----------------------------------------------------------------------------------------------

Result<Thread*> Threads::make_thread() {
  auto record = engine_.create_thread();
  if (!record) return propagate(record);
  Thread* thread = new (std::nothrow) Thread;
  if (thread == nullptr) {
    engine_.destroy_thread(*record);
    return no_memory("no memory for a thread");
  }
  thread->owner_ = this;
  thread->record_ = *record;
  const std::scoped_lock lock(mutex_);
  try {
    alive_.push_back(thread);
  } catch (const std::bad_alloc&) {
    engine_.destroy_thread(*record);
    delete thread;
    throw;
  }
  thread->add_reference();  // the list's
  abi::TEB& teb = thread->teb();
  teb.ExceptionList = reinterpret_cast<void*>(~std::uintptr_t{0});
  teb.Self = &teb;
  teb.ProcessEnvironmentBlock = &peb_;
  teb.BobbinThread = static_cast<Place*>(thread);
  teb.BobbinFlsIndices = engine_.fls().has_chunks() ? tls::kFlsLimit - 1 : 0;
  teb.StaticUnicodeString = {
      .Length = 0, .MaximumLength = sizeof teb.StaticUnicodeBuffer, .Buffer = teb.StaticUnicodeBuffer};
  thread->waiter_.thread_id = next_id_ += 4;
  sync::know(thread->waiter_);
  teb.UniqueProcess = reinterpret_cast<void*>(static_cast<std::uintptr_t>(os::process_id()));
  teb.UniqueThread = reinterpret_cast<void*>(static_cast<std::uintptr_t>(thread->id()));
  return thread;
}

Result<Ref<Thread>> Threads::create(CreateOptions options) {
  if (stopping()) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_PROCESS_IS_TERMINATING,
                 .what = "the process is exiting: no thread can be created"});
  }
  const std::size_t wanted = options.stack_size != 0 ? options.stack_size : default_stack_size_;
  auto seat = carriers_.take(std::max(wanted, options.minimum_stack) + kHostPart);
  if (!seat) return propagate(seat);
  auto made = without_throwing([this] { return make_thread(); });
  if (!made) {
    carriers_.give_back(*seat);
    return propagate(made);
  }
  auto thread = Ref<Thread>::adopt(*made);
  thread->seat_ = *seat;
  thread->routine_ = options.routine;
  thread->guest_rip = thread->start_address();  // what GetThreadContext shows until it runs
  thread->parameter_ = options.parameter;
  thread->host_routine_ = std::move(options.host_routine);
  if (options.suspended) {
    thread->suspend_count_ = 1;
    thread->requests.fetch_or(kSuspend);
  }
  return thread;
}

Result<void> Threads::start(Thread& thread) {
  thread.add_reference();  // the running thread's own
  auto started = carriers_.start(thread.seat_, &thread);
  if (started) return {};
  abandon(thread);
  thread.release_reference();
  return propagate(started);
}

void Threads::abandon(Thread& thread) noexcept {
  carriers_.give_back(thread.seat_);
  retire(thread, abi::STATUS_NO_MEMORY);
}

void Threads::carry(void* job, Carrier& self) {
  const auto thread = Ref<Thread>::adopt(static_cast<Thread*>(job));
  Threads& owner = *thread->owner_;
  t_current = thread.get();
  const std::uint32_t host_id = os::host_thread_id();
  if (self.experienced()) thread->cpu_time_before_ = os::cpu_time(host_id);
  thread->host_id_ = host_id;
  thread->stack_ = thread->seat_.stack;
  thread->stack_.host = os::current_host_thread();
  abi::TEB& teb = thread->teb();
  std::byte* const stack_top = thread->stack_.top() - kHostPart;
  set_stack(teb, thread->stack_.base, thread->stack_.limit(), stack_top);
  if (self.experienced()) owner.stacks_.arm(thread->stack_);
  thread->signal_stack = *use_signal_stack(stack_top);
  arch::set_gs_base(&teb);
  const std::uint32_t code = owner.guest_main(*thread);
  owner.retire(*thread, code, &self);
}

/// The life of a thread on its carrier; its exit code.
std::uint32_t Threads::guest_main(Thread& thread) {
  // A thread that was created suspended waits here; TEB.ThreadLocalStoragePointer is NULL until it goes on.
  auto wait_for_start = [] {};  // entering the gate serves the request
  if ((thread.requests.load() & kSuspend) != 0 && !inside_gate(thread, wait_for_start)) {
    return thread.exit_code_pending();
  }
  if (stopping()) return thread.exit_code_pending(stop_code_.load());
  struct Birth {
    Thread& thread;
    std::uint32_t refused = 0;
  } birth{thread};
  auto* const stack_top = static_cast<std::byte*>(thread.teb().StackBase);
  auto live = [&] {
    thread.where.store(Where::service, std::memory_order_relaxed);
    thread.base = std::exchange(thread.gate, nullptr);
    arch::bobbin_call_on_stack(
        stack_top,
        [](void* raw) {
          auto& [newborn, refused] = *static_cast<Birth*>(raw);
          if (auto born = newborn.owner_->give_birth(newborn); !born) refused = born.error().status;
        },
        &birth);
    if (birth.refused == 0) run_routine(thread, stack_top);
  };
  (void)inside_gate(thread, live);
  thread.base = nullptr;
  return thread.exit_code_pending(birth.refused);
}

/// On a thread that stands in its base gate. Comes back from what our own services run.
void Threads::run_routine(Thread& thread, std::byte* stack_top) {
  set_windows_floating_point();
  thread.where.store(Where::guest, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (thread.requests.load(std::memory_order_relaxed) != 0) serve_requests(thread);
  if (thread.host_routine_) {
    thread.where.store(Where::service, std::memory_order_relaxed);
    arch::bobbin_call_on_stack(
        stack_top,
        [](void* raw) {
          Thread& serving = *static_cast<Thread*>(raw);
          serving.host_routine_();
          serving.owner_->run_down(serving, 0);
        },
        &thread);
    return;
  }
  arch::bobbin_run_routine(stack_top, thread.routine_, thread.parameter_,
                           reinterpret_cast<void*>(&Threads::end_current));
}

/// What a start routine returns to.
void Threads::end_current(std::uint32_t code) {
  const NativeScope scope(0, 0);
  current().owner_->exit_current(code);
}

Result<void> Threads::give_birth(Thread& thread) noexcept {
  return without_throwing(
      [&] { return observer_ != nullptr ? observer_->born(thread) : attach_storage(thread); });
}

Result<void> Threads::attach_storage(Thread& thread) { return engine_.attach_thread(*thread.record_); }

// ---- attached threads ------------------------------------------------------------------------------------

Result<Thread*> Threads::attach_current() {
  if (Thread* attached = current_or_null(); attached != nullptr) return attached;
  if (stopping()) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_PROCESS_IS_TERMINATING,
                 .what = "the guest has ended: no thread can be attached"});
  }
  auto signal_stack = use_signal_stack(nullptr);
  if (!signal_stack) return propagate(signal_stack);
  auto made = make_thread();
  if (!made) return propagate(made);
  auto thread = Ref<Thread>::adopt(*made);
  thread->add_reference();  // dropped by detach_current
  thread->signal_stack = *signal_stack;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* low = nullptr;
    std::size_t size = 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    set_stack(thread->teb(), low, low, static_cast<std::byte*>(low) + size);
  }
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  unblock_stop_signal();
  thread->host_id_ = os::host_thread_id();
  t_current = thread.get();
  arch::set_gs_base(&thread->teb());
  set_exit_key();
  if (auto born = give_birth(*thread); !born) {
    retire(*thread, born.error().status);
    thread->release_reference();
    return propagate(born);
  }
  return thread.get();
}

void forget_current() noexcept {
  t_current = nullptr;
  arch::set_gs_base(nullptr);
}

void Threads::detach_current() noexcept {
  Thread* thread = current_or_null();
  if (thread == nullptr || !thread->attached_by_host()) return;
  ++busy_;
  auto expected = Thread::Ending::none;
  if (thread->ending_.compare_exchange_strong(expected, Thread::Ending::by_itself)) {
    if (!thread->terminated_) run_down(*thread, 0);
    retire(*thread, thread->exit_code_pending());
    thread->release_reference();
  }
  --busy_;
}

void Threads::run_main(std::size_t stack_size, void* routine, void* parameter) {
  Thread& thread = current();
  abi::TEB& teb = thread.teb();
  teb.SameTebFlags |= abi::TEB_INITIAL_THREAD;
  auto stack = stacks_.take(stack_size);
  if (!stack) {  // no room for a stack of its own: the host's will do
    set_windows_floating_point();
    if (const auto code = call_guest<std::uint32_t(void*)>(routine, parameter)) exit_current(*code);
    return;
  }
  void* const before[] = {teb.DeallocationStack, teb.StackLimit, teb.StackBase};
  thread.routine_ = routine;
  thread.parameter_ = parameter;
  thread.stack_ = *stack;
  set_stack(teb, stack->base, stack->limit(), stack->top());
  auto live = [&] {
    thread.base = std::exchange(thread.gate, nullptr);
    run_routine(thread, stack->top());
  };
  (void)inside_gate(thread, live);
  thread.base = nullptr;
  if (t_current == &thread) set_stack(teb, before[0], before[1], before[2]);
}

// ---- fibers ----------------------------------------------------------------------------------------------

Result<void*> Threads::create_fiber(std::size_t stack_size, std::size_t minimum_stack, void* routine,
                                    void* data) {
  const std::size_t wanted = stack_size != 0 ? stack_size : default_stack_size_;
  auto fiber = fibers_.create(std::max(wanted, minimum_stack), routine, data,
                              reinterpret_cast<void*>(&Threads::end_current));
  if (!fiber) return propagate(fiber);
  return static_cast<arch::FiberState*>(*fiber);
}

Result<void*> Threads::convert_to_fiber(void* data) {
  Thread& thread = current();
  // Whether there are host frames on its stack that must be returned to.
  const bool bound = thread.base == nullptr || thread.host_routine_;
  auto fiber = fibers_.convert_thread(thread.teb(), bound ? Stack{} : thread.stack_, data, bound);
  if (!fiber) return propagate(fiber);
  if (bound)
    thread.home = *fiber;
  else
    thread.stack_ = {};
  return static_cast<arch::FiberState*>(*fiber);
}

void Threads::convert_to_thread() noexcept {
  Thread& thread = current();
  if (thread.teb().FiberData == thread.home) thread.home = nullptr;
  const Stack stack = fibers_.convert_fiber(thread.teb());
  if (stack.valid()) thread.stack_ = stack;
}

FiberTrouble Threads::delete_fiber(void* raw) {
  if (raw != nullptr && raw == current().teb().FiberData) {
    exit_current(1);
    return FiberTrouble::none;
  }
  if (const FiberTrouble trouble = fibers_.take(raw); trouble != FiberTrouble::none) return trouble;
  auto& fiber = *static_cast<Fiber*>(static_cast<arch::FiberState*>(raw));
  void* const block = std::exchange(fiber.fls_data, nullptr);
  if (run_fls_callbacks(block)) engine_.fls().release(block);
  // Under a fiber that is bound there are host frames, which its thread returns to by it.
  if (fiber.owner_when_idle == 0) fibers_.give_back(fiber);
  return FiberTrouble::none;
}

// ---- death -----------------------------------------------------------------------------------------------

void Threads::run_down(Thread& thread, std::uint32_t code) {
  const bool first = thread.run_down_ == Thread::RunDown::not_begun;
  if (first && count() == 1 && observer_ != nullptr && !stopping()) observer_->last_thread_exits(code);
  tell_of_end(thread);
}

/// FLS callbacks and THREAD_DETACH, as far as they have not been yet.
void Threads::tell_of_end(Thread& thread) {
  const bool first = thread.run_down_ == Thread::RunDown::not_begun;
  if (thread.run_down_ == Thread::RunDown::detach || stopping()) return;  // ExitThread out of a THREAD_DETACH
  if (fls_last_) {
    if (first) run_down_modules(thread);
    thread.run_down_ = Thread::RunDown::fls;
    run_down_fls(thread);
  } else {
    // ExitThread out of an FLS callback comes here again, and does what is left to do.
    thread.run_down_ = Thread::RunDown::fls;
    if (run_down_fls(thread)) run_down_modules(thread);
  }
}

/// False if a callback ended the thread: that is, if all that follows has been done.
bool Threads::run_down_fls(Thread& thread) {
  // A callback that calls ExitThread starts the pass again, at its own value; on Windows until it runs out of
  // stack (specification 4.3).
  constexpr std::uint32_t kMostPasses = 100;
  if (thread.fls_passes_ == kMostPasses) {
    std::fprintf(stderr,
                 "bobbin: thread %u: an FLS callback calls ExitThread whenever it is called: the thread ends "
                 "without the callbacks that are left (on Windows it would run out of stack)\n",
                 thread.id());
    return true;
  }
  ++thread.fls_passes_;
  const bool finished = run_fls_callbacks();
  --thread.fls_passes_;
  return finished;
}

void Threads::run_down_modules(Thread& thread) {
  thread.run_down_ = Thread::RunDown::detach;
  if (observer_ != nullptr && !stopping()) observer_->dying(thread);
}

bool Threads::run_fls_callbacks() { return run_fls_callbacks(current().teb().FlsData); }

bool Threads::run_fls_callbacks(void* block) { return engine_.fls().run(block, fls_host_); }

bool Threads::free_fls_index(std::uint32_t index) {
  return engine_.fls().free(index, current().teb().FlsData, fls_host_);
}

void Threads::exit_current(std::uint32_t code) {
  Thread& thread = current();
  thread.pending_code_ = code;
  run_down(thread, code);
  thread.requests.fetch_or(kLeave);
}

void Threads::shut_down_current() {
  if (current().run_down_ == Thread::RunDown::not_begun) tell_of_end(current());
}

void Threads::leave_current() { current().requests.fetch_or(kLeave); }

/// The stack that a thread ends on, which goes with it, as does the fiber that it runs. Other fibers stay,
/// except one that nobody else can run.
Stack Threads::take_last_stack(Thread& thread) noexcept {
  abi::TEB& teb = thread.teb();
  if (thread.home != nullptr && thread.home != teb.FiberData) fibers_.give_back(*thread.home);
  thread.home = nullptr;
  const Stack stack = std::exchange(thread.stack_, {});
  if ((teb.SameTebFlags & abi::TEB_HAS_FIBER_DATA) == 0 || teb.FiberData == nullptr) return stack;
  const Stack of_fiber = fibers_.convert_fiber(teb);
  return of_fiber.valid() ? of_fiber : stack;
}

void Threads::retire(Thread& thread, std::uint32_t code, Carrier* carrier) noexcept {
  if (sync::WaiterUser* user = thread.waiter_.used_by) user->waiter_ended(thread.waiter_);
  // What a thread leaves that was terminated is for FlsFree to find, unless the process's end has been there.
  void*& block = thread.teb().FlsData;
  if (thread.run_down_ == Thread::RunDown::not_begun && block != nullptr && !engine_.fls().is_over(block))
    block = nullptr;
  const Stack stack = take_last_stack(thread);
  engine_.detach_thread(*thread.record_);
  sync::Mutex::abandon_all(thread.waiter_);
  sync::forget(thread.waiter_);
  tls::ThreadRecord* record = nullptr;
  bool last = false;
  {
    const std::scoped_lock lock(mutex_);
    record = thread.record_.exchange(nullptr);
    thread.host_id_ = 0;  // under the lock: whoever signals it does so while the host thread still exists
    if (const auto at = std::ranges::find(alive_, &thread); at != alive_.end()) {
      *at = alive_.back();
      alive_.pop_back();
    }
    last = alive_.empty();
  }
  if (t_current == &thread) {
    t_current = nullptr;
    arch::set_gs_base(nullptr);
  }
  engine_.destroy_thread(record);
  const bool own = stack.base == thread.seat_.stack.base;
  if (stack.valid() && !own) stacks_.give_back(stack);
  if (carrier != nullptr && !own)
    carrier->give_away_stack();
  else if (carrier != nullptr && !thread.host_code_ran && !last)
    carriers_.offer(*carrier);
  publish_end(thread, code);
  if (last && observer_ != nullptr && !stopping()) observer_->no_thread_is_left(code);
  thread.release_reference();  // the list's
}

void Threads::publish_end(Thread& thread, std::uint32_t code) noexcept {
  sync::DispatcherLock lock;
  if (thread.ended_) return;  // process exit has already said so
  thread.exit_code_ = code;
  thread.ended_at_ = os::system_time_now();
  thread.ended_ = true;
  lock.notify(thread);
}

// ---- stopping others -------------------------------------------------------------------------------------

void Threads::terminate(Thread& thread, std::uint32_t code) {
  if (&thread == t_current) {
    thread.pending_code_ = code;
    thread.terminated_ = true;
    thread.requests.fetch_or(kLeave);
    return;
  }
  const std::scoped_lock lock(mutex_);
  if (thread.record_ == nullptr) return;
  thread.pending_code_ = code;
  thread.terminated_ = true;
  thread.requests.fetch_or(kLeave);
  wake(thread);
}

/// Makes a thread look at its requests, wherever it is. Under mutex_, so that it cannot end meanwhile.
void Threads::wake(Thread& thread) noexcept {
  if ((thread.requests.load() & kLeave) != 0) {
    // A thread that is to leave is suspended no more. The word changes, so that a thread that is just about
    // to sleep on it does not: the signal alone may come too early for that.
    thread.suspend_count_ = 0;
    sync::interrupt(thread.waiter_);
  }
  os::futex_wake(thread.suspend_count_, 1);
  if (const std::uint32_t host = thread.host_id(); host != 0) (void)send_stop_signal(host);
}

Result<std::uint32_t> Threads::suspend(Thread& thread) {
  const std::scoped_lock lock(mutex_);
  if ((thread.requests.load() & kLeave) != 0 || thread.record_ == nullptr) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_THREAD_IS_TERMINATING,
                 .what = "the thread is ending or has ended: it cannot be suspended"});
  }
  const std::uint32_t before = thread.suspend_count_.load();
  if (before >= 127) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_SUSPEND_COUNT_EXCEEDED,
                 .what = "the thread is already suspended 127 times"});
  }
  thread.suspend_count_ = before + 1;
  thread.requests.fetch_or(kSuspend);
  if (&thread != t_current) wake(thread);
  return before;
}

Result<std::uint32_t> Threads::resume(Thread& thread) {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t before = thread.suspend_count_.load();
  if (before == 0) return before;
  if (before == 1) thread.requests.fetch_and(~std::uint32_t{kSuspend});
  thread.suspend_count_ = before - 1;
  os::futex_wake(thread.suspend_count_, 1);
  return before;
}

void Threads::stop_all_others(std::uint32_t code) noexcept {
  stop_code_ = code;  // first: a thread that is just starting ends by itself when it sees the next line
  stopping_ = true;
  std::uint32_t number = 0;
  std::size_t left = 0;
  {
    const std::scoped_lock lock(mutex_);
    number = ++stop_rounds_;
    left = alive_.size();
    for (Thread* thread : alive_) {
      if (thread == t_current) continue;
      thread->pending_code_ = code;
      thread->terminated_ = true;
      thread->requests.fetch_or(kLeave);
      wake(*thread);
    }
  }
  // Each thread's handler answers when it runs: from then on the thread cannot enter guest code. A thread
  // that has not begun to run, or is gone, needs no answer. The list is walked downwards: of those that go
  // meanwhile each has its place taken by the last, which then either has been looked at or will be.
  for (;;) {
    Ref<Thread> thread;
    {
      const std::scoped_lock lock(mutex_);
      left = std::min(left, alive_.size());
      if (left == 0) break;
      Thread* const next = alive_[--left];
      if (next == t_current || !next->terminated_) continue;
      thread = Ref<Thread>(next);
    }
    while (thread->host_id() != 0 && thread->seen_.load() < number) {
      {
        const std::scoped_lock lock(mutex_);
        if (const std::uint32_t host = thread->host_id(); host != 0 && !send_stop_signal(host)) break;
      }
      os::futex_wait(thread->seen_, thread->seen_.load(), os::monotonic_now() + 1'000'000);
    }
    sync::Mutex::abandon_all(thread->waiter_);
    publish_end(*thread, code);
  }
  heaps_.break_locks();
}

void Threads::await_others() noexcept {
  const std::uint32_t own = t_current != nullptr && !t_current->attached_by_host() ? 1 : 0;
  while (busy_.load() > own) {
    {
      const std::scoped_lock lock(mutex_);
      for (Thread* thread : alive_) {
        // Again and again: a signal may have come just before the thread went to sleep in a host call.
        if (thread != t_current && !thread->attached_by_host()) wake(*thread);
      }
    }
    const std::uint32_t now = busy_.load();
    if (now > own) os::futex_wait(busy_, now, os::monotonic_now() + 1'000'000);
  }
}

std::uint64_t Thread::cpu_time() const {
  const std::uint32_t host = host_id();
  const std::uint64_t spent = host != 0 ? os::cpu_time(host) : 0;
  return spent > cpu_time_before_ ? spent - cpu_time_before_ : 0;
}

// ---- looking up ------------------------------------------------------------------------------------------

Ref<Thread> Threads::find(std::uint32_t id) {
  const std::scoped_lock lock(mutex_);
  const auto at = std::ranges::find(alive_, id, &Thread::id);
  return at != alive_.end() ? Ref<Thread>(*at) : Ref<Thread>();
}

std::size_t Threads::count() const {
  const std::scoped_lock lock(mutex_);
  return alive_.size();
}

std::vector<Threads::Started> Threads::started_in(const void* base, std::size_t size) const {
  std::vector<Started> started;
  const std::scoped_lock lock(mutex_);
  for (const Thread* thread : alive_) {
    const bool within =
        thread->start_address() - reinterpret_cast<std::uint64_t>(base) < size && !thread->host_routine_;
    const bool over = thread->terminated_ || thread->run_down_ != Thread::RunDown::not_begun;
    if (within && !over && thread != t_current) started.push_back({thread->id(), thread->routine_});
  }
  return started;
}

}  // namespace bobbin::thread
