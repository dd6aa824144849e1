// Waiting, clocks and threads of the real host.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "abi/status.hpp"
#include "os/os.hpp"

namespace bobbin::os {
namespace {

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

HostThread current_host_thread() noexcept { return HostThread{pthread_self()}; }

bool try_join(HostThread thread) noexcept { return pthread_tryjoin_np(thread.id, nullptr) == 0; }

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(getpid()); }

std::uint32_t host_thread_id() noexcept { return static_cast<std::uint32_t>(gettid()); }

std::uint64_t cpu_time(std::uint32_t host_thread_id) noexcept {
  // A thread's clock, as the kernel's headers number them: its id inverted, 4 for "of a thread", 2 for "in
  // ns".
  const auto clock = static_cast<clockid_t>((~host_thread_id << 3) | 6u);
  timespec spent{};
  if (clock_gettime(clock, &spent) != 0) return 0;
  return static_cast<std::uint64_t>(spent.tv_sec) * 10'000'000 +
         static_cast<std::uint64_t>(spent.tv_nsec) / 100;
}

}  // namespace bobbin::os
