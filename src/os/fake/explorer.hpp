// Explores schedules: runs a scenario of a few threads again and again, each time in another order, until
// every order with up to so many pre-emptions has been seen.
//
// The scenario's threads are real ones that take turns: one runs, the others sleep. The turn can change where
// another thread's turn could make a difference, which is what the fake's locks know: after a lock is given
// back, before one is taken while another is held, and where one has to wait. From one such point to the next
// is a step; what the running thread does in it is its own, or guarded. Taking the turn from a thread that
// could go on is a pre-emption. Most bugs of concurrency need one or two of them in the right places, and the
// number of orders with up to two grows with the square of the number of steps, while that of all orders
// grows beyond any time there is.
//
//     schedule   A3 B2 A1     A runs three steps, B two, A one; then whoever runs goes on while it can, and
//                             after it the first that can
//
// What is not explored: orders within a step (for data that no lock guards, the thread sanitizer is the
// judge), and memory models weaker than the order of the turns.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bobbin::os::fake {

/// What is to be run. Made anew for each schedule; what its functions use, they keep alive.
struct Scenario {
  /// At most eight. Their behaviour depends on the order of their turns, and on nothing else.
  std::vector<std::function<void()>> threads;
  /// Asked after each step while no lock is held, and at the end: what is wrong, or nothing.
  std::function<std::optional<std::string>()> broken = {};
};

struct Bounds {
  int preemptions = 2;
  /// Not empty: this schedule alone is run.
  std::string replay = {};
};

struct Exploration {
  std::size_t schedules = 0;  ///< how many were run: all there are within the bounds, unless one failed
  std::size_t steps = 0;      ///< in all of them together
  std::string failure = {};   ///< what went wrong; empty: nothing
  std::string schedule = {};  ///< that led to the failure: for Bounds::replay
};

/// Runs the scenario in every order, those with fewer pre-emptions first; stops at the first failure. Each
/// run must give back what it took from the host (books()), end without a deadlock, and keep what `broken`
/// and require() ask for. One that crashes prints its schedule first. One exploration at a time.
[[nodiscard]] Exploration explore(const std::function<Scenario()>& make, const Bounds& bounds);

/// For the scenario's threads: the run has failed if the condition does not hold.
void require(bool condition, const std::string& what);

/// For the scenario's threads: a point where the turn may change although no lock is there.
void pause();

}  // namespace bobbin::os::fake
