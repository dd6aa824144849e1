#include "unwind/unwind.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace bobbin::unwind {
namespace {

using abi::CONTEXT;
using abi::RUNTIME_FUNCTION;

/// How often a row may refer to another.
constexpr int kChainLimit = 32;

enum Operation : std::uint8_t {
  kPushNonvolatile = 0,
  kAllocateLarge = 1,
  kAllocateSmall = 2,
  kSetFrameRegister = 3,
  kSaveNonvolatile = 4,
  kSaveNonvolatileFar = 5,
  kEpilogue = 6,  // version 2: where the epilogues are
  kSpare = 7,
  kSaveXmm = 8,
  kSaveXmmFar = 9,
  kPushMachineFrame = 10,
};

struct Code {
  std::uint8_t offset;
  std::uint8_t operation : 4;
  std::uint8_t operand : 4;
};
static_assert(sizeof(Code) == 2);

/// Slots of a code; 0 for one that is none.
unsigned slots(const Code& code) {
  constexpr std::array<std::uint8_t, 16> kSlots = {1, 2, 1, 1, 2, 3, 1, 2, 2, 3, 1};
  if (code.operation != kAllocateLarge) [[likely]]
    return kSlots[code.operation];
  return code.operand == 0 ? 2 : code.operand == 1 ? 3 : 0;
}

/// UNWIND_INFO, read whole.
struct Info {
  std::uint8_t version, flags, prologue, count, frame_register, frame_offset;
  std::array<Code, 256> codes;
  std::uint64_t end;  ///< where the handler or the chained row stands

  [[nodiscard]] bool chained() const { return (flags & abi::UNW_FLAG_CHAININFO) != 0; }
  /// The operands that stand in the slots after code `i`.
  [[nodiscard]] std::uint32_t word(unsigned i) const {
    std::uint16_t value;
    std::memcpy(&value, &codes[i + 1], sizeof value);
    return value;
  }
  [[nodiscard]] std::uint32_t double_word(unsigned i) const {
    std::uint32_t value;
    std::memcpy(&value, &codes[i + 1], sizeof value);
    return value;
  }
};

/// Follows `row` to one that leads to unwind information. False if there is none.
bool make_direct(const Memory& memory, std::uint64_t base, RUNTIME_FUNCTION& row) {
  for (int i = 0; (row.UnwindData & abi::RUNTIME_FUNCTION_INDIRECT) != 0; ++i) {
    const std::uint64_t next = base + row.UnwindData - abi::RUNTIME_FUNCTION_INDIRECT;
    if (i == kChainLimit || !memory.read(next, &row, sizeof row)) return false;
  }
  return true;
}

bool read_info(const Memory& memory, std::uint64_t address, Info& info) {
  std::array<std::uint8_t, 4> head;
  if (!memory.read(address, head.data(), head.size())) return false;
  info.version = head[0] & 7;
  info.flags = head[0] >> 3;
  info.prologue = head[1];
  info.count = head[2];
  info.frame_register = head[3] & 15;
  info.frame_offset = head[3] >> 4;
  if (info.version != 1 && info.version != 2) return false;
  const std::size_t bytes = std::size_t{2} * info.count;
  if (bytes != 0 && !memory.read(address + 4, info.codes.data(), bytes)) return false;
  info.end = address + 4 + (bytes + 3) / 4 * 4;
  return true;
}

std::uint64_t& integer(CONTEXT& context, unsigned number) {
  return reinterpret_cast<std::uint64_t*>(&context.Rax)[number];  // in the order of their numbers
}

/// Undoing one frame.
class Unwinder {
 public:
  Unwinder(const Memory& memory, std::uint64_t base, std::uint64_t pc, CONTEXT& context,
           abi::KNONVOLATILE_CONTEXT_POINTERS* saved)
      : memory_(memory), base_(base), pc_(pc), context_(context), saved_(saved) {}

  std::optional<Frame> run(RUNTIME_FUNCTION row, std::uint8_t handlers) {
    if (!make_direct(memory_, base_, row) || !read_info(memory_, base_ + row.UnwindData, info_))
      return std::nullopt;
    const auto offset = static_cast<std::uint32_t>(pc_ - base_ - row.BeginAddress);
    Frame frame{.establisher = establisher(offset)};
    // Since Windows 10 1809, where a prologue does nothing there is no epilogue, so a handler is told.
    const bool undoes = info_.count != 0 || info_.chained();
    if (undoes && offset >= info_.prologue && in_epilogue(row))
      return finish_epilogue() ? std::optional(frame) : std::nullopt;
    if (!undo_prologue(frame, offset)) return std::nullopt;
    for (int chain = 0; info_.chained(); ++chain) {
      if (chain == kChainLimit || !memory_.read(info_.end, &row, sizeof row) ||
          !make_direct(memory_, base_, row) || !read_info(memory_, base_ + row.UnwindData, info_))
        return std::nullopt;
      if (!undo_prologue(frame, 0xFF)) return std::nullopt;  // control has passed it whole
    }
    if (!frame.interrupted && !pop(context_.Rip)) return std::nullopt;
    // The row that has the handler is the last, whose prologue need not be the one that control was in.
    if (static_cast<std::uint32_t>(pc_ - base_ - row.BeginAddress) >= info_.prologue &&
        (info_.flags & handlers) != 0) {
      const auto handler = memory_.get<std::uint32_t>(info_.end);
      if (!handler) return std::nullopt;
      frame.handler = base_ + *handler;
      frame.handler_data = info_.end + 4;
    }
    return frame;
  }

 private:
  std::uint64_t establisher(std::uint32_t offset) {
    if (info_.frame_register == 0) return context_.Rsp;
    bool set = offset >= info_.prologue || info_.chained();
    for (unsigned i = 0; !set && i < info_.count; i += std::max(slots(info_.codes[i]), 1u)) {
      if (info_.codes[i].operation == kSetFrameRegister) {
        set = offset >= info_.codes[i].offset;
        break;
      }
    }
    return set ? integer(context_, info_.frame_register) - std::uint64_t{16} * info_.frame_offset
               : context_.Rsp;
  }

  bool pop(std::uint64_t& value) {
    if (!memory_.read(context_.Rsp, &value, 8)) return false;
    context_.Rsp += 8;
    return true;
  }

  bool restore(unsigned number, std::uint64_t from) {
    if (saved_ != nullptr) saved_->IntegerContext[number] = reinterpret_cast<std::uint64_t*>(from);
    return memory_.read(from, &integer(context_, number), 8);
  }
  bool restore_xmm(unsigned number, std::uint64_t from) {
    if (saved_ != nullptr) saved_->FloatingContext[number] = reinterpret_cast<void*>(from);
    return memory_.read(from, context_.FltSave.XmmRegisters[number], 16);
  }

  /// Undoes the steps of info_ that were done when control was `offset` bytes into its prologue.
  bool undo_prologue(Frame& frame, std::uint32_t offset) {
    for (unsigned i = 0; i < info_.count;) {
      const Code& code = info_.codes[i];
      const unsigned taken = slots(code);
      if (taken == 0 || i + taken > info_.count) return false;
      if (offset >= code.offset && !undo(frame, i)) return false;
      i += taken;
    }
    return true;
  }

  bool undo(Frame& frame, unsigned i) {
    const Code& code = info_.codes[i];
    switch (code.operation) {
      case kPushNonvolatile:
        if (!restore(code.operand, context_.Rsp)) return false;
        context_.Rsp += 8;
        return true;
      case kAllocateLarge:
        context_.Rsp += code.operand == 0 ? std::uint64_t{8} * info_.word(i) : info_.double_word(i);
        return true;
      case kAllocateSmall:
        context_.Rsp += std::uint64_t{8} * code.operand + 8;
        return true;
      case kSetFrameRegister:
        context_.Rsp = integer(context_, info_.frame_register) - std::uint64_t{16} * info_.frame_offset;
        return true;
      case kSaveNonvolatile:
        return restore(code.operand, frame.establisher + std::uint64_t{8} * info_.word(i));
      case kSaveNonvolatileFar:
        return restore(code.operand, frame.establisher + info_.double_word(i));
      case kSaveXmm:
        return restore_xmm(code.operand, frame.establisher + std::uint64_t{16} * info_.word(i));
      case kSaveXmmFar:
        return restore_xmm(code.operand, frame.establisher + info_.double_word(i));
      case kPushMachineFrame: {
        if (code.operand != 0) context_.Rsp += 8;  // an error code
        const auto pc = memory_.get<std::uint64_t>(context_.Rsp);
        const auto stack = memory_.get<std::uint64_t>(context_.Rsp + 24);
        if (!pc || !stack) return false;
        context_.Rip = *pc;
        context_.Rsp = *stack;
        frame.interrupted = true;
        return true;
      }
      default:  // kEpilogue and kSpare say nothing of the prologue
        return true;
    }
  }

  /// Whether pc_ is in an epilogue that version 2 lists; nothing if none is listed.
  [[nodiscard]] std::optional<bool> in_listed_epilogue(const RUNTIME_FUNCTION& row) const {
    if (info_.version != 2 || info_.count == 0 || info_.codes[0].operation != kEpilogue) return std::nullopt;
    const std::uint32_t to_end = row.EndAddress - static_cast<std::uint32_t>(pc_ - base_);
    const std::uint32_t size = info_.codes[0].offset;
    const auto within = [&](std::uint32_t begin) { return to_end <= begin && begin - to_end < size; };
    if ((info_.codes[0].operand & 1) != 0 && within(size)) return true;
    for (unsigned i = 1; i < info_.count && info_.codes[i].operation == kEpilogue; ++i) {
      const std::uint32_t begin = info_.codes[i].offset | std::uint32_t{info_.codes[i].operand} << 8;
      if (begin != 0 && within(begin)) return true;  // 0 fills the list up to an even number
    }
    return false;
  }

  /// Whether pc_ is in an epilogue; its instructions are read then. The form that compilers keep to:
  /// deallocation (add rsp, or lea rsp from the frame register), pops, then a return or a jump out of the
  /// function.
  bool in_epilogue(const RUNTIME_FUNCTION& row) {
    const std::optional<bool> listed = in_listed_epilogue(row);
    if (listed == false) return false;
    const std::uint64_t end = base_ + row.EndAddress;
    length_ = pc_ < end ? std::min<std::uint64_t>(end - pc_, bytes_.size()) : 0;
    if (length_ == 0 || !memory_.read(pc_, bytes_.data(), length_)) {
      length_ = 0;
      return false;
    }
    std::size_t at = deallocation(0).bytes;
    for (std::size_t popped = 0; (popped = pop_at(at).bytes) != 0;) at += popped;
    return returns_at(at, row, listed.has_value());
  }

  struct Step {
    std::size_t bytes = 0;
    unsigned number = 0;      ///< of the register that is popped, or that lea is from
    std::int64_t amount = 0;  ///< added to it
  };

  [[nodiscard]] std::uint8_t byte(std::size_t at) const { return at < length_ ? bytes_[at] : 0; }
  [[nodiscard]] std::int32_t displacement(std::size_t at) const {
    std::int32_t value = 0;
    if (at + 4 <= length_) std::memcpy(&value, &bytes_[at], 4);
    return value;
  }

  /// add rsp, n; lea rsp, [frame register + n].
  [[nodiscard]] Step deallocation(std::size_t at) const {
    const std::uint8_t rex = byte(at), op = byte(at + 1), modrm = byte(at + 2);
    if (rex == 0x48 && modrm == 0xC4) {
      if (op == 0x83) return {4, kRsp, static_cast<std::int8_t>(byte(at + 3))};
      if (op == 0x81) return {7, kRsp, displacement(at + 3)};
    }
    if ((rex & 0xFE) == 0x48 && op == 0x8D && info_.frame_register != 0 &&
        info_.frame_register == ((rex & 1u) << 3 | (modrm & 7u))) {
      if ((modrm & 0xF8) == 0x60) return {4, info_.frame_register, static_cast<std::int8_t>(byte(at + 3))};
      if ((modrm & 0xF8) == 0xA0) return {7, info_.frame_register, displacement(at + 3)};
    }
    return {};
  }

  [[nodiscard]] Step pop_at(std::size_t at) const {
    if ((byte(at) & 0xF8) == 0x58) return {1, byte(at) & 7u};
    if ((byte(at) & 0xF0) == 0x40 && (byte(at + 1) & 0xF8) == 0x58)
      return {2, (byte(at) & 1u) << 3 | (byte(at + 1) & 7u)};
    return {};
  }

  /// `any_jump`: it is known that jumps leave the function.
  [[nodiscard]] bool returns_at(std::size_t at, const RUNTIME_FUNCTION& row, bool any_jump) const {
    if (byte(at) == 0xF2 && at + 1 < length_) ++at;  // bnd
    switch (byte(at)) {
      case 0xC2:
      case 0xC3:
        return true;
      case 0xF3:
        return byte(at + 1) == 0xC3;
      case 0xEB:
        return any_jump || (at + 2 <= length_ && leaves(row, pc_ + at + 2 + sign_extended(byte(at + 1))));
      case 0xE9:
        return any_jump ||
               (at + 5 <= length_ &&
                leaves(row, pc_ + at + 5 + static_cast<std::uint64_t>(std::int64_t{displacement(at + 1)})));
      case 0xFF:
        return byte(at + 1) == 0x25;
      default:
        return (byte(at) & 0xF8) == 0x48 && byte(at + 1) == 0xFF && (byte(at + 2) & 0x38) == 0x20;
    }
  }
  static std::uint64_t sign_extended(std::uint8_t value) {
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(value)});
  }

  /// Whether a jump to `target` leaves the function, or begins it anew.
  [[nodiscard]] bool leaves(const RUNTIME_FUNCTION& row, std::uint64_t target) const {
    const std::uint64_t rva = target - base_;
    if (rva >= row.BeginAddress && rva < row.EndAddress) return rva == row.BeginAddress && !info_.chained();
    return !memory_.same_function(base_, row, target);
  }

  /// Does what is left of the epilogue.
  bool finish_epilogue() {
    std::size_t at = 0;
    if (const Step step = deallocation(at); step.bytes != 0) {
      context_.Rsp = integer(context_, step.number) + static_cast<std::uint64_t>(step.amount);
      at += step.bytes;
    }
    for (Step step; (step = pop_at(at)).bytes != 0; at += step.bytes) {
      if (!restore(step.number, context_.Rsp)) return false;
      context_.Rsp += 8;
    }
    return pop(context_.Rip);
  }

  static constexpr unsigned kRsp = 4;
  const Memory& memory_;
  const std::uint64_t base_, pc_;
  CONTEXT& context_;
  abi::KNONVOLATILE_CONTEXT_POINTERS* const saved_;
  Info info_;
  std::array<std::uint8_t, 40> bytes_;  ///< the instructions at pc_: a frame's 9 pops and what is around them
  std::size_t length_ = 0;
};

}  // namespace

std::optional<Frame> unwind_frame(const Memory& memory, std::uint64_t base, std::uint64_t pc,
                                  const RUNTIME_FUNCTION& row, CONTEXT& context, std::uint8_t handlers,
                                  abi::KNONVOLATILE_CONTEXT_POINTERS* saved) noexcept {
  return Unwinder(memory, base, pc, context, saved).run(row, handlers);
}

bool unwind_leaf(const Memory& memory, CONTEXT& context) noexcept {
  if (!memory.read(context.Rsp, &context.Rip, 8)) return false;
  context.Rsp += 8;
  return true;
}

std::optional<RUNTIME_FUNCTION> primary_row(const Memory& memory, std::uint64_t base,
                                            RUNTIME_FUNCTION row) noexcept {
  for (int i = 0; i < kChainLimit; ++i) {
    if (!make_direct(memory, base, row)) return std::nullopt;
    std::array<std::uint8_t, 4> head;
    const std::uint64_t info = base + row.UnwindData;
    if (!memory.read(info, head.data(), head.size())) return std::nullopt;
    if ((head[0] >> 3 & abi::UNW_FLAG_CHAININFO) == 0) return row;
    if (!memory.read(info + 4 + (std::size_t{2} * head[2] + 3) / 4 * 4, &row, sizeof row))
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace bobbin::unwind
