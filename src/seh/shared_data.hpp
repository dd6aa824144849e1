// KUSER_SHARED_DATA, the page at 0x7FFE0000 that Windows' kernel keeps the time and its version in for every
// process to read. Go reads the time there and nowhere else. Few others look, so the page cannot be accessed
// at first: the fault of who does has it filled in, and a thread of ours from then on keeps the time up.
#pragma once

#include <cstdint>

namespace bobbin::seh {

/// Takes the address, if it is free; nothing is there yet.
void reserve_shared_data() noexcept;
/// Whether `address` is in the page; then it can be read when this returns. In the handler of a fault.
[[nodiscard]] bool open_shared_data(std::uint64_t address) noexcept;
/// Ends the thread, if there is one; the page cannot be accessed again.
void close_shared_data() noexcept;

}  // namespace bobbin::seh
