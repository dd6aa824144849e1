#include "os/fake/single_step.hpp"

#include <dlfcn.h>
#include <ucontext.h>

#include <csignal>
#include <cstdint>
#include <cstdio>

namespace bobbin::os::fake {
namespace {

struct {
  const std::function<const char*()>* look = nullptr;
  std::size_t instructions = 0;
  std::size_t failed_after = 0;
  const char* failure = nullptr;
  std::uintptr_t address = 0;
} g_watch;

void on_trap(int, siginfo_t*, void* context) {
  ++g_watch.instructions;
  if (g_watch.failure != nullptr) return;
  g_watch.failure = (*g_watch.look)();
  if (g_watch.failure == nullptr) return;
  g_watch.failed_after = g_watch.instructions;
  g_watch.address =
      static_cast<std::uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
}

// The trap flag is bit 8 of EFLAGS. Nothing may be pushed into the red zone.
void start_stepping() {
  asm volatile("sub $128, %%rsp; pushfq; orl $0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
}
void stop_stepping() {
  asm volatile("sub $128, %%rsp; pushfq; andl $~0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
}

std::string place(std::uintptr_t address) {
  Dl_info found{};
  if (dladdr(reinterpret_cast<void*>(address), &found) == 0) return "an unknown address";
  char text[32];
  std::snprintf(text, sizeof text, "%#zx", address - reinterpret_cast<std::uintptr_t>(found.dli_fbase));
  return std::string(found.dli_fname) + " " + text;
}

}  // namespace

Watched watch(const std::function<void()>& action, const std::function<const char*()>& look) {
  g_watch = {.look = &look};
  struct sigaction stepping{}, before{};
  stepping.sa_sigaction = on_trap;
  stepping.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &stepping, &before);
  start_stepping();
  action();
  stop_stepping();
  sigaction(SIGTRAP, &before, nullptr);
  Watched result{.instructions = g_watch.instructions, .failed_after = g_watch.failed_after};
  if (g_watch.failure != nullptr)
    result.failure = std::string(g_watch.failure) + ", before " + place(g_watch.address);
  return result;
}

}  // namespace bobbin::os::fake
