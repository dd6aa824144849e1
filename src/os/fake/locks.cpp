#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "os/fake/fake.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

constexpr std::uint32_t kWriter = 0x80000000u;
constexpr std::uint32_t kWriterWaits = 0x40000000u;

constinit std::atomic<fake::Scheduler*> g_scheduler{nullptr};
constinit std::atomic<int> g_held{0};
thread_local int t_held = 0;

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "os/fake: %s\n", what);
  std::abort();
}

std::uint32_t self() {
  static thread_local const auto id = static_cast<std::uint32_t>(gettid());
  return id;
}

/// Before a lock is taken. A thread that holds none has just been at such a point, when it gave back its last
/// one: what it did since is nobody's but its own.
void about_to_take() {
  if (t_held == 0) return;
  if (fake::Scheduler* scheduler = g_scheduler.load()) scheduler->reach();
}

void wait_for(const void* lock) {
  if (fake::Scheduler* scheduler = g_scheduler.load())
    scheduler->wait_for(lock);
  else
    sched_yield();
}

void taken() {
  g_held.fetch_add(1, std::memory_order_relaxed);
  ++t_held;
}

/// The caller has given `lock` back; it may still be others'.
void left(const void* lock, bool free) {
  g_held.fetch_sub(1, std::memory_order_relaxed);
  --t_held;
  if (fake::Scheduler* scheduler = g_scheduler.load()) {
    if (free) scheduler->freed(lock);
    scheduler->reach();
  }
}

}  // namespace

void fake::install(Scheduler* scheduler) { g_scheduler = scheduler; }

int fake::locks_held() { return g_held; }

// Mutex: word_ is the owner's thread id.

bool Mutex::try_lock() noexcept {
  std::uint32_t owner = 0;
  const bool got = word_.compare_exchange_strong(owner, self());
  if (got) taken();
  return got;
}

void Mutex::lock() noexcept {
  if (word_.load() == self()) misuse("a mutex is locked by its owner");
  about_to_take();
  while (!try_lock()) wait_for(this);
}

void Mutex::unlock() noexcept {
  std::uint32_t owner = self();
  if (!word_.compare_exchange_strong(owner, 0)) misuse("a mutex is unlocked by a stranger");
  left(this, true);
}

// RwLock: word_ counts readers or is kWriter, and says whether a writer waits: as on the real host, that
// holds new readers off, so a reader that comes back for more can meet its end here too. waiting_ is the
// writer's thread id.

void RwLock::lock() noexcept {
  if (waiting_.load() == self()) misuse("a read-write lock is locked by its writer");
  about_to_take();
  for (std::uint32_t word = word_.load();;) {
    if ((word & ~kWriterWaits) == 0) {
      if (word_.compare_exchange_strong(word, kWriter)) break;  // other writers that wait say so again
    } else if ((word & kWriterWaits) != 0 || word_.compare_exchange_strong(word, word | kWriterWaits)) {
      wait_for(this);
      word = word_.load();
    }
  }
  waiting_ = self();
  taken();
}

void RwLock::unlock() noexcept {
  std::uint32_t owner = self();
  if (!waiting_.compare_exchange_strong(owner, 0)) misuse("a read-write lock is unlocked by a stranger");
  word_ = 0;
  left(this, true);
}

void RwLock::lock_shared() noexcept {
  if (waiting_.load() == self()) misuse("a read-write lock is locked by its writer");
  about_to_take();
  for (std::uint32_t word = word_.load();;) {
    if ((word & (kWriter | kWriterWaits)) != 0) {
      wait_for(this);
      word = word_.load();
    } else if (word_.compare_exchange_strong(word, word + 1)) {
      break;
    }
  }
  taken();
}

void RwLock::unlock_shared() noexcept {
  // The last reader clears the mark too: the writer takes the lock, or marks it again.
  std::uint32_t word = word_.load();
  do {
    if ((word & ~kWriterWaits) == 0 || (word & kWriter) != 0)
      misuse("a read-write lock has no reader to leave it");
  } while (!word_.compare_exchange_weak(word, (word & ~kWriterWaits) == 1 ? 0 : word - 1));
  left(this, (word & ~kWriterWaits) == 1);
}

}  // namespace bobbin::os
