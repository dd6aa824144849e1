// A host for tests, linked in place of os/linux's memory and locks (threads, clocks and futexes stay real).
//
// Memory is the real host's, so that copy-on-write and page protection mean what they say, but every piece is
// written down in books: a test compares them before and after, and giving back what was never taken aborts.
// Locks abort on misuse, and hand control to a scheduler, if one is installed, wherever another thread's turn
// could make a difference: after giving one back, before taking a further one, and when they have to wait.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bobbin::os::fake {

/// What is taken from the host at this moment.
struct Books {
  std::size_t mappings;      ///< reservations and views at an address of the host's choice
  std::size_t mapped_bytes;  ///< their address space
  std::size_t allocations;   ///< blocks of allocate()
  std::size_t files;         ///< MemoryFiles
  bool operator==(const Books&) const = default;
};
[[nodiscard]] Books books();

/// Decides who runs next. Its threads are the test's; calls come from whichever thread reaches the point.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// A point where another thread may run first; returns when the caller's turn has come.
  virtual void reach() = 0;
  /// `lock` is held by somebody else; returns when it may have become free and it is the caller's turn.
  virtual void wait_for(const void* lock) = 0;
  /// `lock` may have become free.
  virtual void freed(const void* lock) = 0;
};

/// How many locks are held at this moment, by whoever.
[[nodiscard]] int locks_held();

/// From now on locks ask `scheduler`; null: they spin, as without one. Set while no lock is held.
void install(Scheduler* scheduler);

}  // namespace bobbin::os::fake
