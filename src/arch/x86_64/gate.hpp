// Gates: where the host calls the guest, and where control comes back.
//
// A guest function has the Windows calling convention, which the compiler can call by itself. What it cannot do
// is come back early: when the guest ends, or a thread is told to stop, control must return to the host frame
// that made the call without unwinding the guest's frames (they are not ours, and forced unwinding does not
// understand them). So each call into the guest runs inside a Gate, which remembers the host's callee-saved
// registers; leaving restores them. The frames in between are dropped, so they own nothing.
//
//     host frame -> gate_run -> body -> guest ... native ... -> gate_leave
//          ^-------------------- returns false -------------------'
#pragma once

#include <cstddef>
#include <cstdint>

namespace bobbin::arch {

/// What a gate remembers; the layout is known to gate.S. One per call into the guest, on the host's stack.
struct Gate {
  std::uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
  std::uint32_t mxcsr;
  std::uint16_t x87_control;
  Gate* outer;  ///< the next outer gate of this thread
};

extern "C" {

/// Calls body(context) and returns true; or returns false because gate_leave(gate) was called meanwhile.
/// `body` and everything it calls on this stack must own nothing that a destructor would have to give back.
bool bobbin_gate_run(Gate* gate, void (*body)(void*), void* context);

/// Returns from the bobbin_gate_run that filled `gate` in, on the same thread, with false.
[[noreturn]] void bobbin_gate_leave(Gate* gate);

/// Calls body(context) on another stack whose highest address is `stack_top`, and comes back. The caller's
/// frame stays below, so gates opened by `body` can be left as usual.
void bobbin_call_on_stack(void* stack_top, void (*body)(void*), void* context);

}  // extern "C"

/// Makes `base` the address behind gs: on this thread.
void set_gs_base(void* base) noexcept;

}  // namespace bobbin::arch
