// chains.dll: the longest Collatz chain that any thread came across, starting from a prime (it uses
// primes.dll).
#pragma once

#include <cstdint>

#ifdef CHAINS_DLL
#define CHAINS_API extern "C" __declspec(dllexport)
#else
#define CHAINS_API extern "C" __declspec(dllimport)
#endif

struct Chains {
  std::uint32_t start, length;
  int threads;
  int attached, detached;
};

CHAINS_API void chains_follow(std::uint32_t number);

// Of threads that have ended.
CHAINS_API Chains chains_longest();
