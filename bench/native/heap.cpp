// Twin of guest/heap.c: malloc and free. There is one heap, so heap.own repeats heap.16.
#include <thread>
#include <vector>

#include "bench.hpp"

constexpr int kIterations = 1000000;
constexpr int kLive = 1000;
constexpr int kThreads = 4;

static void* kept(void* block) {
  asm volatile("" : "+r"(block) : : "memory");  // the compiler knows malloc, and would leave both calls out
  return block;
}

static void pairs(std::size_t size, int iterations) {
  for (int i = 0; i < iterations; ++i) std::free(kept(std::malloc(size)));
}

static void measure_pairs(const char* name, std::size_t size) {
  pairs(size, kIterations / 10);
  const auto from = Clock::now();
  pairs(size, kIterations);
  report(name, from, kIterations);
}

static void measure_live(const char* name, std::size_t size) {
  static void* blocks[kLive];
  const auto from = Clock::now();
  for (int turn = 0; turn < kIterations / kLive; ++turn) {
    for (void*& block : blocks) require((block = kept(std::malloc(size))) != nullptr);
    for (void* block : blocks) std::free(block);
  }
  report(name, from, kIterations);
}

static void measure_threads(const char* name) {
  std::vector<std::thread> threads;
  const auto from = Clock::now();
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(pairs, 64, kIterations);
  for (auto& thread : threads) thread.join();
  report(name, from, kThreads * kIterations);
}

int main() {
  measure_pairs("heap.16", 16);
  measure_pairs("heap.own", 16);
  measure_pairs("heap.1000", 1000);
  measure_pairs("heap.64k", 65536);
  measure_live("heap.live", 64);
  measure_threads("heap.threads");
}
