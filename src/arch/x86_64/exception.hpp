// How exceptions are dispatched without a host frame ever standing below guest code.
//
// Dispatching alternates between deciding (walking frames, finding handlers: C++) and calling guest code
// (handlers, filters). Guest code that is called may never come back: it unwinds to one of its frames. So the
// C++ side is a sequence of steps, each of which runs to its end on the thread's signal stack and says what
// to do next, and it is assembly that does it, from a frame on the guest's stack that holds all state:
//
//     guest's stack                                             signal stack
//     ... frames of the guest ...
//     | machine frame: where the guest was |  <- unwinding from here on goes on there
//     | registers saved for unwinding      |
//     | EXCEPTION_RECORD, CONTEXT          |
//     | Dispatch: state of the steps       |  ------ step ------>  decides; all locks are given back
//     | Walk, once frames are walked       |  <-- call, resume --
//     ... the handler that is being called ...
//
// The frame is described by a row of unwind information like any of the guest's, so whoever walks the stack,
// the guest's own walkers included, gets from a handler to the code that raised. It is at most 2 KiB until
// the first vectored handler runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/exception.hpp"
#include "arch/x86_64/gate.hpp"

namespace bobbin::arch {

/// What the frame begins with, on a border of 16 bytes; rbx points here. As on Windows, handlers are shown
/// `context` and `record`, and may change them; unwinding goes by what follows.
struct ExceptionFrame {
  abi::CONTEXT context;
  std::uint8_t context_ex[0x20];
  abi::EXCEPTION_RECORD record;
  std::uint64_t reserved;
  std::uint64_t rbx, rbp, rsi, rdi, r12, r13, r14, r15;
  alignas(16) std::uint8_t xmm6_to_15[10][16];
  struct Machine {
    std::uint64_t rip, cs, eflags, rsp, ss;
  } machine;
  /// What is known of the upper halves of ymm0 to ymm15 and of zmm0 to zmm15 at a fault, for which a CONTEXT
  /// has no place of their own: both are zero; the former stand in context.VectorRegister; so they do, and
  /// the latter behind this frame.
  enum class Upper : std::uint64_t { unknown, zero, of_ymm, of_zmm } upper;

  /// Unwinding goes on where `at` stands.
  void unwind_to(const abi::CONTEXT& at) noexcept;
  /// Makes `caller` what it is once the frame is undone.
  void undo(abi::CONTEXT& caller) const noexcept;
};
static_assert(sizeof(ExceptionFrame) == 0x6A0);

/// Why a frame was made: what was called, or that an instruction faulted.
enum class ExceptionEntry : std::uint32_t {
  raise,          ///< RaiseException
  raise_record,   ///< RtlRaiseException
  raise_context,  ///< NtRaiseException
  unwind,         ///< RtlUnwind, RtlUnwindEx
  restore,        ///< RtlRestoreContext
  go_on,          ///< NtContinue
  walk,           ///< RtlCaptureStackBackTrace
  fault,          ///< context and record are there
};

/// What assembly does when a step has returned.
enum class ExceptionAction : std::uint32_t {
  call,            ///< calls `function` with `arguments`, and steps again with its `result`
  extend,          ///< makes room for a Walk, and steps again
  resume,          ///< takes over the CONTEXT at `target`
  leave,           ///< leaves the Gate at `target`
  resume_vectors,  ///< `resume`, and brings back what the frame's `upper` says
};

/// The part of the steps' state that assembly knows; stands right below the ExceptionFrame.
struct ExceptionCall {
  void* function;
  std::uint64_t arguments[4];
  std::uint64_t result;
  void* walk;  ///< kExceptionWalkSize bytes once there was an `extend`
  void* target;
  ExceptionEntry entry;
  std::uint32_t begun;  ///< 0 until the first step, which sets up what follows
};

/// Bytes behind an ExceptionFrame whose `upper` is of_zmm.
inline constexpr std::size_t kUpperOfZmmSize = 16 * 32;
/// Bytes below the ExceptionFrame for an ExceptionCall and what else steps remember.
inline constexpr std::size_t kExceptionStateSize = 0x140;
inline constexpr std::size_t kExceptionWalkSize = 0x590;
/// Of the signal stack of each thread, on which steps run.
inline constexpr std::size_t kSignalStackSize = 64 << 10;

/// What __C_specific_handler remembers while it calls filters and __finally blocks; a part of its own frame.
struct ScopeCall {
  abi::EXCEPTION_RECORD* record;
  std::uint64_t frame;
  abi::CONTEXT* context;
  abi::DISPATCHER_CONTEXT* dispatcher;
  std::uint64_t function;      ///< to call; or where to unwind to
  std::uint64_t arguments[2];  ///< of the call; or {return value, -} of the unwind
  std::uint64_t result;        ///< of the call; or the disposition, to answer with
  abi::EXCEPTION_POINTERS pointers;
  std::uint32_t phase;  ///< 0 at first
  std::uint32_t index;
};
static_assert(sizeof(ScopeCall) == 0x58);
enum class ScopeAction : std::uint32_t { answer, call, unwind };

/// The C++ side of it, set before the first guest instruction by seh/. With the Windows convention, because
/// all registers that a guest's call preserves must be preserved.
struct ExceptionSteps {
  BOBBIN_MS_ABI ExceptionAction (*dispatch)(ExceptionCall* state);
  BOBBIN_MS_ABI ScopeAction (*scopes)(ScopeCall* state);
};

extern "C" {
extern ExceptionSteps bobbin_exception_steps;

// Guest-callable functions with the Windows convention (never called from C++).
void bobbin_RaiseException();
void bobbin_RtlRaiseException();
void bobbin_NtRaiseException();
void bobbin_RtlUnwindEx();
void bobbin_RtlUnwind();
void bobbin_RtlRestoreContext();
void bobbin_NtContinue();
void bobbin_RtlCaptureStackBackTrace();
void bobbin_C_specific_handler();

/// Where a thread goes on after a fault: rbx points to an ExceptionFrame that is filled in.
void bobbin_exception_entry();

/// Copies memory that may not be there. False if a part of it faulted (the handler of faults sees to that).
bool bobbin_guest_copy(void* to, const void* from, std::size_t size);
/// The row among `count` sorted ones, which may not be there, that covers `rva`; nullptr if none does.
abi::RUNTIME_FUNCTION* bobbin_guest_find_row(abi::RUNTIME_FUNCTION* rows, std::size_t count,
                                             std::uint32_t rva);
/// Where these two end, and where they go on after a fault.
extern const char bobbin_guest_end[], bobbin_guest_failed[];
}

/// A piece of our own code that guest frames can stand below, and its row.
struct OwnFrame {
  std::uint64_t begin, end;
  abi::RUNTIME_FUNCTION* row;
  std::uint64_t base;
};

/// The row of an address in such code; nullptr if it is in none.
[[nodiscard]] const OwnFrame* own_frame(std::uint64_t at) noexcept;
/// Whether a fault at `at`, in such code, finds its frame as its row says, so that it can be dispatched.
[[nodiscard]] bool is_own_frame_complete(std::uint64_t at) noexcept;
/// Whether the code has only just been called, and stands in its caller's frame like a leaf.
[[nodiscard]] bool is_exception_entry(std::uint64_t at) noexcept;
/// Whether the row is that of an ExceptionFrame, which is its establisher.
[[nodiscard]] bool is_exception_row(const abi::RUNTIME_FUNCTION* row) noexcept;
/// What stands for the frames of the host below a gate: nothing is known of them.
[[nodiscard]] const OwnFrame& host_frame() noexcept;

}  // namespace bobbin::arch
