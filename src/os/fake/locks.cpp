#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "os/fake/fake.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

constexpr std::uint32_t kWriter = 0x80000000u;

constinit std::atomic<fake::Scheduler*> g_scheduler{nullptr};

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "os/fake: %s\n", what);
  std::abort();
}

std::uint32_t self() {
  static thread_local const auto id = static_cast<std::uint32_t>(gettid());
  return id;
}

void reach() {
  if (fake::Scheduler* scheduler = g_scheduler.load()) scheduler->reach();
}

void wait_for(const void* lock) {
  if (fake::Scheduler* scheduler = g_scheduler.load())
    scheduler->wait_for(lock);
  else
    sched_yield();
}

void freed(const void* lock) {
  if (fake::Scheduler* scheduler = g_scheduler.load()) {
    scheduler->freed(lock);
    scheduler->reach();
  }
}

}  // namespace

void fake::install(Scheduler* scheduler) { g_scheduler = scheduler; }

// Mutex: word_ is the owner's thread id.

bool Mutex::try_lock() noexcept {
  std::uint32_t owner = 0;
  return word_.compare_exchange_strong(owner, self());
}

void Mutex::lock() noexcept {
  if (word_.load() == self()) misuse("a mutex is locked by its owner");
  reach();
  while (!try_lock()) wait_for(this);
}

void Mutex::unlock() noexcept {
  std::uint32_t owner = self();
  if (!word_.compare_exchange_strong(owner, 0)) misuse("a mutex is unlocked by a stranger");
  freed(this);
}

// RwLock: word_ counts readers or is kWriter; waiting_ is the writer's thread id.

void RwLock::lock() noexcept {
  if (waiting_.load() == self()) misuse("a read-write lock is locked by its writer");
  reach();
  for (std::uint32_t none = 0; !word_.compare_exchange_strong(none, kWriter); none = 0) wait_for(this);
  waiting_ = self();
}

void RwLock::unlock() noexcept {
  std::uint32_t owner = self();
  if (!waiting_.compare_exchange_strong(owner, 0)) misuse("a read-write lock is unlocked by a stranger");
  word_ = 0;
  freed(this);
}

void RwLock::lock_shared() noexcept {
  if (waiting_.load() == self()) misuse("a read-write lock is locked by its writer");
  reach();
  for (;;) {
    std::uint32_t readers = word_.load();
    if (readers == kWriter)
      wait_for(this);
    else if (word_.compare_exchange_strong(readers, readers + 1))
      return;
  }
}

void RwLock::unlock_shared() noexcept {
  const std::uint32_t before = word_.fetch_sub(1);
  if (before == 0 || before == kWriter) misuse("a read-write lock has no reader to leave it");
  freed(this);
}

}  // namespace bobbin::os
