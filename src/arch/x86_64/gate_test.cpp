#include "arch/x86_64/gate.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>

#include "abi/types.hpp"

namespace bobbin::arch {
namespace {

TEST(Gate, ReturnsTrueWhenTheBodyReturns) {
  Gate gate{};
  int ran = 0;
  EXPECT_TRUE(bobbin_gate_run(&gate, [](void* n) { ++*static_cast<int*>(n); }, &ran));
  EXPECT_EQ(ran, 1);
}

[[gnu::noinline]] void leave_here(Gate* gate) { bobbin_gate_leave(gate); }
[[gnu::noinline]] int leave_from_below(Gate* gate) {
  leave_here(gate);
  return 1;  // not a tail call: there is a frame in between
}

TEST(Gate, LeavingComesBackWithFalseAndTheCallersRegisters) {
  Gate gate{};
  volatile int before = 42;
  EXPECT_FALSE(bobbin_gate_run(&gate, [](void* g) { (void)leave_from_below(static_cast<Gate*>(g)); }, &gate));
  EXPECT_EQ(before, 42);
}

TEST(Gate, LeavingRestoresFloatingPointControl) {
  Gate gate{};
  const auto leave_with_other_rounding = [](void* g) {
    const std::uint32_t toward_zero = 0x7F80;
    asm volatile("ldmxcsr %0" : : "m"(toward_zero));
    bobbin_gate_leave(static_cast<Gate*>(g));
  };
  std::uint32_t before = 0, after = 0;
  asm volatile("stmxcsr %0" : "=m"(before));
  EXPECT_FALSE(bobbin_gate_run(&gate, leave_with_other_rounding, &gate));
  asm volatile("stmxcsr %0" : "=m"(after));
  EXPECT_EQ(before & 0xFFC0u, after & 0xFFC0u);
}

TEST(Stack, BodyRunsOnTheGivenStackAndComesBack) {
  alignas(16) static std::byte stack[65536];
  const void* seen = nullptr;
  bobbin_call_on_stack(
      stack + sizeof stack, [](void* to) { *static_cast<const void**>(to) = __builtin_frame_address(0); },
      &seen);
  EXPECT_GE(seen, stack);
  EXPECT_LT(seen, stack + sizeof stack);
}

struct Recorder : Callback {
  std::string log;
};

TEST(Callback, PassesIntegersFloatsAndStackArguments) {
  Recorder recorder;
  recorder.dispatch = [](Callback* self, const std::uint64_t* cells, const double* floats,
                         CallbackResult* result) {
    float third = 0;
    __builtin_memcpy(&third, &floats[2], sizeof third);
    double sixth = 0;
    __builtin_memcpy(&sixth, &cells[5], sizeof sixth);
    static_cast<Recorder*>(self)->log = std::to_string(cells[0]) + " " + std::to_string(floats[1]) + " " +
                                        std::to_string(third) + " " + std::to_string(cells[4]) + " " +
                                        std::to_string(sixth);
    *result = {.integer = 77, .floating = 2.5};
  };
  void* pages = mmap(nullptr, kCallbackPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto* page = static_cast<std::byte*>(pages);
  write_callback_page(page);
  *callback_cell(page, kCallbacksPerPage - 1) = &recorder;
  ASSERT_EQ(mprotect(pages, 4096, PROT_READ | PROT_EXEC), 0);
  std::byte* code = callback_code(page, kCallbacksPerPage - 1);
  using Function = std::uint64_t(BOBBIN_MS_ABI*)(int, double, float, int, int, double);
  const std::uint64_t got = reinterpret_cast<Function>(code)(1, 1.5, 3.25f, 4, 5, 6.5);
  EXPECT_EQ(got, 77u);
  EXPECT_EQ(recorder.log, "1 1.500000 3.250000 5 6.500000");
  using Floating = double(BOBBIN_MS_ABI*)(int, double, float, int, int, double);
  EXPECT_EQ(reinterpret_cast<Floating>(code)(1, 1.5, 3.25f, 4, 5, 6.5), 2.5);
  munmap(pages, kCallbackPageSize);
}

}  // namespace
}  // namespace bobbin::arch
