#include "thread/fibers.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "abi/status.hpp"
#include "thread/scope.hpp"

namespace bobbin::thread {
namespace {

static_assert(offsetof(Place, gate) == 8, "known to fiber_switch.inc");
static_assert(offsetof(Place, signal_stack) == 0x10 && offsetof(Place, guest_rip) == 0x18,
              "known to exception.S");

// What Windows starts threads and fibers with.
constexpr std::uint32_t kMxcsr = 0x1F80;
constexpr std::uint32_t kX87Control = 0x027F;

std::uint64_t word_of(const abi::TEB* teb) { return reinterpret_cast<std::uint64_t>(teb); }

std::unexpected<Error> no_memory() {
  return fail(
      {.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = "no memory for a fiber"});
}

}  // namespace

Fibers::~Fibers() {
  for (std::size_t i = 0; i < made_; ++i) {
    Fiber& fiber = slabs_[i / kInSlab][i % kInSlab];
    if (fiber.stack.valid()) stacks_.give_back(fiber.stack);
  }
  for (Fiber* slab : slabs_) delete[] slab;
}

bool Fibers::known(const void* fiber) const {
  const auto* const at = static_cast<const std::byte*>(fiber);
  return std::ranges::any_of(slabs_, [&](const Fiber* slab) {
    const auto* const first = reinterpret_cast<const std::byte*>(slab);
    return at >= first && at < first + kInSlab * sizeof(Fiber) &&
           static_cast<std::size_t>(at - first) % sizeof(Fiber) == 0;
  });
}

Fiber* Fibers::make() {
  Fiber* fiber = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (free_ != nullptr) {
      fiber = std::exchange(free_, free_->next);
    } else {
      if (made_ % kInSlab == 0) {
        Fiber* const slab = new (std::nothrow) Fiber[kInSlab];
        if (slab == nullptr) return nullptr;
        for (std::size_t i = 0; i < kInSlab; ++i) slab[i].owner = Fiber::kDead;
        slabs_.push_back(slab);
      }
      fiber = &slabs_[made_ / kInSlab][made_ % kInSlab];
      ++made_;
    }
  }
  arch::FiberState fresh{};
  fresh.mxcsr = kMxcsr;
  fresh.x87_control = kX87Control;
  fresh.owner = Fiber::kDead;
  static_cast<arch::FiberState&>(*fiber) = fresh;
  fiber->stack = {};
  return fiber;
}

Result<Fiber*> Fibers::create(std::size_t stack_size, void* routine, void* data, void* end) {
  auto stack = stacks_.take(stack_size);
  if (!stack) return propagate(stack);
  Fiber* const fiber = make();
  if (fiber == nullptr) {
    stacks_.give_back(*stack);
    return no_memory();
  }
  fiber->stack = *stack;
  fiber->data = data;
  fiber->exception_list = reinterpret_cast<void*>(~std::uintptr_t{0});
  fiber->stack_base = stack->top();
  fiber->stack_limit = stack->limit();
  fiber->deallocation_stack = stack->base;
  fiber->rbx = reinterpret_cast<std::uint64_t>(routine);
  fiber->r12 = reinterpret_cast<std::uint64_t>(end);
  // Room for a callee's four arguments; then where an outer frame would be, nothing.
  auto* const frame = reinterpret_cast<std::uint64_t*>(stack->top() - 48);
  frame[4] = frame[5] = 0;
  fiber->rsp = reinterpret_cast<std::uint64_t>(frame);
  fiber->rip = reinterpret_cast<std::uint64_t>(&arch::bobbin_fiber_start);
  std::atomic_ref(fiber->owner).store(0, std::memory_order_release);
  return fiber;
}

Result<Fiber*> Fibers::convert_thread(abi::TEB& teb, Stack stack, void* data, bool bound) {
  Fiber* const fiber = make();
  if (fiber == nullptr) return no_memory();
  fiber->data = data;
  fiber->stack = stack;
  fiber->owner_when_idle = bound ? word_of(&teb) + Fiber::kBound : 0;
  std::atomic_ref(fiber->owner).store(word_of(&teb), std::memory_order_release);
  teb.FiberData = static_cast<arch::FiberState*>(fiber);
  teb.SameTebFlags |= abi::TEB_HAS_FIBER_DATA;
  return fiber;
}

Stack Fibers::convert_fiber(abi::TEB& teb) noexcept {
  auto* const fiber = static_cast<Fiber*>(static_cast<arch::FiberState*>(teb.FiberData));
  teb.FiberData = nullptr;
  teb.SameTebFlags &= static_cast<abi::USHORT>(~abi::TEB_HAS_FIBER_DATA);
  const Stack stack = std::exchange(fiber->stack, {});
  give_back(*fiber);
  return stack;
}

FiberTrouble Fibers::check(const void* raw) noexcept {
  const abi::TEB* const teb = abi::current_teb();
  if (teb->FiberData == nullptr) return FiberTrouble::plain_thread;
  {
    const std::scoped_lock lock(mutex_);
    if (!known(raw)) return FiberTrouble::no_fiber;
  }
  const auto* const fiber = static_cast<const Fiber*>(static_cast<const arch::FiberState*>(raw));
  const std::uint64_t owner =
      std::atomic_ref(const_cast<std::uint64_t&>(fiber->owner)).load(std::memory_order_acquire);
  if (owner == Fiber::kDead) return FiberTrouble::deleted;
  return owner == 0 || owner == word_of(teb) || owner == word_of(teb) + Fiber::kBound ? FiberTrouble::none
                                                                                      : FiberTrouble::running;
}

FiberTrouble Fibers::take(void* raw) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (!known(raw)) return FiberTrouble::no_fiber;
  }
  auto* const fiber = static_cast<Fiber*>(static_cast<arch::FiberState*>(raw));
  std::uint64_t owner = 0;
  const std::atomic_ref word(fiber->owner);
  if (word.compare_exchange_strong(owner, Fiber::kDead)) return FiberTrouble::none;
  if (owner == word_of(abi::current_teb()) + Fiber::kBound &&
      word.compare_exchange_strong(owner, Fiber::kDead))
    return FiberTrouble::none;
  return owner == Fiber::kDead ? FiberTrouble::deleted : FiberTrouble::running;
}

void Fibers::give_back(Fiber& fiber) noexcept {
  std::atomic_ref(fiber.owner).store(Fiber::kDead, std::memory_order_release);
  if (fiber.stack.valid()) stacks_.give_back(std::exchange(fiber.stack, {}));
  const std::scoped_lock lock(mutex_);
  fiber.next = std::exchange(free_, &fiber);
}

}  // namespace bobbin::thread
