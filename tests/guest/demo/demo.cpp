// The demonstration: a Windows program whose answer comes out of thread-local storage.
//
// Four std::threads share out the numbers below one million. What each finds, it keeps in thread_local
// objects: one in this EXE, one in each of two DLLs. Nobody collects the results: the objects' destructors
// do, when their thread ends. So the totals are right only if every thread got its own copy of each module's
// template, if every destructor ran, and if join() returned only after that.
#include <cstdio>
#include <thread>
#include <vector>

#include "chains.hpp"
#include "destructors.hpp"
#include "notified.hpp"
#include "primes.hpp"

namespace {

constexpr std::uint32_t kEnd = 1'000'000;
constexpr std::uint32_t kThreads = 4;
constexpr std::uint32_t kPiece = 1'000;  // numbers go to the threads piece by piece, in turns

std::atomic<std::uint32_t> numbers_seen{0}, workers_ended{0};

struct Worker {
  std::uint32_t seen = 0;

  ~Worker() {
    numbers_seen += seen;
    ++workers_ended;
  }
};

thread_local Worker worker;
thread_local int template_value = 42;  // no destructor: the bytes of the .tls section

std::atomic<int> saw_the_template{0};

void work_on_piece(std::uint32_t first) {
  for (auto number = first; number < first + kPiece; ++number) {
    ++worker.seen;
    chains_follow(number);
  }
}

void work(std::uint32_t which) {
  saw_the_template += template_value == 42;
  template_value = static_cast<int>(which);
  for (auto first = which * kPiece; first < kEnd; first += kThreads * kPiece) work_on_piece(first);
}

}  // namespace

int main() {
  template_value = -1;  // main's own copy
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (auto& thread : threads) thread.join();

  auto primes = primes_total();
  auto chains = chains_longest();
  std::printf("demo.exe    %u threads saw %u numbers; %d of them found the template untouched\n",
              workers_ended.load(), numbers_seen.load(), saw_the_template.load());
  std::printf("primes.dll  %d threads: %llu primes, sum %llu\n", primes.threads,
              static_cast<unsigned long long>(primes.count), static_cast<unsigned long long>(primes.sum));
  std::printf("chains.dll  %d threads: the longest chain has %u steps, from %u\n", chains.threads,
              chains.length, chains.start);
  std::printf("TLS callbacks, attach/detach: demo.exe %d/%d, primes.dll %d/%d, chains.dll %d/%d\n",
              notified::attached.load(), notified::detached.load(), primes.attached, primes.detached,
              chains.attached, chains.detached);
  return template_value == -1 ? 0 : 1;
}
