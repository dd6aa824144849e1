// Failure injection's counter, shared by the real host and the fake one.
#pragma once

#include <atomic>
#include <cstdint>

namespace bobbin::os {

/// Says when the n-th of something has come, whichever thread it comes from.
class Countdown {
 public:
  /// The n-th call of come() from now on answers true, 0: none. Hands back how many were left to the former
  /// n-th.
  std::uint64_t start(std::uint64_t nth) noexcept { return left_.exchange(nth, std::memory_order_relaxed); }
  [[nodiscard]] bool come() noexcept {
    std::uint64_t left = left_.load(std::memory_order_relaxed);
    if (left == 0) [[likely]]
      return false;
    while (left != 0 && !left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
    }
    return left == 1;
  }

 private:
  std::atomic<std::uint64_t> left_{0};
};

}  // namespace bobbin::os
