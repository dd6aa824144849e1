// Locks, waiting, clocks and threads of the real host.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include "abi/status.hpp"
#include "os/linux/injection.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

constexpr std::uint32_t kWriter = 0x80000000u;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::uint32_t* raw(const std::atomic<std::uint32_t>& word) {
  return reinterpret_cast<std::uint32_t*>(const_cast<std::atomic<std::uint32_t>*>(&word));
}

struct Start {
  void (*routine)(void*);
  void* argument;
};

void* run(void* start) {
  const Start copy = *static_cast<Start*>(start);
  deallocate(start);
  copy.routine(copy.argument);
  return nullptr;
}

}  // namespace

WaitResult futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline) noexcept {
  timespec until{};
  if (deadline) {
    until.tv_sec = static_cast<time_t>(*deadline / kNanosecondsPerSecond);
    until.tv_nsec = static_cast<long>(*deadline % kNanosecondsPerSecond);
  }
  // WAIT_BITSET takes an absolute time, so a wait that is woken for nothing does not start over.
  const long result = syscall(SYS_futex, raw(word), FUTEX_WAIT_BITSET_PRIVATE, expected,
                              deadline ? &until : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0 || errno == EAGAIN) return WaitResult::woken;
  return errno == ETIMEDOUT ? WaitResult::timed_out : WaitResult::interrupted;
}

void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  syscall(SYS_futex, raw(word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

bool Mutex::try_lock() noexcept {
  std::uint32_t expected = 0;
  return word_.compare_exchange_strong(expected, 1, std::memory_order_acquire);
}

void Mutex::lock() noexcept {
  if (try_lock()) [[likely]] return;
  while (word_.exchange(2, std::memory_order_acquire) != 0) futex_wait(word_, 2);
}

void Mutex::unlock() noexcept {
  if (word_.exchange(0, std::memory_order_release) == 2) futex_wake(word_, 1);
}

void RwLock::lock() noexcept {
  waiting_.fetch_add(1);
  for (;;) {
    std::uint32_t expected = 0;
    if (word_.compare_exchange_strong(expected, kWriter, std::memory_order_acquire)) break;
    futex_wait(word_, expected);
  }
  waiting_.fetch_sub(1);
}

void RwLock::unlock() noexcept {
  word_.store(0, std::memory_order_release);
  futex_wake(word_, INT_MAX);
}

void RwLock::lock_shared() noexcept {
  for (;;) {
    std::uint32_t word = word_.load();
    if ((word & kWriter) == 0 && waiting_.load() == 0) {
      if (word_.compare_exchange_weak(word, word + 1, std::memory_order_acquire)) return;
      continue;
    }
    if (word == 0) {  // a writer is about to take it: let it
      timespec moment{.tv_sec = 0, .tv_nsec = 1000};
      nanosleep(&moment, nullptr);
      continue;
    }
    futex_wait(word_, word);
  }
}

void RwLock::unlock_shared() noexcept {
  if (word_.fetch_sub(1, std::memory_order_release) == 1) futex_wake(word_, INT_MAX);
}

std::uint64_t monotonic_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t system_time_now() noexcept {
  constexpr std::uint64_t kUnixEpoch = 116'444'736'000'000'000;  // 1970 in FILETIME units
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return kUnixEpoch + static_cast<std::uint64_t>(now.tv_sec) * 10'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 100;
}

Result<HostThread> start_thread(std::byte* stack, std::size_t size, void (*routine)(void*), void* argument) {
  auto* start = static_cast<Start*>(allocate(sizeof(Start)));  // nullptr when a test asked for a failure
  int code = ENOMEM;
  pthread_t thread{};
  if (start != nullptr) {
    *start = {routine, argument};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, size);
    code = pthread_create(&thread, &attributes, run, start);
    pthread_attr_destroy(&attributes);
  }
  if (code == 0) return HostThread{thread};
  deallocate(start);
  return fail({.kind = ErrorKind::out_of_memory,
               .status = abi::STATUS_NO_MEMORY,
               .what = std::string("starting a thread failed: ") + std::strerror(code),
               .advice = "look at the limits on processes and memory (ulimit -u, -v)"});
}

bool try_join(HostThread thread) noexcept { return pthread_tryjoin_np(thread.id, nullptr) == 0; }

std::uint32_t host_thread_id() noexcept { return static_cast<std::uint32_t>(gettid()); }

}  // namespace bobbin::os
