// How a thread serves a request: at the end of a native (serve_requests), or in the signal handler when it
// was interrupted in guest code. The handler only ever acts on the thread it runs on, so what it reads of
// that thread's Place is in program order; a thread in a native or in the host just goes on, and finds the
// request when it is about to enter guest code again.
//
// Leaving from the handler means returning from it into bobbin_gate_leave: the interrupted guest frames are
// dropped, the host frame of the innermost gate goes on. The handler is installed without SA_RESTART, so a
// blocking host call inside a native comes back with EINTR.
#include "thread/stop.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>

#include "arch/x86_64/context.hpp"
#include "thread/fibers.hpp"
#include "thread/thread.hpp"

namespace bobbin::thread {

struct StopAccess {
  /// Returns when the thread is not suspended any more, or is to leave.
  static void stand_still(Thread& thread) noexcept {
    for (;;) {
      if ((thread.requests.load() & kLeave) != 0) return;
      const std::uint32_t count = thread.suspend_count_.load();
      if (count == 0) return;
      os::futex_wait(thread.suspend_count_, count);
    }
  }

  static void answer(Thread& thread) noexcept {
    thread.seen_ = thread.owner_->stop_rounds_.load();
    os::futex_wake(thread.seen_, 1);
  }

  static void set_stopped_context(Thread& thread, void* context) noexcept {
    thread.stopped_context_ = context;
    os::futex_wake(thread.seen_, 1);
  }

  static std::unique_ptr<abi::CONTEXT> take_next_context(Thread& thread) noexcept {
    return std::move(thread.next_context_);
  }
};

namespace {

/// What is open on the stack that the thread came into the guest on, while it runs on another.
arch::Gate* gate_at_home(const Place& place) noexcept {
  const bool away = place.home != nullptr && abi::current_teb()->FiberData != place.home;
  return away ? place.home->gate : nullptr;
}

/// The same as leave_target(), which is left now.
arch::Gate* take_leave_target(Place& place) noexcept {
  arch::Gate* const gate = leave_target(place);
  if (place.gate == nullptr && gate_at_home(place) != nullptr) place.home->gate = nullptr;
  return gate;
}

}  // namespace

arch::Gate* leave_target(const Place& place) noexcept {
  if (place.gate != nullptr) return place.gate;
  arch::Gate* const at_home = gate_at_home(place);
  return at_home != nullptr ? at_home : place.base;
}

int stop_signal() noexcept { return SIGRTMAX - 3; }

namespace {

void serve_in_handler(Thread& thread, ucontext_t& context) noexcept {
  if ((thread.requests.load() & kSuspend) != 0) {
    StopAccess::set_stopped_context(thread, &context);
    StopAccess::stand_still(thread);
    StopAccess::set_stopped_context(thread, nullptr);
  }
  if ((thread.requests.load() & kLeave) == 0 || leave_target(thread) == nullptr) return;
  arch::Gate* const gate = take_leave_target(thread);
  auto& registers = context.uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&arch::bobbin_gate_leave);
  registers[REG_RDI] = reinterpret_cast<greg_t>(gate);
  // From here on the thread counts as in the host: a second signal must not serve it again.
  thread.where.store(Where::host, std::memory_order_relaxed);
}

void on_stop_signal(int, siginfo_t*, void* raw) {
  const int saved = errno;
  if (Thread* thread = current_in_handler(); thread != nullptr) {
    StopAccess::answer(*thread);
    if (thread->where.load(std::memory_order_relaxed) == Where::guest) {
      serve_in_handler(*thread, *static_cast<ucontext_t*>(raw));
    }
  }
  errno = saved;
}

}  // namespace

void serve_requests(Place& place) {
  auto& thread = static_cast<Thread&>(place);
  abi::CONTEXT next;
  bool elsewhere = false;
  do {
    // Meanwhile the thread counts as in a native: its registers are ours, and a signal only tells it to look.
    place.where.store(Where::service, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    StopAccess::stand_still(thread);
    if ((thread.requests.load() & kLeave) != 0 && leave_target(place) != nullptr) {
      place.where.store(Where::host, std::memory_order_relaxed);
      arch::bobbin_gate_leave(take_leave_target(place));
    }
    if (const auto context = StopAccess::take_next_context(thread)) {
      next = *context;
      elsewhere = true;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    place.where.store(Where::guest, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // kLeave without a gate stays: there is nothing to leave.
  } while ((thread.requests.load() & kSuspend) != 0 ||
           ((thread.requests.load() & kLeave) != 0 && leave_target(place) != nullptr));
  if (elsewhere) arch::bobbin_restore_context(&next);
}

void install_stop_signal() noexcept {
  static const bool installed = [] {
    struct sigaction action{};
    action.sa_sigaction = on_stop_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    return sigaction(stop_signal(), &action, nullptr) == 0;
  }();
  (void)installed;
}

void unblock_stop_signal() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, stop_signal());
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool send_stop_signal(std::uint32_t host_id) noexcept {
  return syscall(SYS_tgkill, getpid(), static_cast<pid_t>(host_id), stop_signal()) == 0 || errno != ESRCH;
}

}  // namespace bobbin::thread
