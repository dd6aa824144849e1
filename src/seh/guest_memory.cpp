#include "seh/guest_memory.hpp"

#include <dlfcn.h>

#include "abi/teb.hpp"
#include "arch/x86_64/exception.hpp"
#include "thread/guest_call.hpp"
#include "unwind/host_frame.hpp"

namespace bobbin::seh {

bool is_host_code(std::uint64_t pc) noexcept {
  dl_find_object object;
  return _dl_find_object(reinterpret_cast<void*>(pc), &object) == 0;
}

std::uint64_t leave_host_frames(abi::CONTEXT& context) noexcept {
  const GuestMemory memory;
  constexpr int kMostFrames = 1000;
  std::uint64_t left = 0;
  for (int i = 0; i < kMostFrames; ++i) {
    left = unwind::unwind_host_frame(memory, context, i != 0);
    if (left == 0 || !is_host_code(context.Rip)) break;
  }
  return is_host_code(context.Rip) ? 0 : left;
}

bool guest_copy(void* to, const void* from, std::size_t size) noexcept {
  return arch::bobbin_guest_copy(to, from, size);
}

bool GuestMemory::read(std::uint64_t address, void* to, std::size_t size) const noexcept {
  return guest_copy(to, reinterpret_cast<const void*>(address), size);
}

bool GuestMemory::same_function(std::uint64_t base, const abi::RUNTIME_FUNCTION& row,
                                std::uint64_t target) const noexcept {
  unwind::FunctionTables::Callback callback;
  const unwind::Found other = unwind::function_tables().find(target, callback);
  abi::RUNTIME_FUNCTION others;
  if (other.row == nullptr || other.base != base ||
      !guest_read(reinterpret_cast<std::uint64_t>(other.row), others))
    return false;
  const auto one = unwind::primary_row(*this, base, row);
  const auto two = unwind::primary_row(*this, base, others);
  return one && two && one->BeginAddress == two->BeginAddress;
}

Located locate(std::uint64_t pc) noexcept {
  unwind::FunctionTables::Callback callback;
  const unwind::Found found = unwind::function_tables().find(pc, callback);
  if (found.row != nullptr) return {Located::function, found.row, found.base};
  if (callback.function != nullptr) {
    const auto row = thread::call_guest<abi::RUNTIME_FUNCTION*(std::uint64_t, void*)>(callback.function, pc,
                                                                                      callback.context);
    if (row && *row != nullptr) return {Located::function, *row, callback.base};
  }
  if (found.base != 0) return {Located::leaf, nullptr, found.base};
  if (const arch::OwnFrame* const own = arch::own_frame(pc); own != nullptr)
    return {arch::is_exception_row(own->row) ? Located::exception : Located::function, own->row, own->base};
  if (pc == 0) return {Located::outermost};
  if (is_host_code(pc)) return {Located::outermost, arch::host_frame().row, arch::host_frame().base};
  return {};
}

std::optional<unwind::Frame> undo_frame(const Located& at, abi::CONTEXT& context,
                                        std::uint8_t handlers) noexcept {
  const GuestMemory memory;
  if (at.row != nullptr) {
    abi::RUNTIME_FUNCTION row;
    if (!guest_read(reinterpret_cast<std::uint64_t>(at.row), row)) return std::nullopt;
    return unwind::unwind_frame(memory, at.base, context.Rip, row, context, handlers);
  }
  const unwind::Frame frame{.establisher = context.Rsp};
  return unwind::unwind_leaf(memory, context) ? std::optional(frame) : std::nullopt;
}

bool in_stack(std::uint64_t address) noexcept {
  const abi::TEB* const teb = abi::current_teb();
  return address % 8 == 0 && address >= reinterpret_cast<std::uint64_t>(teb->StackLimit) &&
         address < reinterpret_cast<std::uint64_t>(teb->StackBase);
}

}  // namespace bobbin::seh
