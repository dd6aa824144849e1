// The guest's memory as unwinding reads it, and what code an address belongs to.
#pragma once

#include <cstdint>

#include "unwind/tables.hpp"
#include "unwind/unwind.hpp"

namespace bobbin::seh {

/// Copies to or from memory that the guest named and that may not be there. False if some of it is not.
[[nodiscard]] bool guest_copy(void* to, const void* from, std::size_t size) noexcept;
template <class T>
[[nodiscard]] bool guest_read(std::uint64_t from, T& to) noexcept {
  return guest_copy(&to, reinterpret_cast<const void*>(from), sizeof to);
}

class GuestMemory final : public unwind::Memory {
 public:
  [[nodiscard]] bool read(std::uint64_t address, void* to, std::size_t size) const noexcept override;
  [[nodiscard]] bool same_function(std::uint64_t base, const abi::RUNTIME_FUNCTION& row,
                                   std::uint64_t target) const noexcept override;
};

/// Whether the code is the host's: ours, or that of whoever uses us.
[[nodiscard]] bool is_host_code(std::uint64_t pc) noexcept;
/// Undoes the host's frames in which `context` stands: afterwards it is the guest's, as if the call that led
/// there had returned. What had been called; 0 if they do not lead to the guest.
[[nodiscard]] std::uint64_t leave_host_frames(abi::CONTEXT& context) noexcept;

/// What an instruction belongs to.
struct Located {
  enum Kind : std::uint8_t {
    function,   ///< a function that has a row
    leaf,       ///< guest code without a row
    exception,  ///< an exception being dispatched, which is on the stack with its ExceptionFrame
    outermost,  ///< what called the guest: its frames end here
  } kind = leaf;
  abi::RUNTIME_FUNCTION* row = nullptr;  ///< nullptr for a leaf
  std::uint64_t base = 0;
};

/// May call the guest (a callback that RtlInstallFunctionTableCallback was given): no lock is held.
[[nodiscard]] Located locate(std::uint64_t pc) noexcept;

/// Undoes the frame in which `context` stands, as unwind_frame() does, whatever it belongs to but
/// `outermost`.
[[nodiscard]] std::optional<unwind::Frame> undo_frame(const Located& at, abi::CONTEXT& context,
                                                      std::uint8_t handlers) noexcept;

/// Whether the running thread's stack has a frame there (TEB's bounds).
[[nodiscard]] bool in_stack(std::uint64_t address) noexcept;

}  // namespace bobbin::seh
