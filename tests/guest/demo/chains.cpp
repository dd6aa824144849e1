#define CHAINS_DLL
#include "chains.hpp"

#include <mutex>

#include "destructors.hpp"
#include "notified.hpp"
#include "primes.hpp"

namespace {

std::mutex longest_lock;
Chains longest;  // guarded by longest_lock

std::uint32_t chain_length(std::uint64_t number) {
  std::uint32_t length = 1;
  for (; number != 1; ++length) number = number % 2 ? 3 * number + 1 : number / 2;
  return length;
}

// On equal lengths the smaller start wins, so that the answer depends on no schedule.
bool is_better(std::uint32_t start, std::uint32_t length, std::uint32_t than_start,
               std::uint32_t than_length) {
  return length > than_length || (length == than_length && start < than_start);
}

// One thread's longest; it competes with the others' when the thread ends.
struct Longest {
  std::uint32_t start = 0, length = 0;

  ~Longest() {
    std::lock_guard hold(longest_lock);
    ++longest.threads;
    if (!is_better(start, length, longest.start, longest.length)) return;
    longest.start = start;
    longest.length = length;
  }
};

thread_local Longest mine;

}  // namespace

void chains_follow(std::uint32_t number) {
  if (!primes_show(number)) return;
  auto length = chain_length(number);
  if (!is_better(number, length, mine.start, mine.length)) return;
  mine.start = number;
  mine.length = length;
}

Chains chains_longest() {
  std::lock_guard hold(longest_lock);
  Chains result = longest;
  result.attached = notified::attached;
  result.detached = notified::detached;
  return result;
}
