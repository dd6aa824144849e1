#include "unwind/unwind.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unwind/image_for_tests.hpp"

namespace bobbin::unwind {
namespace {

constexpr std::uint64_t kBase = 0x140000000, kCode = kBase + 0x1000, kInfo = kBase + 0x2000;
constexpr std::uint64_t kStack = 0x50000;
constexpr abi::RUNTIME_FUNCTION kRow{0x1000, 0x1080, 0x2000};
enum Register : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12 };

/// A function with the given unwind information, nops for code, and a stack of numbered words.
class Unwinding : public testing::Test {
 protected:
  Unwinding() {
    memory.put(kCode, std::vector<std::uint8_t>(0x80, 0x90));
    std::vector<std::uint8_t> stack(0x1000);
    for (std::uint64_t i = 0; i < stack.size() / 8; ++i) {
      const std::uint64_t value = 0xA000 + i;
      std::memcpy(&stack[8 * i], &value, 8);
    }
    memory.put(kStack, stack);
    context.Rsp = kStack;
  }
  void info(std::vector<std::uint8_t> bytes, std::uint64_t at = kInfo) {
    bytes.resize((bytes.size() + 3) / 4 * 4 + 8);
    memory.put(at, std::move(bytes));
  }
  void code(std::uint32_t offset, std::initializer_list<std::uint8_t> bytes) {
    std::vector<std::uint8_t> all(0x80, 0x90);
    std::copy(bytes.begin(), bytes.end(), all.begin() + offset);
    memory.put(kCode, std::move(all));
  }
  std::optional<Frame> unwind(std::uint32_t offset, std::uint8_t handlers = 0) {
    return unwind_frame(memory, kBase, kCode + offset, kRow, context, handlers);
  }
  static constexpr std::uint64_t word(std::uint64_t i) { return 0xA000 + i; }

  TestMemory memory;
  abi::CONTEXT context{};
};

std::uint8_t op(unsigned operation, unsigned operand) {
  return static_cast<std::uint8_t>(operation | operand << 4);
}

TEST_F(Unwinding, LeafPopsItsReturnAddress) {
  ASSERT_TRUE(unwind_leaf(memory, context));
  EXPECT_EQ(context.Rip, word(0));
  EXPECT_EQ(context.Rsp, kStack + 8);
}

// push rbx (1 byte), push rsi (2), sub rsp, 0x20 (6)
TEST_F(Unwinding, UndoesWhatThePrologueHasDone) {
  info({1, 6, 3, 0, 6, op(2, 3), 2, op(0, rsi), 1, op(0, rbx), 0, 0});
  const abi::CONTEXT fresh = context;
  ASSERT_TRUE(unwind(0x20));
  EXPECT_EQ(context.Rsi, word(4));
  EXPECT_EQ(context.Rbx, word(5));
  EXPECT_EQ(context.Rip, word(6));
  EXPECT_EQ(context.Rsp, kStack + 7 * 8);
  context = fresh;
  ASSERT_TRUE(unwind(2));  // both pushed, nothing allocated
  EXPECT_EQ(context.Rsi, word(0));
  EXPECT_EQ(context.Rbx, word(1));
  EXPECT_EQ(context.Rip, word(2));
  context = fresh;
  ASSERT_TRUE(unwind(0));
  EXPECT_EQ(context.Rip, word(0));
  EXPECT_EQ(context.Rbx, 0u);
}

TEST_F(Unwinding, KnowsAllSizesOfAllocations) {
  info({1, 4, 2, 0, 4, op(1, 0), 0x10, 0});  // 16 * 8 bytes
  ASSERT_TRUE(unwind(0x20));
  EXPECT_EQ(context.Rip, word(16));
  context.Rsp = kStack;
  info({1, 4, 3, 0, 4, op(1, 1), 0x90, 0, 0, 0});  // 0x90 bytes, in 32 bits
  ASSERT_TRUE(unwind(0x20));
  EXPECT_EQ(context.Rip, word(18));
}

TEST_F(Unwinding, GoesByTheFrameRegister) {
  // push rbp; sub rsp, 0x40; lea rbp, [rsp + 0x20]: SET_FPREG, offset 2 * 16
  info({1, 10, 3, static_cast<std::uint8_t>(rbp | 2 << 4), 10, op(3, 0), 5, op(2, 7), 1, op(0, rbp)});
  context.Rbp = kStack + 0x120;
  context.Rsp = kStack + 0x80;  // alloca
  const auto frame = unwind(0x20);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->establisher, kStack + 0x100);
  EXPECT_EQ(context.Rbp, word(0x140 / 8));
  EXPECT_EQ(context.Rip, word(0x148 / 8));
  // In the prologue, before the register is set, the stack pointer tells.
  context.Rsp = kStack;
  context.Rbp = 1;
  const auto early = unwind(5);
  ASSERT_TRUE(early);
  EXPECT_EQ(early->establisher, kStack);
  EXPECT_EQ(context.Rbp, word(8));
}

TEST_F(Unwinding, RestoresSavedRegisters) {
  // sub rsp, 0x88; then rbx at 0x10, r12 far at 0x18, xmm6 at 0x20, xmm7 far at 0x30
  info({1,  20,         12,   0, 20, op(9, 7), 0x30, 0,          0, 0, 16, op(8, 6), 2,    0,
        12, op(5, r12), 0x18, 0, 0,  0,        8,    op(4, rbx), 2, 0, 4,  op(1, 0), 0x11, 0});
  abi::KNONVOLATILE_CONTEXT_POINTERS saved{};
  ASSERT_TRUE(unwind_frame(memory, kBase, kCode + 0x30, kRow, context, 0, &saved));
  EXPECT_EQ(context.Rbx, word(2));
  EXPECT_EQ(context.R12, word(3));
  std::uint64_t xmm[4];
  std::memcpy(xmm, context.FltSave.XmmRegisters[6], sizeof xmm);
  EXPECT_EQ(xmm[0], word(4));
  EXPECT_EQ(xmm[1], word(5));
  EXPECT_EQ(xmm[2], word(6));
  EXPECT_EQ(context.Rip, word(17));
  EXPECT_EQ(saved.IntegerContext[rbx], reinterpret_cast<std::uint64_t*>(kStack + 0x10));
  EXPECT_EQ(saved.FloatingContext[7], reinterpret_cast<void*>(kStack + 0x30));
}

TEST_F(Unwinding, LeavesThroughMachineFrames) {
  info({1, 0, 1, 0, 0, op(10, 1), 0, 0});  // with an error code
  const auto frame = unwind(0x20);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->interrupted);
  EXPECT_EQ(context.Rip, word(1));
  EXPECT_EQ(context.Rsp, word(4));
}

TEST_F(Unwinding, FollowsChains) {
  // A cold part: saves rsi on its own, then the primary's push rbx and allocation.
  info({1 | 4 << 3, 0, 2, 0, 0, op(4, rsi), 3, 0, 0, 0, 0, 0});
  const abi::RUNTIME_FUNCTION primary{0x1400, 0x1500, 0x2100};
  std::vector<std::uint8_t> chained = {1 | 4 << 3, 0, 2, 0, 0, op(4, rsi), 3, 0};
  chained.resize(20);
  std::memcpy(&chained[8], &primary, sizeof primary);
  memory.put(kInfo, chained);
  std::vector<std::uint8_t> last = {1 | 1 << 3, 4, 2, 0, 4, op(2, 3), 1, op(0, rbx), 0x78, 0x56, 0, 0, 9, 9};
  info(last, kBase + 0x2100);
  const auto frame = unwind(0, abi::UNW_FLAG_EHANDLER);
  ASSERT_TRUE(frame);
  EXPECT_EQ(context.Rsi, word(3));
  EXPECT_EQ(context.Rbx, word(4));
  EXPECT_EQ(context.Rip, word(5));
  EXPECT_EQ(frame->handler, kBase + 0x5678);
  EXPECT_EQ(frame->handler_data, kBase + 0x2100 + 12);
  const auto row = primary_row(memory, kBase, kRow);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->BeginAddress, 0x1400u);
}

TEST_F(Unwinding, HandsOutTheHandlerThatIsAskedForOutsideOfThePrologue) {
  info({1 | 2 << 3, 4, 1, 0, 4, op(2, 0), 0, 0, 0x34, 0x12, 0, 0});
  const abi::CONTEXT fresh = context;
  EXPECT_EQ(unwind(0x20, abi::UNW_FLAG_EHANDLER)->handler, 0u);
  context = fresh;
  EXPECT_EQ(unwind(0x20, abi::UNW_FLAG_UHANDLER)->handler, kBase + 0x1234);
  context = fresh;
  EXPECT_EQ(unwind(2, abi::UNW_FLAG_UHANDLER)->handler, 0u);
}

// push rbx; sub rsp, 0x20. Epilogues of 6 bytes (add, pop, ret): at the end, and 0x150 bytes before it.
TEST_F(Unwinding, GoesByTheEpiloguesThatVersion2Lists) {
  constexpr abi::RUNTIME_FUNCTION kLong{0x1000, 0x1200, 0x2000};
  const std::vector<std::uint8_t> epilogue = {0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3};
  std::vector<std::uint8_t> all(0x200, 0x90);
  for (const std::ptrdiff_t at : {0x40, 0xB0, 0x1FA}) std::ranges::copy(epilogue, all.begin() + at);
  memory.put(kCode, all);
  info({2 | 1 << 3, 5, 4, 0, 6, op(6, 1), 0x50, op(6, 1), 5, op(2, 3), 1, op(0, rbx), 0x78, 0x56, 0, 0});
  const auto at = [&](std::uint32_t offset) {
    context = {};
    context.Rsp = kStack;
    return unwind_frame(memory, kBase, kCode + offset, kLong, context, abi::UNW_FLAG_EHANDLER);
  };
  for (const std::uint32_t begin : {0xB0u, 0x1FAu}) {
    const auto first = at(begin);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->handler, 0u);  // none in an epilogue
    EXPECT_EQ(context.Rbx, word(4));
    EXPECT_EQ(context.Rip, word(5));
    ASSERT_TRUE(at(begin + 4));  // rsp is added to already
    EXPECT_EQ(context.Rbx, word(0));
    EXPECT_EQ(context.Rip, word(1));
    ASSERT_TRUE(at(begin + 5));  // and rbx popped
    EXPECT_EQ(context.Rbx, 0u);
    EXPECT_EQ(context.Rip, word(0));
  }
  // What looks like one but is not listed is the body: the stack is as the prologue has left it.
  const auto body = at(0x45);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->handler, kBase + 0x5678);
  EXPECT_EQ(context.Rip, word(5));
  // Not at the end, and the list filled up: then the one at the end is none.
  info({2, 5, 4, 0, 6, op(6, 0), 0, op(6, 0), 5, op(2, 3), 1, op(0, rbx)});
  ASSERT_TRUE(at(0x1FF));
  EXPECT_EQ(context.Rip, word(5));
}

// A listed epilogue may end in a jump that by its target could be one within the function.
TEST_F(Unwinding, TakesAnyJumpAtTheEndOfAListedEpilogue) {
  code(0x40, {0x5B, 0xEB, 0x08});
  info({2, 1, 3, 0, 3, op(6, 0), 0x40, op(6, 0), 1, op(0, rbx), 0, 0});
  ASSERT_TRUE(unwind(0x41));
  EXPECT_EQ(context.Rip, word(0));
  context.Rsp = kStack;
  info({1, 1, 1, 0, 1, op(0, rbx), 0, 0});
  ASSERT_TRUE(unwind(0x41));
  EXPECT_EQ(context.Rip, word(1));
}

// Its return is a place like any other, where its handler is told.
TEST_F(Unwinding, AFunctionThatSavesNothingHasNoEpilogue) {
  code(0x40, {0xC3});
  info({1 | 1 << 3, 0, 0, 0, 0x78, 0x56, 0, 0});
  const auto frame = unwind(0x40, abi::UNW_FLAG_EHANDLER);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->handler, kBase + 0x5678);
  EXPECT_EQ(context.Rip, word(0));
}

struct Epilogue {
  const char* what;
  std::vector<std::uint8_t> code;
  bool is_one;
};
class Epilogues : public Unwinding, public testing::WithParamInterface<Epilogue> {};

TEST_P(Epilogues, AreRecognisedByTheirInstructions) {
  // push rbx; push r12; sub rsp, 0x20; the frame register is rbp, no matter what it holds.
  info({1 | 1 << 3, 8, 3, rbp, 8, op(2, 3), 3, op(0, r12), 1, op(0, rbx), 0, 0, 0x78, 0x56, 0, 0});
  std::vector<std::uint8_t> all(0x80, 0x90);
  std::copy(GetParam().code.begin(), GetParam().code.end(), all.begin() + 0x40);
  memory.put(kCode, all);
  context.Rbp = kStack;
  const auto frame = unwind(0x40, abi::UNW_FLAG_EHANDLER);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->handler == 0, GetParam().is_one);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, Epilogues,
    testing::Values(Epilogue{"ret", {0xC3}, true}, Epilogue{"rep_ret", {0xF3, 0xC3}, true},
                    Epilogue{"ret_n", {0xC2, 8, 0}, true}, Epilogue{"pop_ret", {0x5B, 0xC3}, true},
                    Epilogue{"pop_r12_pop_rbx_ret", {0x41, 0x5C, 0x5B, 0xC3}, true},
                    Epilogue{"add_pops_ret", {0x48, 0x83, 0xC4, 0x20, 0x41, 0x5C, 0x5B, 0xC3}, true},
                    Epilogue{"add32_ret", {0x48, 0x81, 0xC4, 0x20, 0, 0, 0, 0xC3}, true},
                    Epilogue{"lea_ret", {0x48, 0x8D, 0x65, 0x20, 0xC3}, true},
                    Epilogue{"lea32_ret", {0x48, 0x8D, 0xA5, 0x20, 0, 0, 0, 0xC3}, true},
                    Epilogue{"lea_of_another", {0x48, 0x8D, 0x63, 0x20, 0xC3}, false},
                    Epilogue{"jump_out", {0x5B, 0xE9, 0, 1, 0, 0}, true},
                    Epilogue{"jump_to_the_beginning", {0xEB, 0xBE}, true},
                    Epilogue{"jump_inside", {0xEB, 0x10}, false},
                    Epilogue{"jump_by_memory", {0xFF, 0x25, 0, 0, 0, 0}, true},
                    Epilogue{"jump_by_register", {0x48, 0xFF, 0xE0}, true},
                    Epilogue{"pops_only", {0x5B, 0x90}, false},
                    Epilogue{"add_only", {0x48, 0x83, 0xC4, 0x20, 0x90}, false}),
    [](const auto& test) { return std::string(test.param.what); });

TEST_F(Unwinding, FinishesEpilogues) {
  info({1, 8, 3, 0, 8, op(2, 3), 3, op(0, r12), 1, op(0, rbx), 0, 0});
  code(0x40, {0x48, 0x83, 0xC4, 0x20, 0x41, 0x5C, 0x5B, 0xC3});
  ASSERT_TRUE(unwind(0x40));
  EXPECT_EQ(context.R12, word(4));
  EXPECT_EQ(context.Rbx, word(5));
  EXPECT_EQ(context.Rip, word(6));
  context.Rsp = kStack;
  ASSERT_TRUE(unwind(0x46));
  EXPECT_EQ(context.Rbx, word(0));
  EXPECT_EQ(context.Rip, word(1));
}

TEST_F(Unwinding, AJumpToAnotherPartOfTheFunctionIsNoEpilogue) {
  info({1 | 1 << 3, 4, 1, 0, 4, op(2, 3), 0, 0, 0x78, 0x56, 0, 0});
  code(0x40, {0xE9, 0xBB, 0, 0, 0});  // to 0x1100
  memory.fragment = kBase + 0x1100;
  EXPECT_NE(unwind(0x40, abi::UNW_FLAG_EHANDLER)->handler, 0u);
}

TEST_F(Unwinding, SkipsWhatVersion2SaysOfEpilogues) {
  // Two UWOP_EPILOG slots, then sub rsp, 0x20.
  info({2, 4, 3, 0, 3, op(6, 1), 0x10, op(6, 0), 4, op(2, 3), 0, 0});
  ASSERT_TRUE(unwind(0x20));
  EXPECT_EQ(context.Rip, word(4));
}

TEST_F(Unwinding, RefusesWhatIsNoUnwindInformation) {
  EXPECT_FALSE(unwind(0x20));  // there is nothing
  info({3, 0, 0, 0});
  EXPECT_FALSE(unwind(0x20)) << "version";
  info({1, 4, 1, 0, 4, op(1, 0)});
  EXPECT_FALSE(unwind(0x20)) << "an operand beyond the codes";
  info({1, 4, 1, 0, 4, op(12, 0)});
  EXPECT_FALSE(unwind(0x20)) << "an operation that there is not";
  info({1, 4, 2, 0, 4, op(1, 0), 0xFF, 0xFF});
  EXPECT_FALSE(unwind(0x20)) << "a stack that is not there";
}

TEST_F(Unwinding, EndlessChainsEnd) {
  std::vector<std::uint8_t> chained = {1 | 4 << 3, 0, 0, 0};
  chained.resize(16);
  std::memcpy(&chained[4], &kRow, sizeof kRow);
  memory.put(kInfo, chained);
  EXPECT_FALSE(unwind(0x20));
  EXPECT_FALSE(primary_row(memory, kBase, kRow));
  const abi::RUNTIME_FUNCTION itself{0x1000, 0x1080, 0x2001};
  std::vector<std::uint8_t> row(sizeof itself);
  std::memcpy(row.data(), &itself, sizeof itself);
  memory.put(kInfo, row);
  EXPECT_FALSE(unwind_frame(memory, kBase, kCode, itself, context, 0));
}

}  // namespace
}  // namespace bobbin::unwind
