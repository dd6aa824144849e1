#include "unwind/host_frame.hpp"

#include <array>
#include <cstring>

// libgcc's: the FDE of the function that an address lies in, and where that function begins.
extern "C" {
struct dwarf_eh_bases {
  void *text, *data, *function;
};
const void* _Unwind_Find_FDE(void* pc, dwarf_eh_bases* bases);
}

namespace bobbin::unwind {
namespace {

/// DWARF's numbers: 0 to 15 are the integer registers, 16 the return address, 17 on xmm0 to xmm15.
constexpr unsigned kReturnAddress = 16, kXmm0 = 17, kColumns = 33;
constexpr std::array<std::uint8_t, 16> kIntegers = {0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};

std::uint64_t& integer(abi::CONTEXT& context, unsigned column) { return (&context.Rax)[kIntegers[column]]; }

/// Reads what compilers wrote; it is trusted.
class Reader {
 public:
  explicit Reader(const std::uint8_t* at) : at_(at) {}

  template <class T>
  T get() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::uint8_t byte() { return get<std::uint8_t>(); }
  std::uint64_t number() {  // ULEB128
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint8_t next = byte();
      if (shift < 64) value |= std::uint64_t{next & 0x7Fu} << shift;
      if (next < 0x80) return value;
    }
  }
  std::int64_t signed_number() {  // SLEB128
    std::uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const std::uint8_t next = byte();
      if (shift < 64) value |= std::uint64_t{next & 0x7Fu} << shift;
      shift += 7;
      if (next >= 0x80) continue;
      if (shift < 64 && (next & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
  }
  void skip(std::uint64_t bytes) { at_ += bytes; }
  /// An address as its encoding says.
  void skip_encoded(std::uint8_t encoding) {
    constexpr std::array<std::uint8_t, 8> kSizes = {8, 0, 2, 4, 8, 0, 0, 0};
    skip(kSizes[encoding & 7]);
  }
  /// A block of bytes, behind its length.
  const std::uint8_t* block() {
    const std::uint8_t* const begin = at_;
    skip(number());
    return begin;
  }
  [[nodiscard]] const std::uint8_t* at() const { return at_; }

 private:
  const std::uint8_t* at_;
};

/// The rules at one instruction.
struct Rules {
  unsigned base = 0;  ///< the frame begins at this register + offset
  std::int64_t offset = 0;
  const std::uint8_t* begin = nullptr;  ///< or where this expression says
  /// Where a column is saved.
  struct Saved {
    bool anywhere = false;
    std::int64_t distance = 0;            ///< from where the frame begins
    const std::uint8_t* place = nullptr;  ///< or where this expression says
  };
  std::array<Saved, kColumns> saved{};

  void save(std::uint64_t column, std::int64_t distance) {
    set(column, {.anywhere = true, .distance = distance});
  }
  void restore(std::uint64_t column, const Rules& first) {
    if (column < kColumns) saved[column] = first.saved[column];
  }
  void set(std::uint64_t column, const Saved& how) {
    if (column < kColumns) saved[column] = how;
  }
};

struct Program {
  std::uint64_t code_factor;
  std::int64_t data_factor;
  std::uint64_t target;  ///< the address that rules are wanted for
};

/// Executes instructions from `from` to `end`, the first of which is for `address`, up to those for the
/// target. False at one that is not known here.
bool execute(const Program& program, Reader from, const std::uint8_t* end, std::uint64_t address,
             const Rules& first, Rules& rules) {
  std::array<Rules, 4> remembered;
  std::size_t depth = 0;
  const auto scaled = [&](std::uint64_t factored) {
    return static_cast<std::int64_t>(factored) * program.data_factor;
  };
  while (from.at() < end) {
    const std::uint8_t instruction = from.byte(), low = instruction & 0x3F;
    std::uint64_t advance = 0;
    switch (instruction >> 6) {
      case 1:
        advance = low;
        break;
      case 2:
        rules.save(low, scaled(from.number()));
        continue;
      case 3:
        rules.restore(low, first);
        continue;
      default:
        switch (low) {
          case 0x00:  // nop
            continue;
          case 0x02:  // advance_loc1, 2, 4
            advance = from.byte();
            break;
          case 0x03:
            advance = from.get<std::uint16_t>();
            break;
          case 0x04:
            advance = from.get<std::uint32_t>();
            break;
          case 0x05: {  // offset_extended
            const std::uint64_t column = from.number();
            rules.save(column, scaled(from.number()));
            continue;
          }
          case 0x06:  // restore_extended
            rules.restore(from.number(), first);
            continue;
          case 0x07:  // undefined, same_value
          case 0x08:
            rules.restore(from.number(), Rules{});
            continue;
          case 0x0A:  // remember_state
            if (depth == remembered.size()) return false;
            remembered[depth++] = rules;
            continue;
          case 0x0B:  // restore_state
            if (depth == 0) return false;
            rules = remembered[--depth];
            continue;
          case 0x0C:  // def_cfa
            rules.base = static_cast<unsigned>(from.number());
            rules.offset = static_cast<std::int64_t>(from.number());
            rules.begin = nullptr;
            continue;
          case 0x0D:  // def_cfa_register
            rules.base = static_cast<unsigned>(from.number());
            continue;
          case 0x0E:  // def_cfa_offset
            rules.offset = static_cast<std::int64_t>(from.number());
            continue;
          case 0x0F:  // def_cfa_expression
            rules.begin = from.block();
            continue;
          case 0x10: {  // expression
            const std::uint64_t column = from.number();
            rules.set(column, {.anywhere = true, .place = from.block()});
            continue;
          }
          case 0x11: {  // offset_extended_sf
            const std::uint64_t column = from.number();
            rules.save(column, from.signed_number() * program.data_factor);
            continue;
          }
          case 0x2E:  // GNU_args_size
            (void)from.number();
            continue;
          default:
            return false;
        }
    }
    address += advance * program.code_factor;
    if (address > program.target) return true;
  }
  return true;
}

/// The value of an expression, of those operations that code uses which aligns its stack: distances from a
/// register, and what stands there.
bool evaluate(const std::uint8_t* expression, const Memory& memory, abi::CONTEXT& context,
              std::uint64_t& value) {
  Reader from(expression);
  const std::uint64_t size = from.number();
  const std::uint8_t* const end = from.at() + size;
  bool known = false;
  while (from.at() < end) {
    const std::uint8_t operation = from.byte();
    constexpr std::uint8_t kDeref = 0x06, kPlus = 0x23, kRegister = 0x70;
    if (operation >= kRegister && operation < kRegister + kReturnAddress) {
      const std::uint64_t base = integer(context, operation - kRegister);
      value = base + static_cast<std::uint64_t>(from.signed_number());
      known = true;
    } else if (known && operation == kPlus) {
      value += from.number();
    } else if (!known || operation != kDeref || !memory.read(value, &value, sizeof value)) {
      return false;
    }
  }
  return known;
}

/// The rules at `pc`, and where its function begins; 0 if it is in none, or one whose rules are not known
/// here.
std::uint64_t rules_at(std::uint64_t pc, Rules& rules) {
  dwarf_eh_bases bases;
  const auto* const fde =
      static_cast<const std::uint8_t*>(_Unwind_Find_FDE(reinterpret_cast<void*>(pc), &bases));
  if (fde == nullptr) return 0;
  Reader entry(fde);
  const auto size = entry.get<std::uint32_t>();
  const std::uint8_t* const end = entry.at() + size;
  const std::uint8_t* const cie = entry.at() - Reader(entry).get<std::int32_t>();
  entry.skip(4);

  Reader common(cie);
  const auto common_size = common.get<std::uint32_t>();
  const std::uint8_t* const common_end = common.at() + common_size;
  common.skip(4);
  if (common.byte() != 1) return 0;  // version
  const auto* const augmentation = reinterpret_cast<const char*>(common.at());
  common.skip(std::strlen(augmentation) + 1);
  Program program{};
  program.code_factor = common.number();
  program.data_factor = common.signed_number();
  program.target = pc;
  if (common.byte() != kReturnAddress) return 0;
  std::uint8_t encoding = 0;
  if (augmentation[0] == 'z') {
    const std::uint64_t bytes = common.number();
    Reader data = common;
    for (const char* letter = augmentation + 1; *letter != 0; ++letter) {
      if (*letter == 'R')
        encoding = data.byte();
      else if (*letter == 'P')
        data.skip_encoded(data.byte());
      else if (*letter == 'L')
        (void)data.byte();
      else
        return 0;  // of a signal's frame, among others
    }
    common.skip(bytes);
  } else if (augmentation[0] != 0) {
    return 0;
  }
  entry.skip_encoded(encoding);
  entry.skip_encoded(encoding);
  if (augmentation[0] == 'z') {
    const std::uint64_t bytes = entry.number();
    entry.skip(bytes);
  }
  const auto begin = reinterpret_cast<std::uint64_t>(bases.function);
  if (!execute(program, common, common_end, begin, Rules{}, rules)) return 0;
  const Rules first = rules;
  return execute(program, entry, end, begin, first, rules) ? begin : 0;
}

}  // namespace

std::uint64_t unwind_host_frame(const Memory& memory, abi::CONTEXT& context, bool called) noexcept {
  Rules rules;
  // A call may be the last instruction of its function, or the last that a rule is for.
  const std::uint64_t begin = rules_at(context.Rip - (called ? 1 : 0), rules);
  if (begin == 0 || rules.base >= kReturnAddress || !rules.saved[kReturnAddress].anywhere) return 0;
  abi::CONTEXT caller = context;
  std::uint64_t frame = integer(context, rules.base) + static_cast<std::uint64_t>(rules.offset);
  if (rules.begin != nullptr && !evaluate(rules.begin, memory, context, frame)) return 0;
  caller.Rsp = frame;
  for (unsigned column = 0; column < kColumns; ++column) {
    const Rules::Saved& saved = rules.saved[column];
    if (!saved.anywhere) continue;
    std::uint64_t from = frame + static_cast<std::uint64_t>(saved.distance);
    if (saved.place != nullptr && !evaluate(saved.place, memory, context, from)) return 0;
    const bool read = column >= kXmm0 ? memory.read(from, caller.FltSave.XmmRegisters[column - kXmm0], 16)
                      : column == kReturnAddress ? memory.read(from, &caller.Rip, 8)
                                                 : memory.read(from, &integer(caller, column), 8);
    if (!read) return 0;
  }
  context = caller;
  return begin;
}

}  // namespace bobbin::unwind
