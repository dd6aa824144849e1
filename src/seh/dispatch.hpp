// Dispatching exceptions and unwinding, in steps (arch/x86_64/exception.hpp says why).
//
//   raised or faulted -> vectored handlers -> frames: language handlers of the stack, innermost first
//        -> SetUnhandledExceptionFilter's -> the guest ends
//   somebody says EXCEPTION_CONTINUE_EXECUTION -> continue handlers -> the context, which may be edited, goes
//   on a frame's handler unwinds to its frame (RtlUnwindEx) -> handlers of the frames in between are told ->
//   there
//
// The search passes the frames of its own kind too: a handler that raises is itself below the dispatch that
// called it. Then the search is *nested*, and the frames up to the one whose handler raised are told so. And
// an unwind may meet an unwind whose handler did not come back, but unwound elsewhere: they *collide*, and
// the later one goes on where the other was, with the frame whose handler was interrupted.
//
// The walk ends where the guest was called from: a thread's first frame, or a gate. A gate says what becomes
// of an exception that got there (Gate::swallowed).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "arch/x86_64/exception.hpp"

namespace bobbin::seh {

/// What this room needs from above.
struct Host {
  /// The guest ends with this code, since nobody handled an exception. May return; then every gate is left.
  void (*terminate)(std::uint32_t code);
  /// "module!function+offset" for an address.
  std::string (*describe)(std::uint64_t address);
  /// If a guard page is at the address, it and its neighbours of that kind are ordinary pages from now on;
  /// the address of the lowest. 0 if there is none.
  std::uint64_t (*take_guard)(std::uint64_t address);
  /// What the native that begins at the address answers to a pointer that is bad (the kernel meets it on
  /// Windows); nothing if the guest is to see an exception.
  std::optional<std::uint64_t> (*answer_to_bad_pointer)(std::uint64_t address);
};

/// Before the first guest instruction. Faults of guest code become exceptions from here on.
void install(const Host& host);
/// After the last one.
void uninstall() noexcept;
[[nodiscard]] const Host& host() noexcept;

/// The next step of a dispatch.
BOBBIN_MS_ABI arch::ExceptionAction step_dispatch(arch::ExceptionCall* call);

}  // namespace bobbin::seh
