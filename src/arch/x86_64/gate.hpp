// Gates: where the host calls the guest, and where control comes back.
//
// A guest function has the Windows calling convention, which the compiler can call by itself. What it cannot
// do is come back early: when the guest ends, or a thread is told to stop, control must return to the host
// frame that made the call without unwinding the guest's frames (they are not ours, and forced unwinding does
// not understand them). So each call into the guest runs inside a Gate, which remembers the host's
// callee-saved registers; leaving restores them. The frames in between are dropped, so they own nothing.
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
  /// What an exception that no frame handles does to the guest: ends it (nullptr), or only the call, and then
  /// its code is left here.
  std::uint32_t* swallowed = nullptr;
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

/// Where callback thunks jump (never called from C++).
void bobbin_callback_entry();

}  // extern "C"

/// What a host function hands back to the guest that called it; both registers are set.
struct CallbackResult {
  std::uint64_t integer;
  double floating;
};

/// A host function as the guest's calls reach it. `dispatch` is found by assembly at offset 0; `cells` are
/// the integer arguments by number (stack arguments included), `floats` the first four floating ones.
struct Callback {
  void (*dispatch)(Callback* self, const std::uint64_t* cells, const double* floats, CallbackResult* result);
};

/// Code that guests can call, one thunk per callback, in pages that are never written once they can be
/// executed: each thunk loads its Callback* from a cell of the data page that follows the code page.
inline constexpr std::size_t kCallbacksPerPage = 255;
inline constexpr std::size_t kCallbackPageSize = 2 * 4096;  ///< code page, data page

/// Writes the thunks of one page pair to `code_page` (both pages writable; the caller then seals the first).
void write_callback_page(std::byte* code_page) noexcept;
/// The code of thunk `number`.
[[nodiscard]] std::byte* callback_code(std::byte* code_page, std::size_t number) noexcept;
/// The cell that says which Callback thunk `number` enters.
[[nodiscard]] Callback** callback_cell(std::byte* code_page, std::size_t number) noexcept;

/// Makes `base` the address behind gs: on this thread.
void set_gs_base(void* base) noexcept;

}  // namespace bobbin::arch
