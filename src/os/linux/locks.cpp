// Locks over futexes.
#include <climits>

#include "os/os.hpp"

namespace bobbin::os {
namespace {

constexpr std::uint32_t kWriter = 0x80000000u;
constexpr std::uint32_t kWriterWaits = 0x40000000u;

}  // namespace

bool Mutex::try_lock() noexcept {
  std::uint32_t expected = 0;
  return word_.compare_exchange_strong(expected, 1, std::memory_order_acquire);
}

void Mutex::lock() noexcept {
  if (try_lock()) [[likely]]
    return;
  while (word_.exchange(2, std::memory_order_acquire) != 0) futex_wait(word_, 2);
}

void Mutex::unlock() noexcept {
  if (word_.exchange(0, std::memory_order_release) == 2) futex_wake(word_, 1);
}

// RwLock: `word_` is what a sleeper waits on, so it also carries "a writer waits" (readers must see it
// change). Whoever may sleep counts itself in `waiting_` first; whoever unlocks looks at `waiting_` after.
// Both are sequentially consistent, so either the sleeper sees the unlocked word or the unlocker sees the
// sleeper, and an uncontended unlock makes no system call.

void RwLock::lock() noexcept {
  std::uint32_t word = 0;
  if (word_.compare_exchange_strong(word, kWriter)) [[likely]]
    return;
  waiting_.fetch_add(1);
  for (;;) {
    word = word_.load();
    if ((word & ~kWriterWaits) == 0) {
      if (word_.compare_exchange_strong(word, kWriter)) break;  // other writers that wait say so again
    } else if ((word & kWriterWaits) != 0 || word_.compare_exchange_strong(word, word | kWriterWaits)) {
      futex_wait(word_, word | kWriterWaits);
    }
  }
  waiting_.fetch_sub(1);
}

void RwLock::unlock() noexcept {
  word_.store(0);
  if (waiting_.load() != 0) futex_wake(word_, INT_MAX);
}

void RwLock::lock_shared() noexcept {
  std::uint32_t word = word_.load(std::memory_order_relaxed);
  while ((word & (kWriter | kWriterWaits)) == 0) {
    if (word_.compare_exchange_weak(word, word + 1)) [[likely]]
      return;
  }
  waiting_.fetch_add(1);
  for (;;) {
    word = word_.load();
    if ((word & (kWriter | kWriterWaits)) != 0) {
      futex_wait(word_, word);
    } else if (word_.compare_exchange_strong(word, word + 1)) {
      break;
    }
  }
  waiting_.fetch_sub(1);
}

void RwLock::unlock_shared() noexcept {
  // The last reader clears the mark too: the writer takes the lock, or marks it again.
  std::uint32_t word = word_.load(std::memory_order_relaxed);
  while (!word_.compare_exchange_weak(word, (word & ~kWriterWaits) == 1 ? 0 : word - 1)) {
  }
  if (waiting_.load() != 0) futex_wake(word_, INT_MAX);
}

}  // namespace bobbin::os
