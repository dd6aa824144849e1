#include "seh/signals.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>

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

std::terminate_handler g_terminate_before;
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

/// A touched guard page becomes an ordinary one, and the fault says so. Those at the end of the running stack
/// are all there is left of it; others in the stack are no more than that. False if nothing is to be raised.
bool look_for_guard(abi::EXCEPTION_RECORD& record) noexcept {
  if (record.ExceptionCode != abi::STATUS_ACCESS_VIOLATION || record.NumberParameters != 2) return true;
  const std::uint64_t address = record.ExceptionInformation[1];
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

/// Puts an ExceptionFrame on the guest's stack and lets the thread go on with it.
bool dispatch(ucontext_t& host, const abi::EXCEPTION_RECORD& record, const abi::CONTEXT& context,
              std::uint64_t interrupted) noexcept {
  struct alignas(16) Image {
    std::byte state[arch::kExceptionStateSize];
    arch::ExceptionFrame frame;
  };
  static_assert(offsetof(Image, frame) == arch::kExceptionStateSize);
  Image image{};
  image.frame.context = context;
  image.frame.record = record;
  image.frame.rbx = context.Rbx;
  image.frame.rbp = context.Rbp;
  image.frame.rsi = context.Rsi;
  image.frame.rdi = context.Rdi;
  image.frame.r12 = context.R12;
  image.frame.r13 = context.R13;
  image.frame.r14 = context.R14;
  image.frame.r15 = context.R15;
  constexpr std::size_t kXmm6 = 160 + 6 * 16;
  std::memcpy(image.frame.xmm6_to_15, context.FltSave + kXmm6, sizeof image.frame.xmm6_to_15);
  image.frame.machine = {context.Rip, context.SegCs, context.EFlags, context.Rsp, context.SegSs};
  if (interrupted != 0) {  // in a leaf of ours: unwinding goes on in its caller
    image.frame.machine.rip = interrupted;
    image.frame.machine.rsp += 8;
  }
  const std::uint64_t frame = (context.Rsp - sizeof image.frame) & ~std::uint64_t{15};
  if (!guest_copy(reinterpret_cast<void*>(frame - sizeof image.state), &image, sizeof image)) return false;
  auto& registers = host.uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&arch::bobbin_exception_entry);
  registers[REG_RBX] = static_cast<greg_t>(frame);
  registers[REG_EFL] = 0x202;
  return true;
}

bool raise_in_guest(int signal, const siginfo_t& info, ucontext_t& host, Thread& thread) noexcept {
  abi::CONTEXT context{};
  context.ContextFlags =
      abi::CONTEXT_CONTROL | abi::CONTEXT_INTEGER | abi::CONTEXT_SEGMENTS | abi::CONTEXT_FLOATING_POINT;
  thread::read_host_context(host, context);
  abi::EXCEPTION_RECORD record = exception_of(signal, info, context, host);
  if (!look_for_guard(record)) return true;
  if (signal == SIGFPE && host.uc_mcontext.fpregs != nullptr) {  // or the handlers would trap as well
    host.uc_mcontext.fpregs->mxcsr = 0x1F80;
    host.uc_mcontext.fpregs->cwd = 0x027F;
    host.uc_mcontext.fpregs->swd = 0;
  }
  std::uint64_t caller = 0;
  if (locate(context.Rip).kind == Located::outermost &&
      (!guest_read(context.Rsp, caller) || locate(caller).kind == Located::outermost))
    caller = 0;
  const bool fail_fast = record.ExceptionCode == abi::STATUS_STACK_BUFFER_OVERRUN;
  if (!fail_fast && arch::own_frame(context.Rip) == nullptr && dispatch(host, record, context, caller))
    return true;
  constexpr std::uint64_t kNear = 64 << 10;
  if (!fail_fast && context.Rsp - word(abi::current_teb()->DeallocationStack) < kNear)
    record.ExceptionCode = abi::STATUS_STACK_OVERFLOW;  // nothing is left to handle it on
  end_guest_after(host, thread, record, context);
  return true;
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

/// Remembers what a native met, if that can be the guest's pointer.
bool remember_native_fault(int signal, const siginfo_t& info, const ucontext_t& host,
                           Thread& thread) noexcept {
  if (signal != SIGSEGV && signal != SIGBUS) return false;
  abi::CONTEXT context{};
  context.ContextFlags = abi::CONTEXT_CONTROL;
  thread::read_host_context(host, context);
  thread.fault = exception_of(signal, info, context, host);
  return true;
}

enum class Answer : std::uint8_t { seen_to, not_ours, leave_native };

/// Whether the fault was one of the guest's, and is seen to.
Answer answer(int signal, const siginfo_t& info, ucontext_t& context) noexcept {
  const auto pc = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RIP]);
  if (within(pc, reinterpret_cast<const void*>(&arch::bobbin_guest_copy), arch::bobbin_guest_copy_end)) {
    context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(arch::bobbin_guest_copy_failed);
    return Answer::seen_to;
  }
  if (info.si_code <= 0) return Answer::not_ours;  // somebody sent it
  constexpr greg_t kWrite = 2;
  if (signal == SIGSEGV && (context.uc_mcontext.gregs[REG_ERR] & kWrite) == 0 &&
      open_shared_data(word(info.si_addr)))
    return Answer::seen_to;
  Thread* const thread = thread::current_in_handler();
  if (thread == nullptr) return Answer::not_ours;
  switch (thread->where.load(std::memory_order_relaxed)) {
    case Where::guest:
      (void)raise_in_guest(signal, info, context, *thread);
      return Answer::seen_to;
    case Where::native:
      if (signal == SIGSEGV && give_guard_pages(word(info.si_addr))) return Answer::seen_to;
      return remember_native_fault(signal, info, context, *thread) ? Answer::leave_native : Answer::not_ours;
    case Where::service:
    case Where::host:
      return Answer::not_ours;
  }
  return Answer::not_ours;
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
  const Answer what = answer(signal, *info, *static_cast<ucontext_t*>(raw));
  if (what == Answer::not_ours) hand_on(signal, info, raw);
  errno = saved;
  if (what == Answer::leave_native) {
    thread::unblock_stop_signal();  // as if the handler had returned
    throw thread::GuestFault{};
  }
}

/// A GuestFault came to a frame of ours that cannot be left.
[[noreturn]] void on_terminate() {
  if (const std::exception_ptr last = std::current_exception(); last != nullptr) {
    try {
      std::rethrow_exception(last);
    } catch (const thread::GuestFault&) {
      const thread::Place& place = thread::current_place();
      std::fprintf(stderr, "bobbin: %s in a native that was called at %s, and cannot be raised there\n",
                   describe_exception(place.fault).c_str(), host().describe(place.guest_rip).c_str());
    } catch (...) {
    }
  }
  g_terminate_before();
  abort();
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
    g_terminate_before = std::set_terminate(&on_terminate);
    return true;
  }();
  (void)installed;
}

}  // namespace bobbin::seh
