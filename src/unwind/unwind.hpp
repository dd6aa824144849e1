// Unwinding one frame, by the tables that x64 compilers write.
//
// A function that changes its stack pointer or saves registers has a row in .pdata: where it begins and ends,
// and its UNWIND_INFO, which lists what its prologue does, last step first:
//
//     +0  version (3 bits), flags (5): has handlers, is chained to another row
//     +1  length of the prologue, in bytes
//     +2  number of code slots (2 bytes each)
//     +3  frame register (4 bits; 0: none), its offset from Rsp / 16 (4 bits)
//     +4  the codes: offset in the prologue at which the step is done; operation; operand
//         then, on a 4-byte border: the handler's RVA and its data, or the row that this one is chained to
//
// Undoing a frame is doing the steps backwards, from the first that has been done: all of them in the body.
// An epilogue has a fixed form, so it is recognised by its instructions, and what is left of it is executed.
// Version 2 lists a function's epilogues, before the prologue's steps: their size and whether one stands at
// the end, then for each other one how far before the end it begins. Then what is not listed is none. Where
// the prologue does nothing there is no epilogue either.
// A function without a row is a leaf: its return address is on top of the stack.
//
// Everything read is the guest's, and can be anything: each read is checked, and the work is bounded (a row
// has at most 255 slots, a chain at most 32 rows, an epilogue at most 40 bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/exception.hpp"

namespace bobbin::unwind {

/// What frames are read from: the guest's memory, or a test's.
class Memory {
 public:
  /// False if some of it cannot be read.
  [[nodiscard]] virtual bool read(std::uint64_t address, void* to, std::size_t size) const noexcept = 0;
  /// Whether `target` lies in the same function as `row`: in another row that is chained to the same one.
  [[nodiscard]] virtual bool same_function(std::uint64_t base, const abi::RUNTIME_FUNCTION& row,
                                           std::uint64_t target) const noexcept = 0;

  template <class T>
  [[nodiscard]] std::optional<T> get(std::uint64_t address) const noexcept {
    T value;
    if (!read(address, &value, sizeof value)) return std::nullopt;
    return value;
  }

 protected:
  Memory() = default;
  Memory(const Memory&) = default;
  Memory& operator=(const Memory&) = default;
  ~Memory() = default;
};

/// What is known of a frame once it is undone.
struct Frame {
  std::uint64_t establisher = 0;   ///< what the frame's handlers know it by
  std::uint64_t handler = 0;       ///< its language handler, if it has one of the kind that was asked for
  std::uint64_t handler_data = 0;  ///< where the handler's data stands
  bool interrupted = false;        ///< a machine frame: the registers are those of an interrupted instruction
};

/// Undoes the frame of the function at `row`, in which `context` stands with its Rip at `pc`: afterwards
/// `context` is its caller's. `handlers`: UNW_FLAG_EHANDLER, UNW_FLAG_UHANDLER, both or none.
/// Nothing if memory cannot be read, or is no unwind information; `context` may be changed then.
/// `saved`, if given, gets the addresses of the registers that the frame had saved.
[[nodiscard]] std::optional<Frame> unwind_frame(const Memory& memory, std::uint64_t base, std::uint64_t pc,
                                                const abi::RUNTIME_FUNCTION& row, abi::CONTEXT& context,
                                                std::uint8_t handlers,
                                                abi::KNONVOLATILE_CONTEXT_POINTERS* saved = nullptr) noexcept;

/// The same for a function without a row. False if its return address cannot be read.
[[nodiscard]] bool unwind_leaf(const Memory& memory, abi::CONTEXT& context) noexcept;

/// The row that `row` is chained to in the end: the function's own. Nothing if it cannot be read.
[[nodiscard]] std::optional<abi::RUNTIME_FUNCTION> primary_row(const Memory& memory, std::uint64_t base,
                                                               abi::RUNTIME_FUNCTION row) noexcept;

}  // namespace bobbin::unwind
