// Going on somewhere else: a thread takes over a whole register set.
#pragma once

#include "abi/context.hpp"

namespace bobbin::arch {

/// Continues at context->Rip with all integer registers, flags, x87 and SSE state of `context`. Writes to the
/// stack that it is called on, and to no other.
extern "C" [[noreturn]] void bobbin_restore_context(const abi::CONTEXT* context);

/// RtlCaptureContext itself: a leaf with the Windows convention, for a guest's import table.
extern "C" BOBBIN_MS_ABI void bobbin_capture_context(abi::CONTEXT* context);

}  // namespace bobbin::arch
