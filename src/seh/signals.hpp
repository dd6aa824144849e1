// Host signals that mean a fault become exceptions of the guest, if it was guest code that faulted. What the
// host, or another part of it, does is none of ours: such a signal goes to the handler that was there before.
#pragma once

#include <cstdint>

namespace bobbin::seh {

/// Installs the handlers of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP; once per process.
void install_fault_signals() noexcept;

}  // namespace bobbin::seh
