#include "seh/signals.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "abi/status.hpp"
#include "arch/x86_64/context.hpp"
#include "arch/x86_64/exception.hpp"
#include "seh/dispatch.hpp"
#include "seh/faults.hpp"
#include "seh/guest_memory.hpp"
#include "seh/report.hpp"
#include "seh/shared_data.hpp"
#include "thread/host_context.hpp"
#include "thread/stop.hpp"
#include "thread/thread.hpp"

namespace bobbin::seh {
namespace {

using thread::Thread;
using thread::Where;

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
std::array<struct sigaction, kSignals.size()> g_before;

/// What a thread that cannot be dispatched to any more is ended with.
struct Last {
  abi::EXCEPTION_RECORD record;
  abi::CONTEXT context;
};
constinit thread_local Last t_last{};

std::uint64_t word(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }
bool within(std::uint64_t address, const void* begin, const void* end) {
  return address >= word(begin) && address < word(end);
}
bool on_signal_stack(const Thread& thread, std::uint64_t stack) {
  return within(stack, thread.signal_stack - arch::kSignalStackSize, thread.signal_stack);
}

/// On the signal stack, which nothing else is on any more.
[[noreturn]] void end_guest_here() {
  thread::Place& place = thread::current_place();
  place.where.store(Where::native, std::memory_order_relaxed);
  report_unhandled(t_last.record, t_last.context);
  host().terminate(t_last.record.ExceptionCode);
  thread::serve_requests(place);  // leaves the gate
  abort();
}

/// The guest's stack cannot take an exception, or none may be dispatched: the guest ends.
void end_guest_after(ucontext_t& host, Thread& thread, const abi::EXCEPTION_RECORD& record,
                     const abi::CONTEXT& context) noexcept {
  t_last = {record, context};
  auto& registers = host.uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&end_guest_here);
  registers[REG_RSP] = reinterpret_cast<greg_t>(thread.signal_stack - 8);  // as after a call
  registers[REG_EFL] = 0x202;
  thread.where.store(Where::native, std::memory_order_relaxed);
}

/// If a guard page is at the address, it becomes an ordinary one, and the fault says so. Those at the end of
/// the running stack are all there is left of it; others in the stack are no more than that. False if nothing
/// is to be raised.
bool look_for_guard(std::uint64_t address, abi::EXCEPTION_RECORD& record) noexcept {
  const std::uint64_t lowest = host().take_guard(address);
  if (lowest == 0) return true;
  abi::TEB* const teb = abi::current_teb();
  if (address < word(teb->DeallocationStack) || address >= word(teb->StackBase)) {
    record.ExceptionCode = abi::STATUS_GUARD_PAGE_VIOLATION;
    return true;
  }
  if (lowest < word(teb->StackLimit)) teb->StackLimit = reinterpret_cast<void*>(lowest);
  if (lowest > word(teb->DeallocationStack) + os::kPageSize) return false;
  record.ExceptionCode = abi::STATUS_STACK_OVERFLOW;
  record.NumberParameters = 0;
  return true;
}

/// Puts an ExceptionFrame on the guest's stack and lets the thread go on with it. Handlers are shown
/// `context`; unwinding begins at `at`. Where there is no room but the guard pages, it is the stack's
/// overflow that is raised.
bool dispatch(ucontext_t& host, abi::EXCEPTION_RECORD& record, const abi::CONTEXT& context,
              const abi::CONTEXT& at) noexcept {
  struct alignas(16) Image {
    std::byte state[arch::kExceptionStateSize];
    arch::ExceptionFrame frame;
    std::byte upper_of_zmm[arch::kUpperOfZmmSize];
  };
  static_assert(offsetof(Image, frame) == arch::kExceptionStateSize &&
                offsetof(Image, upper_of_zmm) == arch::kExceptionStateSize + sizeof(arch::ExceptionFrame));
  Image image{};
  image.frame.context = context;
  image.frame.record = record;
  image.frame.unwind_to(at);
  image.frame.upper = thread::read_upper_halves(host, image.frame.context.VectorRegister, image.upper_of_zmm);
  const std::size_t size =
      image.frame.upper == arch::ExceptionFrame::Upper::of_zmm ? sizeof image : offsetof(Image, upper_of_zmm);
  const std::uint64_t frame = (context.Rsp - (size - offsetof(Image, frame))) & ~std::uint64_t{15};
  void* const place = reinterpret_cast<void*>(frame - sizeof image.state);
  if (!guest_copy(place, &image, size)) {
    (void)look_for_guard(word(place), record);
    image.frame.record = record;
    if (!guest_copy(place, &image, size)) return false;
  }
  auto& registers = host.uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&arch::bobbin_exception_entry);
  registers[REG_RBX] = static_cast<greg_t>(frame);
  registers[REG_EFL] = 0x202;
  return true;
}

/// The native that the thread is in, if any, is over.
void leave_native(Thread& thread) noexcept {
  thread::Held::give_back_all(thread);
  thread.where.store(Where::guest, std::memory_order_relaxed);
}

/// The thread goes on with `context`, in guest code.
void go_on_in_guest(ucontext_t& host, Thread& thread, const abi::CONTEXT& context) noexcept {
  thread::write_host_context(host, context);
  leave_native(thread);
  // What others asked of it in the meantime, the end of the native would have seen to.
  if (thread.requests.load() != 0) (void)thread::send_stop_signal(thread.host_id());
}

/// The host's frames on this part of the stack are left before their ends, where they would have lifted the
/// address sanitizer's poison.
void unpoison([[maybe_unused]] std::uint64_t begin, [[maybe_unused]] std::uint64_t end) noexcept {
#ifdef __SANITIZE_ADDRESS__
  if (begin < end) __asan_unpoison_memory_region(reinterpret_cast<const void*>(begin), end - begin);
#endif
}

/// What guest code did, or a native that it called, becomes an exception: of the instruction, or of the call.
void raise_in_guest(int signal, const siginfo_t& info, ucontext_t& host, Thread& thread) noexcept {
  abi::CONTEXT context{};
  context.ContextFlags =
      abi::CONTEXT_CONTROL | abi::CONTEXT_INTEGER | abi::CONTEXT_SEGMENTS | abi::CONTEXT_FLOATING_POINT;
  thread::read_host_context(host, context);
  abi::EXCEPTION_RECORD record = exception_of(signal, info, context, host);
  if (record.ExceptionCode == abi::STATUS_ACCESS_VIOLATION && record.NumberParameters == 2 &&
      !look_for_guard(record.ExceptionInformation[1], record))
    return;
  if (signal == SIGFPE && host.uc_mcontext.fpregs != nullptr) {  // or the handlers would trap as well
    host.uc_mcontext.fpregs->mxcsr = 0x1F80;
    host.uc_mcontext.fpregs->cwd = 0x027F;
    host.uc_mcontext.fpregs->swd = 0;
  }
  abi::CONTEXT caller = context;
  bool dispatchable = record.ExceptionCode != abi::STATUS_STACK_BUFFER_OVERRUN &&  // fail fast
                      !on_signal_stack(thread, context.Rsp);
  if (context.Rip == 0 || arch::is_exception_entry(context.Rip)) {  // a null pointer was called
    (void)unwind::unwind_leaf(GuestMemory(), caller);
  } else if (arch::own_frame(context.Rip) != nullptr) {
    dispatchable = dispatchable && arch::is_own_frame_complete(context.Rip);
  } else if (is_host_code(context.Rip) && dispatchable) {
    const std::uint64_t called = leave_host_frames(caller);
    dispatchable = called != 0;
    if (dispatchable) unpoison(context.Rsp, caller.Rsp);
    if (dispatchable && (signal == SIGSEGV || signal == SIGBUS)) {
      if (record.ExceptionCode == abi::STATUS_ACCESS_VIOLATION) {
        if (const auto answer = seh::host().answer_to_bad_pointer(called); answer) {
          caller.Rax = *answer;
          return go_on_in_guest(host, thread, caller);
        }
      }
      caller.EFlags = 0x202;
      record.ExceptionAddress = reinterpret_cast<abi::PVOID>(caller.Rip);
      context = caller;
    }
  }
  if (dispatchable) {
    leave_native(thread);  // its frames are written over
    if (dispatch(host, record, context, caller)) return;
  }
  constexpr std::uint64_t kNear = 64 << 10;
  if (dispatchable && context.Rsp - word(abi::current_teb()->DeallocationStack) < kNear)
    record.ExceptionCode = abi::STATUS_STACK_OVERFLOW;  // nothing is left to handle it on
  end_guest_after(host, thread, record, context);
}

/// A step of a dispatch has met what the guest did to the stack that the dispatch stands on, while its
/// handler ran.
void end_guest_in_step(int signal, const siginfo_t& info, ucontext_t& host, Thread& thread) noexcept {
  abi::CONTEXT context{};
  thread::read_host_context(host, context);
  abi::EXCEPTION_RECORD record = exception_of(signal, info, context, host);
  context = {};
  context.Rip = thread.guest_rip;
  context.Rsp = thread.guest_rsp;
  record.ExceptionAddress = reinterpret_cast<abi::PVOID>(context.Rip);
  end_guest_after(host, thread, record, context);
}

/// A native has run into the guard pages of its caller's stack: it gets them. Without a lock, for it may have
/// one.
bool give_guard_pages(std::uint64_t address) noexcept {
  abi::TEB* const teb = abi::current_teb();
  const std::uint64_t lowest = word(teb->DeallocationStack) + os::kPageSize, limit = word(teb->StackLimit);
  if (address < lowest || address >= limit) return false;
  teb->StackLimit = reinterpret_cast<void*>(lowest);
  return mprotect(reinterpret_cast<void*>(lowest), limit - lowest, PROT_READ | PROT_WRITE) == 0;
}

/// Whether the fault was one of the guest's, and is seen to.
bool answer(int signal, const siginfo_t& info, ucontext_t& context) noexcept {
  const auto pc = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RIP]);
  if (within(pc, reinterpret_cast<const void*>(&arch::bobbin_guest_copy), arch::bobbin_guest_end)) {
    context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(arch::bobbin_guest_failed);
    return true;
  }
  if (info.si_code <= 0) return false;  // somebody sent it
  constexpr greg_t kWrite = 2, kFetch = 16, kDebugVector = 1;
  if (signal == SIGSEGV && (context.uc_mcontext.gregs[REG_ERR] & (kWrite | kFetch)) == 0 &&
      open_shared_data(word(info.si_addr)))
    return true;
  Thread* const thread = thread::current_in_handler();
  if (thread == nullptr) return false;
  // Who steps through guest code steps over what is ours: it is said when guest code goes on.
  // (By the processor's vector: under some hypervisors si_code is now and then that of a breakpoint.)
  if (signal == SIGTRAP && context.uc_mcontext.gregs[REG_TRAPNO] == kDebugVector && is_host_code(pc) &&
      thread->where.load(std::memory_order_relaxed) != Where::host)
    return true;
  switch (thread->where.load(std::memory_order_relaxed)) {
    case Where::guest:
      raise_in_guest(signal, info, context, *thread);
      return true;
    case Where::native:
      if (signal != SIGSEGV && signal != SIGBUS) return false;
      if (signal != SIGSEGV || !give_guard_pages(word(info.si_addr)))
        raise_in_guest(signal, info, context, *thread);
      return true;
    case Where::service:
      if (!on_signal_stack(*thread, static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP])))
        return false;
      end_guest_in_step(signal, info, context, *thread);
      return true;
    case Where::host:
      return false;
  }
  return false;
}

/// To who was there before us.
void hand_on(int signal, siginfo_t* info, void* context) noexcept {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] != signal) continue;
    const struct sigaction& before = g_before[i];
    if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    sigaction(signal, &before, nullptr);  // the instruction faults again, and then nobody stands in between
    if (info->si_code <= 0) (void)raise(signal);
  }
}

void on_fault(int signal, siginfo_t* info, void* raw) {
  const int saved = errno;
  if (!answer(signal, *info, *static_cast<ucontext_t*>(raw))) hand_on(signal, info, raw);
  errno = saved;
}

}  // namespace

void install_fault_signals() noexcept {
  static const bool installed = [] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    // Looking at the guest's memory in the handler may fault as well.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, thread::stop_signal());
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &g_before[i]);
    return true;
  }();
  (void)installed;
}

}  // namespace bobbin::seh
