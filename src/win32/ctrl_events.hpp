// Ctrl-C: from SIGINT to the handlers that the guest registered.
#pragma once

#include <cstdint>

namespace bobbin::win32 {

inline constexpr std::uint32_t CTRL_C_EVENT = 0;
inline constexpr std::uint32_t CTRL_BREAK_EVENT = 1;

/// From now on SIGINT and SIGQUIT (Ctrl-Break) ask the guest's handlers, newest first, on a guest thread of
/// their own, as on Windows; if none says that it has dealt with it, the process exits with
/// STATUS_CONTROL_C_EXIT. Idempotent; costs one sleeping host thread.
void deliver_ctrl_events();

}  // namespace bobbin::win32
