#include "seh/faults.hpp"

#include <array>
#include <cstring>
#include <optional>

#include "abi/status.hpp"
#include "seh/guest_memory.hpp"

namespace bobbin::seh {
namespace {

using abi::CONTEXT;
using abi::EXCEPTION_RECORD;

/// The processor's exception vectors, as the kernel hands them on.
enum Vector : std::uint64_t {
  kDivide = 0,
  kDebug = 1,
  kBreakpoint = 3,
  kStackSegment = 12,
  kProtection = 13,
  kPage = 14,
  kX87 = 16,
  kAlignment = 17,
  kSimd = 19,
};

/// The bytes of the instruction at Rip, zeros where there are none.
struct Instruction {
  explicit Instruction(std::uint64_t rip) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (!guest_copy(&bytes[i], reinterpret_cast<const void*>(rip + i), 1)) break;
    }
    while (at < 10 && is_prefix(bytes[at])) operand_size |= bytes[at++] == 0x66;
    if ((bytes[at] & 0xF0) == 0x40) rex = bytes[at++];
  }
  static bool is_prefix(std::uint8_t byte) {
    switch (byte) {
      case 0x26:
      case 0x2E:
      case 0x36:
      case 0x3E:
      case 0x64:
      case 0x65:
      case 0x66:
      case 0x67:
      case 0xF0:
      case 0xF2:
      case 0xF3:
        return true;
      default:
        return false;
    }
  }
  [[nodiscard]] std::uint8_t opcode(std::size_t i = 0) const { return bytes[at + i]; }

  std::array<std::uint8_t, 16> bytes{};
  std::size_t at = 0;  ///< of the opcode
  std::uint8_t rex = 0;
  bool operand_size = false;
};

std::uint64_t integer(const CONTEXT& context, unsigned number) {
  return (&context.Rax)[number];  // in the order of their numbers
}

/// The divisor of a div or idiv; nothing if it is another instruction, or cannot be read.
std::optional<std::uint64_t> divisor(const CONTEXT& context) {
  const Instruction code(context.Rip);
  const bool byte = code.opcode() == 0xF6;
  const std::uint8_t modrm = code.opcode(1);
  if ((!byte && code.opcode() != 0xF7) || (modrm >> 3 & 7) < 6) return std::nullopt;
  const std::size_t size = byte ? 1 : (code.rex & 8) != 0 ? 8 : code.operand_size ? 2 : 4;
  const unsigned rm = (modrm & 7u) | (code.rex & 1u) << 3;
  std::uint64_t value = 0;
  if (modrm >> 6 == 3) {
    const bool high_byte = byte && code.rex == 0 && rm >= 4;
    value = high_byte ? integer(context, rm - 4) >> 8 : integer(context, rm);
    return size == 8 ? value : value & ((std::uint64_t{1} << 8 * size) - 1);
  }
  std::size_t next = code.at + 2;
  std::uint64_t address = 0;
  if ((modrm & 7) == 4) {
    const std::uint8_t sib = code.bytes[next++];
    const unsigned index = (sib >> 3 & 7u) | (code.rex & 2u) << 2, base = (sib & 7u) | (code.rex & 1u) << 3;
    if (index != 4) address += integer(context, index) << (sib >> 6);
    if ((base & 7) != 5 || modrm >> 6 != 0) address += integer(context, base);
    if ((base & 7) == 5 && modrm >> 6 == 0) {
      std::int32_t displacement = 0;
      std::memcpy(&displacement, &code.bytes[next], 4);
      address += static_cast<std::uint64_t>(std::int64_t{displacement});
    }
  } else if ((modrm & 7) == 5 && modrm >> 6 == 0) {
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &code.bytes[next], 4);
    address = context.Rip + next + 4 + static_cast<std::uint64_t>(std::int64_t{displacement});
  } else {
    address = integer(context, rm);
  }
  if (modrm >> 6 == 1) {
    address += static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(code.bytes[next])});
  } else if (modrm >> 6 == 2) {
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &code.bytes[next], 4);
    address += static_cast<std::uint64_t>(std::int64_t{displacement});
  }
  if (!guest_copy(&value, reinterpret_cast<const void*>(address), size)) return std::nullopt;
  return value;
}

/// Instructions that only the kernel may execute.
bool is_privileged(const Instruction& code) {
  switch (code.opcode()) {
    case 0x6C:  // ins, outs, in, out
    case 0x6D:
    case 0x6E:
    case 0x6F:
    case 0xE4:
    case 0xE5:
    case 0xE6:
    case 0xE7:
    case 0xEC:
    case 0xED:
    case 0xEE:
    case 0xEF:
    case 0xF4:  // hlt
    case 0xFA:  // cli, sti
    case 0xFB:
      return true;
    case 0x0F:
      switch (code.opcode(1)) {
        case 0x00:  // lldt, ltr
        case 0x01:  // lgdt, lidt, lmsw, invlpg
        case 0x06:  // clts
        case 0x08:  // invd, wbinvd
        case 0x09:
        case 0x20:  // mov to and from control and debug registers
        case 0x21:
        case 0x22:
        case 0x23:
        case 0x30:  // wrmsr, rdmsr, rdpmc
        case 0x32:
        case 0x33:
        case 0x35:  // sysexit
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

std::uint32_t floating_point(int code) {
  switch (code) {
    case FPE_FLTDIV:
      return abi::STATUS_FLOAT_DIVIDE_BY_ZERO;
    case FPE_FLTOVF:
      return abi::STATUS_FLOAT_OVERFLOW;
    case FPE_FLTUND:
      return abi::STATUS_FLOAT_UNDERFLOW;
    case FPE_FLTRES:
      return abi::STATUS_FLOAT_INEXACT_RESULT;
    default:
      return abi::STATUS_FLOAT_INVALID_OPERATION;
  }
}

void set_parameters(EXCEPTION_RECORD& record, std::uint64_t first, std::uint64_t second) {
  record.NumberParameters = 2;
  record.ExceptionInformation[0] = first;
  record.ExceptionInformation[1] = second;
}

/// What access a page fault was for, as ExceptionInformation[0] counts.
std::uint64_t access_of(std::uint64_t error) {
  constexpr std::uint64_t kWrite = 2, kFetch = 16;
  return (error & kFetch) != 0 ? 8 : (error & kWrite) != 0 ? 1 : 0;
}

}  // namespace

EXCEPTION_RECORD exception_of(int signal, const siginfo_t& info, CONTEXT& context,
                              const ucontext_t& host) noexcept {
  const auto vector = static_cast<std::uint64_t>(host.uc_mcontext.gregs[REG_TRAPNO]);
  const auto error = static_cast<std::uint64_t>(host.uc_mcontext.gregs[REG_ERR]);
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  EXCEPTION_RECORD record{};
  record.ExceptionCode = abi::STATUS_ACCESS_VIOLATION;
  switch (signal) {
    case SIGFPE:
      if (vector == kDivide) {
        const auto by = divisor(context);
        record.ExceptionCode =
            by && *by != 0 ? abi::STATUS_INTEGER_OVERFLOW : abi::STATUS_INTEGER_DIVIDE_BY_ZERO;
      } else {
        record.ExceptionCode = floating_point(info.si_code);
      }
      break;
    case SIGILL:
      record.ExceptionCode = abi::STATUS_ILLEGAL_INSTRUCTION;
      break;
    case SIGTRAP:
      if (vector == kBreakpoint) {
        record.ExceptionCode = abi::STATUS_BREAKPOINT;
        record.NumberParameters = 1;
        --context.Rip;
      } else {
        constexpr std::uint32_t kTrapFlag = 0x100;
        record.ExceptionCode = abi::STATUS_SINGLE_STEP;
        context.EFlags &= ~kTrapFlag;
      }
      break;
    case SIGBUS:
      if (vector == kAlignment) {
        record.ExceptionCode = abi::STATUS_DATATYPE_MISALIGNMENT;
      } else if (vector == kPage) {  // of a file that has become shorter
        record.ExceptionCode = abi::STATUS_IN_PAGE_ERROR;
        set_parameters(record, access_of(error), address);
        record.NumberParameters = 3;
        record.ExceptionInformation[2] = abi::STATUS_END_OF_FILE;
      } else {
        set_parameters(record, 0, ~std::uint64_t{0});
      }
      break;
    default:
      if (vector == kPage) {
        set_parameters(record, access_of(error), address);
      } else if (const Instruction code(context.Rip); code.opcode() == 0xCD && code.opcode(1) == 0x29) {
        record.ExceptionCode = abi::STATUS_STACK_BUFFER_OVERRUN;  // __fastfail(ecx)
        record.ExceptionFlags = abi::EXCEPTION_NONCONTINUABLE;
        record.NumberParameters = 1;
        record.ExceptionInformation[0] = context.Rcx;
      } else if (code.opcode() == 0xCD && (code.opcode(1) == 0x2D || code.opcode(1) == 0x03)) {
        record.ExceptionCode = abi::STATUS_BREAKPOINT;
        record.NumberParameters = 1;
      } else if (code.opcode() == 0xCD && code.opcode(1) == 0x2C) {
        record.ExceptionCode = abi::STATUS_ASSERTION_FAILURE;
      } else if (is_privileged(code)) {
        record.ExceptionCode = abi::STATUS_PRIVILEGED_INSTRUCTION;
      } else {  // no address is known: a misaligned SSE operand, an address that is none
        set_parameters(record, 0, ~std::uint64_t{0});
      }
  }
  record.ExceptionAddress = reinterpret_cast<abi::PVOID>(context.Rip);
  return record;
}

}  // namespace bobbin::seh
