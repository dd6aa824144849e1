#include "arch/x86_64/exception.hpp"

#include <array>
#include <cstring>

#include "arch/x86_64/fiber.hpp"

namespace bobbin::arch {

// The assembly knows these offsets.
static_assert(offsetof(ExceptionFrame, record) == 0x4F0 && offsetof(ExceptionFrame, rbx) == 0x590 &&
              offsetof(ExceptionFrame, rdi) == 0x5A8 && offsetof(ExceptionFrame, r12) == 0x5B0 &&
              offsetof(ExceptionFrame, xmm6_to_15) == 0x5D0 && offsetof(ExceptionFrame, machine) == 0x670);
static_assert(offsetof(ExceptionCall, function) == 0x00 && offsetof(ExceptionCall, arguments) == 0x08 &&
              offsetof(ExceptionCall, result) == 0x28 && offsetof(ExceptionCall, walk) == 0x30 &&
              offsetof(ExceptionCall, target) == 0x38 && offsetof(ExceptionCall, entry) == 0x40);
static_assert(offsetof(ScopeCall, function) == 0x20 && offsetof(ScopeCall, arguments) == 0x28 &&
              offsetof(ScopeCall, result) == 0x38 && offsetof(ScopeCall, phase) == 0x50);
static_assert(static_cast<int>(ExceptionEntry::fault) == 7);
static_assert(static_cast<int>(ExceptionAction::leave) == 3 && offsetof(ExceptionFrame, upper) == 0x698 &&
              static_cast<int>(ExceptionFrame::Upper::of_ymm) == 2 &&
              offsetof(abi::CONTEXT, VectorRegister) == 0x300);
static_assert(kExceptionStateSize == 0x140 && kExceptionWalkSize == 0x590 && kSignalStackSize == 0x10000);
static_assert(offsetof(ExceptionSteps, scopes) == 8);
static_assert(offsetof(abi::DISPATCHER_CONTEXT, ScopeIndex) == 0x48);

extern "C" {
constinit ExceptionSteps bobbin_exception_steps{};

extern const char bobbin_exception_rows_base[], bobbin_dispatch_begin[], bobbin_exception_captures[],
    bobbin_exception_steps_begin[], bobbin_dispatch_end[];
extern abi::RUNTIME_FUNCTION bobbin_dispatch_row, bobbin_scopes_row, bobbin_host_row;
extern abi::RUNTIME_FUNCTION bobbin_outermost_rows[2];
}

namespace {

std::uint64_t address(const void* of) { return reinterpret_cast<std::uint64_t>(of); }

OwnFrame described(abi::RUNTIME_FUNCTION& row, const void* base) {
  return {address(base) + row.BeginAddress, address(base) + row.EndAddress, &row, address(base)};
}

}  // namespace

void ExceptionFrame::unwind_to(const abi::CONTEXT& at) noexcept {
  rbx = at.Rbx;
  rbp = at.Rbp;
  rsi = at.Rsi;
  rdi = at.Rdi;
  r12 = at.R12;
  r13 = at.R13;
  r14 = at.R14;
  r15 = at.R15;
  std::memcpy(xmm6_to_15, at.FltSave.XmmRegisters[6], sizeof xmm6_to_15);
  machine = {at.Rip, at.SegCs, at.EFlags, at.Rsp, at.SegSs};
}

void ExceptionFrame::undo(abi::CONTEXT& caller) const noexcept {
  caller.Rbx = rbx;
  caller.Rbp = rbp;
  caller.Rsi = rsi;
  caller.Rdi = rdi;
  caller.R12 = r12;
  caller.R13 = r13;
  caller.R14 = r14;
  caller.R15 = r15;
  std::memcpy(caller.FltSave.XmmRegisters[6], xmm6_to_15, sizeof xmm6_to_15);
  caller.Rip = machine.rip;
  caller.Rsp = machine.rsp;
}

const OwnFrame* own_frame(std::uint64_t at) noexcept {
  static const std::array frames = {
      described(bobbin_dispatch_row, bobbin_exception_rows_base),
      described(bobbin_scopes_row, bobbin_exception_rows_base),
      described(bobbin_outermost_rows[0], reinterpret_cast<const void*>(&bobbin_switch_fiber)),
      described(bobbin_outermost_rows[1], reinterpret_cast<const void*>(&bobbin_switch_fiber)),
  };
  for (const OwnFrame& frame : frames) {
    if (at >= frame.begin && at < frame.end) return &frame;
  }
  return nullptr;
}

bool is_own_frame_complete(std::uint64_t at) noexcept {
  const OwnFrame* const frame = own_frame(at);
  return frame != nullptr &&
         (frame->row == &bobbin_scopes_row ||
          (frame->row == &bobbin_dispatch_row && at >= address(bobbin_exception_steps_begin)));
}

bool is_exception_entry(std::uint64_t at) noexcept {
  return at >= address(bobbin_dispatch_begin) && at < address(bobbin_exception_captures);
}

bool is_exception_row(const abi::RUNTIME_FUNCTION* row) noexcept { return row == &bobbin_dispatch_row; }

const OwnFrame& host_frame() noexcept {
  static const OwnFrame frame{0, 0, &bobbin_host_row, address(bobbin_exception_rows_base)};
  return frame;
}

}  // namespace bobbin::arch
