#include "thread/signal_stack.hpp"

#include <signal.h>

#include <utility>

#include "os/os.hpp"

namespace bobbin::thread {
namespace {

struct SignalStack {
  std::byte* area = nullptr;
  bool own = false;  ///< allocated here
  stack_t before{};
};
constinit thread_local SignalStack t_stack;

}  // namespace

Result<std::byte*> use_signal_stack(std::byte* area) {
  if (t_stack.area != nullptr) return t_stack.area + arch::kSignalStackSize;
  t_stack.own = area == nullptr;
  if (t_stack.own) {
    auto made = os::reserve(arch::kSignalStackSize);
    if (!made) return propagate(made);
    if (auto ready = os::commit(*made, arch::kSignalStackSize, os::Protection::read_write); !ready) {
      os::release(*made, arch::kSignalStackSize);
      return propagate(ready);
    }
    area = *made;
  }
  stack_t stack{};
  stack.ss_sp = area;
  stack.ss_size = arch::kSignalStackSize;
  sigaltstack(&stack, &t_stack.before);
  t_stack.area = area;
  return area + arch::kSignalStackSize;
}

void release_signal_stack() noexcept {
  if (t_stack.area == nullptr) return;
  sigaltstack(&t_stack.before, nullptr);
  std::byte* const area = std::exchange(t_stack.area, nullptr);
  if (t_stack.own) os::release(area, arch::kSignalStackSize);
}

}  // namespace bobbin::thread
