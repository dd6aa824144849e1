// What fibers are compared with: a bare switch by the Windows convention (the registers that a call
// preserves, xmm6-15 among them, and eight words of a block that stands for the TEB), and a stack from the
// host.
#include <sys/mman.h>

#include "bench.hpp"

namespace {

struct Context {
  std::uint64_t integers[9], rip;
  std::uint64_t thread[8];
  alignas(16) std::uint8_t xmm[160];
};
alignas(64) std::uint64_t g_thread[8];
Context g_main, g_other;

}  // namespace

extern "C" void bare_switch(Context* from, Context* to, std::uint64_t* thread);
asm(R"(
bare_switch:
    movq (%rsp), %rax
    leaq 8(%rsp), %rcx
    movq %rax, 72(%rdi)
    movq %rcx, 64(%rdi)
    movq %rbx, 0(%rdi)
    movq %rbp, 8(%rdi)
    movq %rsi, 16(%rdi)
    movq %rdi, 24(%rdi)
    movq %r12, 32(%rdi)
    movq %r13, 40(%rdi)
    movq %r14, 48(%rdi)
    movq %r15, 56(%rdi)
    .irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps %xmm\n, 144 + 16 * (\n - 6)(%rdi)
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movq 8 * \n(%rdx), %rax
    movq 80 + 8 * \n(%rsi), %rcx
    movq %rax, 80 + 8 * \n(%rdi)
    movq %rcx, 8 * \n(%rdx)
    .endr
    .irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps 144 + 16 * (\n - 6)(%rsi), %xmm\n
    .endr
    movq 0(%rsi), %rbx
    movq 8(%rsi), %rbp
    movq 32(%rsi), %r12
    movq 40(%rsi), %r13
    movq 48(%rsi), %r14
    movq 56(%rsi), %r15
    movq 64(%rsi), %rsp
    movq 24(%rsi), %rdi
    movq 72(%rsi), %rax
    movq 16(%rsi), %rsi
    jmpq *%rax
)");

namespace {

void come_back() {
  for (;;) bare_switch(&g_other, &g_main, g_thread);
}

}  // namespace

int main() {
  constexpr int kRoundTrips = 5'000'000, kLives = 100'000;
  constexpr std::size_t kStack = 1 << 20;
  static_assert(offsetof(Context, rip) == 72 && offsetof(Context, thread) == 80 &&
                offsetof(Context, xmm) == 144);
  void* const stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(stack != MAP_FAILED);
  g_other.integers[8] = reinterpret_cast<std::uint64_t>(stack) + kStack - 64 - 8;
  g_other.rip = reinterpret_cast<std::uint64_t>(&come_back);
  auto from = Clock::now();
  for (int i = 0; i < kRoundTrips; ++i) bare_switch(&g_main, &g_other, g_thread);
  report("round_trip", from, kRoundTrips);
  from = Clock::now();
  for (int i = 0; i < kLives; ++i) {
    void* const one = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(one != MAP_FAILED);
    munmap(one, kStack);
  }
  report("life", from, kLives);
}
