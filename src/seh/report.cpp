#include "seh/report.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <string_view>

#include "abi/status.hpp"
#include "abi/teb.hpp"
#include "arch/x86_64/exception.hpp"
#include "seh/dispatch.hpp"
#include "seh/guest_memory.hpp"

namespace bobbin::seh {
namespace {

/// Frames that are shown: of a recursion without an end the first are enough.
constexpr int kMostShown = 24;

std::string_view name_of(std::uint32_t code) {
  switch (code) {
    case abi::STATUS_ACCESS_VIOLATION:
      return "access violation";
    case abi::STATUS_IN_PAGE_ERROR:
      return "page that cannot be read";
    case abi::STATUS_GUARD_PAGE_VIOLATION:
      return "guard page";
    case abi::STATUS_DATATYPE_MISALIGNMENT:
      return "misaligned access";
    case abi::STATUS_BREAKPOINT:
      return "breakpoint";
    case abi::STATUS_SINGLE_STEP:
      return "single step";
    case abi::STATUS_ILLEGAL_INSTRUCTION:
      return "illegal instruction";
    case abi::STATUS_PRIVILEGED_INSTRUCTION:
      return "privileged instruction";
    case abi::STATUS_INTEGER_DIVIDE_BY_ZERO:
      return "integer division by zero";
    case abi::STATUS_INTEGER_OVERFLOW:
      return "integer overflow";
    case abi::STATUS_STACK_OVERFLOW:
      return "stack overflow";
    case abi::STATUS_STACK_BUFFER_OVERRUN:
      return "fail-fast";
    case abi::STATUS_NONCONTINUABLE_EXCEPTION:
      return "a handler continued what cannot be continued";
    case abi::STATUS_INVALID_DISPOSITION:
      return "a handler answered nonsense";
    case abi::STATUS_BAD_STACK:
      return "the stack cannot be unwound";
    case abi::STATUS_INVALID_UNWIND_TARGET:
      return "there is no such frame to unwind to";
    case abi::STATUS_NO_MEMORY:
      return "no memory";
    case 0xE06D7363:
      return "C++ exception (MSVC)";
    case 0x20474343:
      return "C++ exception (GCC)";
    default:
      return "exception";
  }
}

}  // namespace

std::string describe_exception(const abi::EXCEPTION_RECORD& record) {
  std::string text = fmt::format("{} (0x{:08X})", name_of(record.ExceptionCode), record.ExceptionCode);
  if (record.ExceptionCode == abi::STATUS_ACCESS_VIOLATION && record.NumberParameters >= 2) {
    const std::uint64_t what = record.ExceptionInformation[0];
    text += fmt::format(" {} 0x{:x}",
                        what == 0   ? "reading"
                        : what == 1 ? "writing to"
                                    : "executing",
                        record.ExceptionInformation[1]);
  }
  return text;
}

void report_unhandled(const abi::EXCEPTION_RECORD& record, const abi::CONTEXT& context) {
  std::string text;
  const auto line = std::back_inserter(text);
  fmt::format_to(line, "bobbin: unhandled exception: {}\n  at       {}\n", describe_exception(record),
                 host().describe(reinterpret_cast<std::uint64_t>(record.ExceptionAddress)));
  const abi::EXCEPTION_RECORD* first = record.ExceptionRecord;
  if (abi::EXCEPTION_RECORD copy;
      first != nullptr && guest_read(reinterpret_cast<std::uint64_t>(first), copy))
    fmt::format_to(line, "  after    {} at {}\n", describe_exception(copy),
                   host().describe(reinterpret_cast<std::uint64_t>(copy.ExceptionAddress)));
  fmt::format_to(line, "  thread   {}\n", reinterpret_cast<std::uint64_t>(abi::current_teb()->UniqueThread));
  const std::pair<const char*, std::uint64_t> registers[] = {
      {"rax", context.Rax}, {"rbx", context.Rbx},    {"rcx", context.Rcx}, {"rdx", context.Rdx},
      {"rsi", context.Rsi}, {"rdi", context.Rdi},    {"rbp", context.Rbp}, {"rsp", context.Rsp},
      {"r8", context.R8},   {"r9", context.R9},      {"r10", context.R10}, {"r11", context.R11},
      {"r12", context.R12}, {"r13", context.R13},    {"r14", context.R14}, {"r15", context.R15},
      {"rip", context.Rip}, {"efl", context.EFlags},
  };
  int column = 0;
  for (const auto& [name, value] : registers)
    fmt::format_to(line, "{}{:3} 0x{:016x}",
                   column++ % 4 != 0 ? "  "
                   : column == 1     ? "  "
                                     : "\n  ",
                   name, value);
  text += "\n";
  abi::CONTEXT walk = context;
  for (int shown = 0; shown < kMostShown;) {
    const Located at = locate(walk.Rip);
    if (at.kind == Located::outermost) break;
    if (arch::own_frame(walk.Rip) == nullptr)
      fmt::format_to(line, "  #{:<2} {}\n", shown++, host().describe(walk.Rip));
    const std::uint64_t before = walk.Rsp;
    if (!in_stack(before)) {
      text += "  the stack pointer is outside of the thread's stack\n";
      break;
    }
    if (!undo_frame(at, walk, 0) || walk.Rsp <= before) {
      text += "  the stack cannot be unwound further\n";
      break;
    }
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace bobbin::seh
