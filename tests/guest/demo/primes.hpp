// primes.dll: how many primes all threads together were shown.
#pragma once

#include <cstdint>

#ifdef PRIMES_DLL
#define PRIMES_API extern "C" __declspec(dllexport)
#else
#define PRIMES_API extern "C" __declspec(dllimport)
#endif

struct Primes {
  std::uint64_t count, sum;
  int threads;             // how many threads' tallies are in it
  int attached, detached;  // what the DLL's TLS callback was told
};

PRIMES_API bool primes_show(std::uint32_t number);

// Of threads that have ended; a running thread's tally is its own.
PRIMES_API Primes primes_total();
