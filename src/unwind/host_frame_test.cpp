#include "unwind/host_frame.hpp"

#include <alloca.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "unwind/image_for_tests.hpp"

// ---- functions of the host, as compilers make them: from inside them back to who called ------------------

extern "C" {
/// Fills in `context` as it is once the call has returned.
void host_frame_capture(bobbin::abi::CONTEXT* context);
/// function(context), with 101, 102, ... in rbx, rbp, rsi, r12 to r15 and 1006, ... in xmm6 to xmm15,
/// whichever convention it has. Where its stack pointer was at the call.
std::uint64_t host_frame_call(void* function, void* argument);
extern const char host_frame_returned[];
}
static_assert(offsetof(bobbin::abi::CONTEXT, Rbx) == 0x90 && offsetof(bobbin::abi::CONTEXT, Rsp) == 0x98 &&
              offsetof(bobbin::abi::CONTEXT, Rbp) == 0xA0 && offsetof(bobbin::abi::CONTEXT, Rsi) == 0xA8 &&
              offsetof(bobbin::abi::CONTEXT, R12) == 0xD8 && offsetof(bobbin::abi::CONTEXT, Rip) == 0xF8 &&
              offsetof(bobbin::abi::CONTEXT, FltSave) == 0x100);
asm(R"(
    .text
    .globl host_frame_capture, host_frame_call, host_frame_returned
host_frame_capture:
    .cfi_startproc
    movq %rbx, 0x90(%rdi)
    leaq 8(%rsp), %rax
    movq %rax, 0x98(%rdi)
    movq %rbp, 0xA0(%rdi)
    movq %rsi, 0xA8(%rdi)
    movq %rdi, 0xB0(%rdi)
    movq %r12, 0xD8(%rdi)
    movq %r13, 0xE0(%rdi)
    movq %r14, 0xE8(%rdi)
    movq %r15, 0xF0(%rdi)
    movq (%rsp), %rax
    movq %rax, 0xF8(%rdi)
    fxsave64 0x100(%rdi)
    ret
    .cfi_endproc

host_frame_call:
    .cfi_startproc
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $0x28, %rsp
    .cfi_def_cfa_offset 0x60
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rsi, %rcx
    .irp n,6,7,8,9,10,11,12,13,14,15
    movl $1000+\n, %edx
    movq %rdx, %xmm\n
    punpcklqdq %xmm\n, %xmm\n
    .endr
    movl $101, %ebx
    movl $102, %ebp
    movl $103, %esi
    movl $104, %r12d
    movl $105, %r13d
    movl $106, %r14d
    movl $107, %r15d
    callq *%rax
host_frame_returned:
    movq %rsp, %rax
    addq $0x28, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .cfi_endproc
)");

namespace bobbin::unwind {
namespace {

class HostMemory final : public Memory {
 public:
  bool read(std::uint64_t address, void* to, std::size_t size) const noexcept override {
    std::memcpy(to, reinterpret_cast<const void*>(address), size);
    return true;
  }
  bool same_function(std::uint64_t, const abi::RUNTIME_FUNCTION&, std::uint64_t) const noexcept override {
    return false;
  }
};

/// What a walk from the innermost call to host_frame_call() finds.
struct Walk {
  abi::CONTEXT context{};
  std::uint64_t left = 0;  ///< where the function begins that was undone last; 0 if one cannot be
};

/// Keeps a call from being the last thing that a function does, for then it would be a jump.
#define NOT_THE_END asm volatile("" ::: "memory")
/// Takes all registers that a SysV call preserves away from the caller, but the frame pointer.
#define USE_REGISTERS                                                                                    \
  asm volatile("movl $-1, %%ebx\nmovl $-1, %%r12d\nmovl $-1, %%r13d\nmovl $-1, %%r14d\nmovl $-1, %%r15d" \
               :                                                                                         \
               :                                                                                         \
               : "rbx", "r12", "r13", "r14", "r15")

[[gnu::noinline]] void walks(Walk* walk) {
  host_frame_capture(&walk->context);
  for (int frames = 0; frames < 10; ++frames) {
    walk->left = unwind_host_frame(HostMemory(), walk->context, true);
    if (walk->left == 0 || walk->context.Rip == reinterpret_cast<std::uint64_t>(host_frame_returned)) break;
  }
  NOT_THE_END;
}

[[gnu::noinline]] void saves_registers(Walk* walk) {
  USE_REGISTERS;
  walks(walk);
  NOT_THE_END;
}

[[gnu::noinline]] void allocates(Walk* walk) {
  volatile std::size_t size = 1000;
  void* room = alloca(size);
  asm volatile("" : : "r"(room) : "memory");
  USE_REGISTERS;
  walks(walk);
  NOT_THE_END;
}

[[gnu::noinline]] void calls_others(Walk* walk) {
  USE_REGISTERS;
  allocates(walk);
  NOT_THE_END;
}

/// Has a destructor to run, hence a personality and a table of its own.
[[gnu::noinline]] void has_landing_pads(Walk* walk) {
  struct Cleanup {
    ~Cleanup() { NOT_THE_END; }
  } cleanup;
  calls_others(walk);
}

/// With the Windows convention, so xmm6 to xmm15 are saved for the call of another kind.
[[gnu::ms_abi, gnu::noinline]] void is_native(Walk* walk) {
  USE_REGISTERS;
  saves_registers(walk);
  NOT_THE_END;
}

[[gnu::ms_abi, gnu::noinline]] void is_native_and_allocates(Walk* walk) {
  volatile std::size_t size = 100;
  void* room = alloca(size);
  asm volatile("" : : "r"(room) : "memory");
  has_landing_pads(walk);
  NOT_THE_END;
}

/// The walk from what the function calls in the end has come back here.
void expect_to_get_back(void* function, Walk& walk) {
  const std::uint64_t stack = host_frame_call(function, &walk);
  const abi::CONTEXT& context = walk.context;
  EXPECT_EQ(walk.left, reinterpret_cast<std::uint64_t>(function));
  EXPECT_EQ(context.Rip, reinterpret_cast<std::uint64_t>(host_frame_returned));
  EXPECT_EQ(context.Rsp, stack);
  EXPECT_EQ((std::array{context.Rbx, context.Rbp, context.R12, context.R13, context.R14, context.R15}),
            (std::array<std::uint64_t, 6>{101, 102, 104, 105, 106, 107}));
}

TEST(HostFrame, GivesBackWhatAFunctionHasSaved) {
  for (auto* const function : {&walks, &saves_registers, &allocates, &calls_others, &has_landing_pads}) {
    Walk walk;
    expect_to_get_back(reinterpret_cast<void*>(function), walk);
  }
}

TEST(HostFrame, GivesBackWhatANativeHasSaved) {
  for (void* const function :
       {reinterpret_cast<void*>(is_native), reinterpret_cast<void*>(is_native_and_allocates)}) {
    Walk walk;
    expect_to_get_back(function, walk);
    EXPECT_EQ(walk.context.Rsi, 103u);
    EXPECT_EQ(walk.context.Rdi, reinterpret_cast<std::uint64_t>(&walk));
    for (std::uint64_t n = 6; n < 16; ++n) {
      std::array<std::uint64_t, 2> value{};
      std::memcpy(value.data(), walk.context.FltSave.XmmRegisters[n], sizeof value);
      EXPECT_EQ(value, (std::array{1000 + n, 1000 + n}));
    }
  }
}

// ---- rules, one by one: none of this runs ----------------------------------------------------------------

}  // namespace
}  // namespace bobbin::unwind

extern "C" {
extern const char host_frame_steps[], host_frame_pushed[], host_frame_body[], host_frame_popped[],
    host_frame_again[], host_frame_far[], host_frame_farther[], host_frame_steps_end[];
extern const char host_frame_extended[], host_frame_register[], host_frame_aligned[], host_frame_given_up[];
extern const char host_frame_in_register[], host_frame_operation[], host_frame_nothing[],
    host_frame_unremembered[], host_frame_deep[], host_frame_signal[], host_frame_no_base[],
    host_frame_none[];
}
asm(R"(
    .text
host_frame_steps:
    .cfi_startproc
    nop
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
host_frame_pushed:
    nop
    .cfi_def_cfa_offset 48
host_frame_body:
    nop
    .cfi_remember_state
    .cfi_def_cfa_offset 8
    .cfi_restore %rbx
host_frame_popped:
    nop
    .cfi_restore_state
host_frame_again:
    .skip 100, 0x90
    .cfi_def_cfa_offset 56
host_frame_far:
    .skip 1000, 0x90
    .cfi_def_cfa_offset 64
host_frame_farther:
    .skip 70000, 0x90
    .cfi_def_cfa_offset 72
host_frame_steps_end:
    nop
    .cfi_endproc

# What no compiler has written for us so far: offset_extended and offset_extended_sf of xmm6 and xmm7,
# GNU_args_size, undefined and same_value, a register (99) that is none of ours.
host_frame_extended:
    .cfi_startproc
    .cfi_escape 0x05, 23, 4
    .cfi_escape 0x11, 24, 6
    .cfi_escape 0x2e, 0x10
    .cfi_escape 0x05, 99, 2
    .cfi_offset %r12, -16
    .cfi_offset %r13, -16
    .cfi_undefined %r12
    .cfi_same_value %r13
    nop
    .cfi_endproc

host_frame_register:
    .cfi_startproc
    .cfi_def_cfa %rbp, 16
    .cfi_offset %rbp, -16
    nop
    .cfi_endproc

# As code has it that aligns its stack: where the caller's was stands in the frame; registers are saved at a
# distance from rbp. Then both are given up.
host_frame_aligned:
    .cfi_startproc
    .cfi_escape 0x0f, 3, 0x76, 0x78, 0x06
    .cfi_escape 0x10, 6, 2, 0x76, 0
    .cfi_escape 0x10, 3, 4, 0x76, 0x00, 0x23, 0x10
    nop
    .cfi_def_cfa %rsp, 16
    .cfi_offset %rbp, -16
    .cfi_restore %rbx
host_frame_given_up:
    nop
    .cfi_endproc

# A register that is saved in another; an operation (not) that compilers do not use; one with no operand; states
# that nobody remembered, or too many did.
host_frame_in_register:
    .cfi_startproc
    nop
    .cfi_escape 0x09, 3, 11
    nop
    .cfi_endproc
host_frame_operation:
    .cfi_startproc
    nop
    .cfi_escape 0x0f, 3, 0x77, 8, 0x20
    nop
    .cfi_endproc
host_frame_nothing:
    .cfi_startproc
    nop
    .cfi_escape 0x10, 3, 1, 0x06
    nop
    .cfi_endproc
host_frame_unremembered:
    .cfi_startproc
    nop
    .cfi_escape 0x0b
    nop
    .cfi_endproc
host_frame_deep:
    .cfi_startproc
    nop
    .cfi_escape 0x0a, 0x0a, 0x0a, 0x0a, 0x0a
    nop
    .cfi_endproc
# The base: a register beyond those that there are.
host_frame_no_base:
    .cfi_startproc
    nop
    .cfi_escape 0x0c, 40, 8
    nop
    .cfi_endproc
host_frame_signal:
    .cfi_startproc
    .cfi_signal_frame
    nop
    nop
    .cfi_endproc
host_frame_none:
    nop
    nop
)");

namespace bobbin::unwind {
namespace {

constexpr std::uint64_t kStack = 0x50000;

/// A stack of numbered words, and other numbers in registers.
class HostRules : public testing::Test {
 protected:
  HostRules() {
    std::vector<std::uint8_t> stack(0x100);
    for (std::uint64_t i = 0; i < stack.size() / 8; ++i) {
      const std::uint64_t value = word(i);
      std::memcpy(&stack[8 * i], &value, 8);
    }
    memory.put(kStack, stack);
  }
  static constexpr std::uint64_t word(std::uint64_t i) { return 0xA000 + i; }
  static std::uint64_t address(const char* label) { return reinterpret_cast<std::uint64_t>(label); }

  /// Undoes the frame at `pc`, which begins at `function`.
  void undo(const char* pc, const char* function, bool called = false) {
    context = {};
    context.Rip = address(pc);
    context.Rsp = kStack;
    context.Rbx = 101;
    context.Rbp = kStack + 0x40;
    context.R12 = 104;
    context.R13 = 105;
    EXPECT_EQ(unwind_host_frame(memory, context, called), address(function));
  }
  /// It cannot be undone, and nothing has changed.
  void expect_refusal(const char* pc) {
    context = {};
    context.Rip = address(pc);
    context.Rsp = kStack;
    const abi::CONTEXT before = context;
    EXPECT_EQ(unwind_host_frame(memory, context, false), 0u);
    EXPECT_EQ(std::memcmp(&before, &context, sizeof context), 0);
  }

  TestMemory memory;
  abi::CONTEXT context{};
};

TEST_F(HostRules, ChangeAsTheCodeGoesOn) {
  struct Step {
    const char* pc;
    std::uint64_t words;  ///< of the frame, without the return address
    bool saved;           ///< rbx, right below it
  };
  for (const Step& step :
       {Step{host_frame_steps, 0, false}, Step{host_frame_pushed, 1, true}, Step{host_frame_body, 5, true},
        Step{host_frame_popped, 0, false}, Step{host_frame_again, 5, true},
        Step{host_frame_again + 99, 5, true}, Step{host_frame_far, 6, true},
        Step{host_frame_farther, 7, true}, Step{host_frame_steps_end, 8, true}}) {
    undo(step.pc, host_frame_steps);
    EXPECT_EQ(context.Rip, word(step.words));
    EXPECT_EQ(context.Rsp, kStack + 8 * (step.words + 1));
    // Saved at one distance from where the frame begins.
    EXPECT_EQ(context.Rbx, step.saved ? word(step.words - 1) : 101u) << step.pc - host_frame_steps;
    EXPECT_EQ(context.R12, 104u);
  }
}

TEST_F(HostRules, OfACallAreThoseBeforeItsReturn) {
  undo(host_frame_pushed, host_frame_steps, true);
  EXPECT_EQ(context.Rip, word(0));
  undo(host_frame_steps_end + 1, host_frame_steps, true);  // the last instruction was the call
  EXPECT_EQ(context.Rip, word(8));
}

TEST_F(HostRules, MayBeExtended) {
  context.Rsp = kStack;
  context.Rip = address(host_frame_extended);
  // Its frame begins at Rsp + 8; what is saved stands below that: in the second half of our stack.
  std::vector<std::uint8_t> below(0x40, 0x77);
  memory.put(kStack - 0x40, below);
  undo(host_frame_extended, host_frame_extended);
  EXPECT_EQ(context.Rip, word(0));
  EXPECT_EQ(context.FltSave.XmmRegisters[6][0], 0x77);
  EXPECT_EQ(context.FltSave.XmmRegisters[7][15], 0x77);
  EXPECT_EQ(context.FltSave.XmmRegisters[8][0], 0);
  EXPECT_EQ(context.R12, 104u);
  EXPECT_EQ(context.R13, 105u);
}

TEST_F(HostRules, MayStartFromAnotherRegister) {
  undo(host_frame_register, host_frame_register);
  EXPECT_EQ(context.Rip, word(9));
  EXPECT_EQ(context.Rbp, word(8));
  EXPECT_EQ(context.Rsp, kStack + 0x50);
}

TEST_F(HostRules, MayBeExpressions) {
  std::vector<std::uint8_t> stack(0x80);
  const auto put = [&stack](std::size_t at, std::uint64_t value) { std::memcpy(&stack[at], &value, 8); };
  put(0x38, kStack + 0x60);  // [rbp - 8]: where the frame begins
  put(0x40, 7);              // [rbp]
  put(0x50, 8);
  put(0x58, 9);  // the return address
  memory.put(kStack, stack);
  undo(host_frame_aligned, host_frame_aligned);
  EXPECT_EQ(context.Rsp, kStack + 0x60);
  EXPECT_EQ(context.Rip, 9u);
  EXPECT_EQ(context.Rbp, 7u);
  EXPECT_EQ(context.Rbx, 8u);
  put(0, 10);
  put(8, 11);
  memory.put(kStack, stack);
  undo(host_frame_given_up, host_frame_aligned);
  EXPECT_EQ(context.Rsp, kStack + 0x10);
  EXPECT_EQ(context.Rip, 11u);
  EXPECT_EQ(context.Rbp, 10u);
  EXPECT_EQ(context.Rbx, 101u);
}

TEST_F(HostRules, ThatAreNotKnownAreRefused) {
  for (const char* const function : {host_frame_in_register, host_frame_operation, host_frame_nothing,
                                     host_frame_unremembered, host_frame_deep, host_frame_no_base}) {
    undo(function, function);  // they are not in force yet
    EXPECT_EQ(context.Rip, word(0));
    expect_refusal(function + 1);
  }
  expect_refusal(host_frame_signal);
  expect_refusal(nullptr);
  expect_refusal(reinterpret_cast<const char*>(&memory));  // no code
}

TEST_F(HostRules, NeedAStackThatIsThere) {
  memory = {};
  expect_refusal(host_frame_steps);
  expect_refusal(host_frame_body);
  memory.put_words(kStack + 0x20, {7});  // rbx alone
  expect_refusal(host_frame_body);
}

}  // namespace
}  // namespace bobbin::unwind
