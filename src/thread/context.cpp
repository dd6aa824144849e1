// Reading and changing the registers of a suspended thread.
#include <cpuid.h>

#include <cstring>
#include <mutex>

#include "abi/status.hpp"
#include "thread/host_context.hpp"
#include "thread/thread.hpp"

namespace bobbin::thread {
namespace {

struct Row {
  int host;
  abi::DWORD64 abi::CONTEXT::* guest;
};
constexpr Row kIntegers[] = {
    {REG_RAX, &abi::CONTEXT::Rax}, {REG_RCX, &abi::CONTEXT::Rcx}, {REG_RDX, &abi::CONTEXT::Rdx},
    {REG_RBX, &abi::CONTEXT::Rbx}, {REG_RBP, &abi::CONTEXT::Rbp}, {REG_RSI, &abi::CONTEXT::Rsi},
    {REG_RDI, &abi::CONTEXT::Rdi}, {REG_R8, &abi::CONTEXT::R8},   {REG_R9, &abi::CONTEXT::R9},
    {REG_R10, &abi::CONTEXT::R10}, {REG_R11, &abi::CONTEXT::R11}, {REG_R12, &abi::CONTEXT::R12},
    {REG_R13, &abi::CONTEXT::R13}, {REG_R14, &abi::CONTEXT::R14}, {REG_R15, &abi::CONTEXT::R15},
};

bool wants(const abi::CONTEXT& context, abi::DWORD part) { return (context.ContextFlags & part) == part; }

std::unexpected<Error> not_suspended() {
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_UNSUCCESSFUL,
               .what = "the registers of a thread can be had only while it is suspended"});
}

}  // namespace

void read_host_context(const ucontext_t& host, abi::CONTEXT& context) noexcept {
  const auto& registers = host.uc_mcontext.gregs;
  if (wants(context, abi::CONTEXT_CONTROL)) {
    context.Rip = static_cast<abi::DWORD64>(registers[REG_RIP]);
    context.Rsp = static_cast<abi::DWORD64>(registers[REG_RSP]);
    context.EFlags = static_cast<abi::DWORD>(registers[REG_EFL]);
    context.SegCs = 0x33;
    context.SegSs = 0x2B;
  }
  if (wants(context, abi::CONTEXT_SEGMENTS)) {
    context.SegDs = context.SegEs = context.SegGs = 0x2B;
    context.SegFs = 0x53;
  }
  if (wants(context, abi::CONTEXT_INTEGER)) {
    for (const Row& row : kIntegers) context.*row.guest = static_cast<abi::DWORD64>(registers[row.host]);
  }
  if (wants(context, abi::CONTEXT_FLOATING_POINT) && host.uc_mcontext.fpregs != nullptr) {
    std::memcpy(&context.FltSave, host.uc_mcontext.fpregs, sizeof context.FltSave);
    context.MxCsr = context.FltSave.MxCsr;
  }
}

arch::ExceptionFrame::Upper read_upper_halves(const ucontext_t& host, void* of_ymm, void* of_zmm) noexcept {
  using Upper = arch::ExceptionFrame::Upper;
  // What the kernel puts behind the 512 bytes of FXSAVE: XSAVE's standard format, if it says so in their end.
  struct Said {
    std::uint32_t magic, size;
    std::uint64_t features;
  } said;
  constexpr std::size_t kSaid = 464, kInUse = 512, kYmm = 576;
  constexpr std::uint32_t kMagic = 0x46505853;
  constexpr std::uint64_t kOfYmm = 1 << 2, kOfZmm = 1 << 6;
  const auto* const area = reinterpret_cast<const std::byte*>(host.uc_mcontext.fpregs);
  if (area == nullptr) return Upper::unknown;
  std::memcpy(&said, area + kSaid, sizeof said);
  if (said.magic != kMagic || (said.features & kOfYmm) == 0) return Upper::unknown;
  std::uint64_t in_use = 0;
  std::memcpy(&in_use, area + kInUse, sizeof in_use);
  if ((in_use & kOfYmm) != 0) std::memcpy(of_ymm, area + kYmm, 16 * 16);
  if ((in_use & kOfZmm) != 0) {
    static const std::size_t place = [] {
      unsigned size = 0, offset = 0, c = 0, d = 0;
      __cpuid_count(0xD, 6, size, offset, c, d);
      return std::size_t{offset};
    }();
    std::memcpy(of_zmm, area + place, arch::kUpperOfZmmSize);
    return Upper::of_zmm;
  }
  return (in_use & kOfYmm) != 0 ? Upper::of_ymm : Upper::zero;
}

void write_host_context(ucontext_t& host, const abi::CONTEXT& context) noexcept {
  auto& registers = host.uc_mcontext.gregs;
  if (wants(context, abi::CONTEXT_CONTROL)) {
    registers[REG_RIP] = static_cast<greg_t>(context.Rip);
    registers[REG_RSP] = static_cast<greg_t>(context.Rsp);
    registers[REG_EFL] = static_cast<greg_t>(context.EFlags);
  }
  if (wants(context, abi::CONTEXT_INTEGER)) {
    for (const Row& row : kIntegers) registers[row.host] = static_cast<greg_t>(context.*row.guest);
  }
  if (wants(context, abi::CONTEXT_FLOATING_POINT) && host.uc_mcontext.fpregs != nullptr) {
    std::memcpy(host.uc_mcontext.fpregs, &context.FltSave, offsetof(abi::XSAVE_FORMAT, Available));
  }
}

Result<void> Threads::get_context(Thread& thread, abi::CONTEXT& context) {
  if (thread.suspend_count_.load() == 0) return not_suspended();
  settle_suspended(thread);
  const std::scoped_lock lock(mutex_);
  if (const void* host = thread.stopped_context_.load(); host != nullptr) {
    read_host_context(*static_cast<const ucontext_t*>(host), context);
  } else if (thread.next_context_) {
    const abi::DWORD flags = context.ContextFlags;
    context = *thread.next_context_;
    context.ContextFlags = flags;
  } else if (wants(context, abi::CONTEXT_CONTROL)) {
    context.Rip = thread.guest_rip;
    context.Rsp = thread.guest_rsp;
    context.EFlags = 0x202;
    context.SegCs = 0x33;
    context.SegSs = 0x2B;
  }
  return {};
}

Result<void> Threads::set_context(Thread& thread, const abi::CONTEXT& context) {
  if (thread.suspend_count_.load() == 0) return not_suspended();
  settle_suspended(thread);
  const std::scoped_lock lock(mutex_);
  if (void* host = thread.stopped_context_.load(); host != nullptr) {
    write_host_context(*static_cast<ucontext_t*>(host), context);
    return {};
  }
  auto next = thread.next_context_ ? std::move(thread.next_context_) : std::make_unique<abi::CONTEXT>();
  if (wants(context, abi::CONTEXT_INTEGER)) *next = context;
  next->Rip = context.Rip;
  next->Rsp = context.Rsp;
  next->EFlags = context.EFlags != 0 ? context.EFlags : 0x202;
  if (!wants(context, abi::CONTEXT_FLOATING_POINT)) asm volatile("fxsave64 %0" : "=m"(next->FltSave));
  thread.next_context_ = std::move(next);
  return {};
}

void Threads::settle_suspended(Thread& thread) {
  // The stop signal is on its way: wait until the thread either stands in the handler or was seen in a
  // native.
  while (thread.stopped_context_.load() == nullptr && thread.suspend_count_.load() != 0 &&
         thread.host_id() != 0 && thread.where.load() == Where::guest) {
    os::futex_wait(thread.seen_, thread.seen_.load(), os::monotonic_now() + 1'000'000);
  }
}

}  // namespace bobbin::thread
