#define PRIMES_DLL
#include "primes.hpp"

#include <mutex>

#include "destructors.hpp"
#include "notified.hpp"

namespace {

std::mutex total_lock;
Primes total;  // guarded by total_lock

bool is_prime(std::uint32_t number) {
  for (std::uint32_t divisor = 2; divisor * divisor <= number; ++divisor)
    if (number % divisor == 0) return false;
  return number > 1;
}

// One thread's share; it joins the total when the thread ends.
struct Tally {
  std::uint64_t count = 0, sum = 0;

  ~Tally() {
    std::lock_guard hold(total_lock);
    total.count += count;
    total.sum += sum;
    ++total.threads;
  }
};

thread_local Tally tally;

}  // namespace

bool primes_show(std::uint32_t number) {
  if (!is_prime(number)) return false;
  ++tally.count;
  tally.sum += number;
  return true;
}

Primes primes_total() {
  std::lock_guard hold(total_lock);
  Primes result = total;
  result.attached = notified::attached;
  result.detached = notified::detached;
  return result;
}
