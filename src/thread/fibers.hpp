// Fibers: stacks that guest code switches between by itself. A thread that wants to takes part as a fiber
// first (ConvertThreadToFiber); any thread that did may run any fiber that no other thread runs.
//
//     plain thread --convert--> thread that is a fiber --SwitchToFiber--> the same thread, another fiber
//          ^------------ convert back -----'
//
// A stack belongs to the fiber that stands on it, and to a thread only as long as that is none. So when a
// thread ends, the stack goes that it ends on; the one that it began on may live on in a fiber, and be run by
// another thread. That is why host frames stand apart from it (Threads::host_main): what is on a fiber's
// stack is the guest's, and such natives' that have called back into the guest.
//
// The exception are threads of the host, and of our own services: the fiber that such a thread began as has
// host frames below it, which no other thread can run, and which are never skipped. It is bound to its
// thread, and when the thread is to leave, its gates are left after those of the fiber that happens to run.
#pragma once

#include <cstdint>
#include <vector>

#include "abi/teb.hpp"
#include "arch/x86_64/fiber.hpp"
#include "base/error.hpp"
#include "os/os.hpp"
#include "thread/stacks.hpp"

namespace bobbin::thread {

struct Place;

/// One fiber. Its memory is never given back while there is a Fibers, so that one that was deleted can be
/// told from one that lives.
struct Fiber : arch::FiberState {
  /// `owner` of one that was deleted, or never was one.
  static constexpr std::uint64_t kDead = 2;
  /// Added to the TEB: `owner` of one that is bound to that thread, and not running.
  static constexpr std::uint64_t kBound = 1;

  Stack stack;            ///< invalid if it is the host's
  Fiber* next = nullptr;  ///< chains those that are free; guarded by Fibers
};

/// Why a fiber cannot be switched to or deleted.
enum class FiberTrouble : std::uint8_t { none, plain_thread, no_fiber, deleted, running };

/// All fibers of the process. Thread-safe.
class Fibers {
 public:
  explicit Fibers(StackPool& stacks) : stacks_(stacks) {}
  ~Fibers();
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  /// A fiber on a stack of its own; when it first runs it calls `routine(data)`, then `end(1)`.
  [[nodiscard]] Result<Fiber*> create(std::size_t stack_size, void* routine, void* data, void* end);
  /// The calling thread, a plain one, becomes a fiber, whose stack is `stack`.
  [[nodiscard]] Result<Fiber*> convert_thread(abi::TEB& teb, Stack stack, void* data, bool bound);
  /// The calling thread stops being a fiber: hands its stack back.
  [[nodiscard]] Stack convert_fiber(abi::TEB& teb) noexcept;
  /// Makes it dead, if nobody runs it, so that its stack can be given back.
  [[nodiscard]] FiberTrouble take(void* raw) noexcept;
  /// Gives back one that is dead, and its stack.
  void give_back(Fiber& fiber) noexcept;

  /// Whether the calling thread can switch to it.
  [[nodiscard]] FiberTrouble check(const void* raw) noexcept;

 private:
  [[nodiscard]] bool known(const void* fiber) const;
  [[nodiscard]] Fiber* make();

  static constexpr std::size_t kInSlab = 64;
  StackPool& stacks_;
  os::Mutex mutex_;
  std::vector<Fiber*> slabs_;  ///< guarded by mutex_
  std::size_t made_ = 0;       ///< ever taken from slabs; guarded by mutex_
  Fiber* free_ = nullptr;      ///< guarded by mutex_
};

}  // namespace bobbin::thread
