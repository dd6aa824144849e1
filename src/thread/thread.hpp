// The life of a thread, as a guest sees it: a TEB, a stack, an id, an exit code, an object that can be waited
// for.
//
// There are two kinds, and after their birth nobody can tell them apart:
//   guest threads     CreateThread: a carrier, a host thread of our making, runs them (carriers.hpp)
//   attached threads  a thread of the host calls a guest function: it gets a TEB on first use, keeps it, and
//   is
//                     run down when it exits
//
//   create()/attach_current()  record and TEB exist; ThreadLocalStoragePointer is still NULL
//   born hook                  (loader) waits for its turn, builds the TLS vector, THREAD_ATTACH
//   start routine              guest code, inside the thread's outermost gate, on a stack that guest code has
//                              for itself: it may become a fiber's, and outlive the thread
//   FLS callbacks              on the dying thread, under no lock; before Windows 10 after the next step
//   dying hook                 (loader) THREAD_DETACH, likewise on top of its stack
//   retired                    TLS given back, mutexes abandoned; only now the handle is signalled
//
// Stopping a thread (process exit, TerminateThread, SuspendThread) is a request: a bit in its Place and a
// signal. In guest code the signal handler serves it at once; in a native it waits for the native's end
// (scope.hpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "abi/context.hpp"
#include "abi/teb.hpp"
#include "base/error.hpp"
#include "memory/address_space.hpp"
#include "memory/heaps.hpp"
#include "os/os.hpp"
#include "sync/dispatcher.hpp"
#include "sync/object.hpp"
#include "thread/carriers.hpp"
#include "thread/fibers.hpp"
#include "thread/fls_host.hpp"
#include "thread/scope.hpp"
#include "thread/stacks.hpp"
#include "tls/engine.hpp"

namespace bobbin::thread {

/// The exit code of a thread or process that has not ended yet.
inline constexpr std::uint32_t kStillActive = 259;

class Threads;
using sync::Ref;

/// One thread that can run guest code. Its handle is signalled when it has ended.
class Thread final : public sync::Waitable, public Place {
 public:
  [[nodiscard]] std::uint32_t id() const { return waiter_.thread_id; }
  [[nodiscard]] abi::TEB& teb() const { return tls::teb_of(*record_); }
  [[nodiscard]] sync::Waiter& waiter() { return waiter_; }
  /// nullptr once it has ended.
  [[nodiscard]] abi::TEB* teb_or_null() const {
    tls::ThreadRecord* record = record_.load();
    return record != nullptr ? &tls::teb_of(*record) : nullptr;
  }
  /// kStillActive until it has ended.
  [[nodiscard]] std::uint32_t exit_code() const { return exit_code_.load(); }
  [[nodiscard]] bool attached_by_host() const { return !seat_.stack.valid(); }
  [[nodiscard]] std::uint64_t start_address() const { return reinterpret_cast<std::uint64_t>(routine_); }
  /// When it was born and when it ended (0: not yet), as FILETIME counts.
  [[nodiscard]] std::uint64_t created_at() const { return created_at_; }
  [[nodiscard]] std::uint64_t ended_at() const { return ended_at_.load(); }
  /// CPU time spent, in units of 100 ns; 0 before it runs and after it ended.
  [[nodiscard]] std::uint64_t cpu_time() const;
  /// The host's id (gettid), for signals; 0 before it runs and after it ended.
  [[nodiscard]] std::uint32_t host_id() const { return host_id_.load(); }
  /// Whether it is in its end: the dying hook was entered.
  [[nodiscard]] bool is_ending() const { return run_down_ == RunDown::detach; }
  /// Whether it was ended from outside: it is told nothing, and needs no lock.
  [[nodiscard]] bool was_terminated() const { return terminated_.load(); }
  /// Whether the born hook has run, so that the dying hook owes a THREAD_DETACH.
  bool notified = false;
  /// SetThreadPriority's value; kept for GetThreadPriority (the host's scheduler is not touched).
  std::atomic<std::int32_t> priority{0};

 private:
  friend class Threads;
  friend struct StopAccess;  ///< the signal handler, in stop.cpp
  friend void run_down_attached(void*) noexcept;
  [[nodiscard]] std::uint32_t exit_code_pending(std::uint32_t otherwise = 0) const {
    const std::uint64_t pending = pending_code_.load();
    return pending == kNoCode ? otherwise : static_cast<std::uint32_t>(pending);
  }
  Thread() : Waitable(sync::Kind::thread) {}
  bool signalled(const sync::Waiter&) const override { return ended_; }
  sync::Waiter* owner() const override { return ended_ ? nullptr : &waiter_; }

  Threads* owner_ = nullptr;
  std::atomic<tls::ThreadRecord*> record_{nullptr};  ///< nullptr once it has ended
  mutable sync::Waiter waiter_;
  Carriers::Seat seat_;                ///< no stack: an attached thread
  std::uint64_t cpu_time_before_ = 0;  ///< what its carrier had spent before, in units of 100 ns
  /// What guest code runs on and the thread owns: invalid for a fiber, which owns its stack, and for attached
  /// threads, the process's main thread excepted.
  Stack stack_;
  void* routine_ = nullptr;  ///< guest start routine
  void* parameter_ = nullptr;
  std::function<void()> host_routine_;  ///< instead of routine_, for threads that our own services need
  std::atomic<std::uint32_t> exit_code_{kStillActive};
  std::uint64_t created_at_ = os::system_time_now();
  std::atomic<std::uint64_t> ended_at_{0};
  std::atomic<std::uint32_t> suspend_count_{0};  ///< also the futex that a suspended thread sleeps on
  std::atomic<std::uint32_t> host_id_{0};
  std::atomic<std::uint32_t> seen_{0};           ///< number of the last stop signal that its handler saw
  std::atomic<void*> stopped_context_{nullptr};  ///< ucontext_t of a thread suspended in guest code
  std::unique_ptr<abi::CONTEXT>
      next_context_;  ///< set while it is suspended in a native: what it goes on with
  static constexpr std::uint64_t kNoCode = ~std::uint64_t{0};
  std::atomic<std::uint64_t> pending_code_{kNoCode};  ///< exit code to be, once something asked for the end
  /// How far its end has come; written by itself.
  enum class RunDown : std::uint8_t { not_begun, fls, detach };
  std::atomic<RunDown> run_down_ = RunDown::not_begun;
  std::uint32_t fls_passes_ = 0;         ///< how many passes over its FLS values are open, one within another
  std::atomic<bool> terminated_{false};  ///< ended from outside: no THREAD_DETACH
  bool ended_ = false;                   ///< guarded by the dispatcher lock
  /// Who runs an attached thread down: it itself (detach_current) or, once the Runtime ends, ~Threads.
  enum class Ending : std::uint8_t { none, by_itself, by_owner };
  std::atomic<Ending> ending_{Ending::none};
};

/// What the loader wants to know of threads. Called on the thread in question, inside its outermost gate.
class LifeObserver {
 public:
  virtual ~LifeObserver() = default;
  /// Before the first guest instruction of the thread: attach_storage(), then THREAD_ATTACH. A failure ends
  /// it.
  virtual Result<void> born(Thread& thread) = 0;
  /// After its last: THREAD_DETACH. Not called for a thread that was terminated from outside.
  virtual void dying(Thread& thread) noexcept = 0;
  /// The last guest thread is about to end: the process is to exit with `code` (specification 6.4).
  virtual void last_thread_exits(std::uint32_t code) noexcept = 0;
  /// No thread is left, and none was the last to exit in order: it was terminated, or several exited at once.
  /// Not in a thread any more: no guest code can run.
  virtual void no_thread_is_left(std::uint32_t code) noexcept = 0;
  /// The current thread should call back for an FLS value, but the callback's image was unloaded.
  virtual void fls_callback_is_gone(std::uint32_t index, const void* callback) noexcept = 0;
};

struct CreateOptions {
  void* routine = nullptr;  ///< guest function, DWORD routine(void*)
  void* parameter = nullptr;
  std::size_t stack_size = 0;     ///< reservation in bytes; 0 means the default
  std::size_t minimum_stack = 0;  ///< the reservation is at least this
  bool suspended = false;
  std::function<void()> host_routine = {};  ///< runs instead of `routine`, on a full guest thread
};

/// All threads that can run guest code.
class Threads {
  friend struct StopAccess;

 public:
  Threads(tls::Engine& engine, memory::AddressSpace& space, memory::Heaps& heaps, abi::PEB& peb);
  /// Takes the TEB of every host thread that is still attached; none of them is in guest code any more.
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void set_observer(LifeObserver* observer) { observer_ = observer; }
  void set_default_stack_size(std::size_t bytes) { default_stack_size_ = bytes; }
  /// Before Windows 10: FLS callbacks of a thread that exits come after the dying hook.
  void set_fls_last(bool last) { fls_last_ = last; }
  [[nodiscard]] bool fls_last() const { return fls_last_; }

  /// A new guest thread with all that it needs, not yet running: start() it, or abandon() it.
  /// STATUS_NO_MEMORY when something runs out, STATUS_PROCESS_IS_TERMINATING once the process exits.
  [[nodiscard]] Result<Ref<Thread>> create(CreateOptions options);
  /// Lets it run (or stand suspended, if asked to). On failure the thread has ended, and never ran.
  [[nodiscard]] Result<void> start(Thread& thread);
  /// Takes back a thread that was created and not started.
  void abandon(Thread& thread) noexcept;

  /// Makes the calling host thread a guest thread if it is not one already.
  [[nodiscard]] Result<Thread*> attach_current();
  /// Runs the calling attached thread down (the observer's dying hook and all). No-op if it is not attached.
  void detach_current() noexcept;

  /// Builds the TLS vector and blocks of a newborn thread; what the born hook calls under the loader lock.
  [[nodiscard]] Result<void> attach_storage(Thread& thread);

  /// The FLS callbacks of a block's values, the running fiber's if none is named. False if one of them ended
  /// the calling thread.
  bool run_fls_callbacks();
  bool run_fls_callbacks(void* block);
  /// FlsFree: false if the index is not allocated. Must be called inside a native, as the one before.
  [[nodiscard]] bool free_fls_index(std::uint32_t index);

  /// ExitThread: runs the thread down and leaves to its innermost gate. Must be called inside a native.
  void exit_current(std::uint32_t code);
  /// The part of it that is seen: FLS callbacks and THREAD_DETACH. A thread that exits later is not told
  /// again.
  void shut_down_current();
  /// TerminateThread on any thread, the calling one included.
  void terminate(Thread& thread, std::uint32_t code);
  /// The suspend count before; STATUS_SUSPEND_COUNT_EXCEEDED beyond 127.
  [[nodiscard]] Result<std::uint32_t> suspend(Thread& thread);
  [[nodiscard]] Result<std::uint32_t> resume(Thread& thread);

  /// The registers of a suspended thread: all of them if it stands in guest code; Rip and Rsp at the call if
  /// it stands in a native. STATUS_UNSUCCESSFUL for a thread that is not suspended.
  [[nodiscard]] Result<void> get_context(Thread& thread, abi::CONTEXT& context);
  /// The registers that a suspended thread goes on with; in a native, from the native's end on.
  [[nodiscard]] Result<void> set_context(Thread& thread, const abi::CONTEXT& context);

  /// Runs `routine(parameter)` as the process's main thread, on the calling (attached) thread but on a stack
  /// of its own; what it returns ends the thread.
  void run_main(std::size_t stack_size, void* routine, void* parameter);

  // -- fibers (fibers.hpp); inside a native, on the calling thread
  /// `minimum_stack` and `stack_size` as in CreateOptions.
  [[nodiscard]] Result<void*> create_fiber(std::size_t stack_size, std::size_t minimum_stack, void* routine,
                                           void* data);
  /// Makes the thread, which is none, a fiber; makes the thread, which is one, a plain thread again.
  [[nodiscard]] Result<void*> convert_to_fiber(void* data);
  void convert_to_thread() noexcept;
  /// Whether the thread can switch to it.
  [[nodiscard]] FiberTrouble check_fiber(const void* fiber) noexcept { return fibers_.check(fiber); }
  /// Calls back for its FLS values. The running fiber's end is the thread's, with code 1.
  [[nodiscard]] FiberTrouble delete_fiber(void* raw);

  /// Process exit, step 2: no other thread executes guest code from now on; their handles are signalled with
  /// `code`, their mutexes abandoned, their heap locks open; nothing is notified. Threads inside natives end
  /// with their native.
  void stop_all_others(std::uint32_t code) noexcept;
  /// After stop_all_others: waits until every guest thread but the calling one has left its stack. To be
  /// called while all that natives use still exists; host threads that are attached go on by themselves.
  void await_others() noexcept;
  /// After this, create() fails and every gate of every thread is left.
  [[nodiscard]] bool stopping() const { return stopping_.load(); }
  /// The exit code that threads then have.
  [[nodiscard]] std::uint32_t stop_code() const { return stop_code_.load(); }
  /// Every gate of the calling thread is to be left with the guest ended.
  void leave_current();

  [[nodiscard]] abi::PEB& peb() const { return peb_; }
  /// The thread with that id, if it lives.
  [[nodiscard]] Ref<Thread> find(std::uint32_t id);
  [[nodiscard]] std::size_t count() const;
  /// Of the threads but the calling one: those whose start routine lies within these bytes and is not over.
  struct Started {
    std::uint32_t thread;
    const void* routine;
  };
  [[nodiscard]] std::vector<Started> started_in(const void* base, std::size_t size) const;

 private:
  static void carry(void* job, Carrier& self);
  BOBBIN_MS_ABI static void end_current(std::uint32_t code);
  void run_routine(Thread& thread, std::byte* stack_top);
  [[nodiscard]] Result<Thread*> make_thread();
  [[nodiscard]] Result<void> give_birth(Thread& thread) noexcept;
  std::uint32_t guest_main(Thread& thread);
  void run_down(Thread& thread, std::uint32_t code);
  void tell_of_end(Thread& thread);
  bool run_down_fls(Thread& thread);
  void run_down_modules(Thread& thread);
  [[nodiscard]] Stack take_last_stack(Thread& thread) noexcept;
  void retire(Thread& thread, std::uint32_t code, Carrier* carrier = nullptr) noexcept;
  void wake(Thread& thread) noexcept;
  static void settle_suspended(Thread& thread);
  void publish_end(Thread& thread, std::uint32_t code) noexcept;

  tls::Engine& engine_;
  memory::AddressSpace& space_;
  memory::Heaps& heaps_;
  abi::PEB& peb_;
  StackPool stacks_;
  Fibers fibers_{stacks_};
  Carriers carriers_;
  LifeObserver* observer_ = nullptr;
  std::size_t default_stack_size_ = 1 << 20;
  bool fls_last_ = false;
  GuestFlsHost fls_host_{engine_.fls(), observer_};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> stop_code_{0};  ///< exit code of all threads once stopping_ is set
  mutable os::Mutex mutex_;
  std::vector<Thread*> alive_;  ///< guarded by mutex_; each holds a reference
  std::uint32_t next_id_ = 0;   ///< guarded by mutex_
  /// Carriers of guest threads, and attached threads that are being run down: who still uses this object.
  std::atomic<std::uint32_t> busy_{0};
  std::atomic<std::uint32_t> stop_rounds_{0};  ///< how often stop_all_others began
};

/// The calling thread's Thread, or nullptr if it is not attached. Cheap; from any thread.
[[nodiscard]] Thread* current_or_null() noexcept;
/// Makes the calling thread one that is not attached, and leaves its Thread as it is.
void forget_current() noexcept;
/// The calling thread's Thread; it must be attached.
[[nodiscard]] inline Thread& current() { return static_cast<Thread&>(current_place()); }
/// What waits of the calling (attached) thread go by.
[[nodiscard]] inline sync::Waiter& current_waiter() { return current().waiter(); }

}  // namespace bobbin::thread
