// Threads of our own, beside the guest's and the host's: they wait for what no thread of the guest should.
#pragma once

#include <signal.h>

#include <exception>
#include <thread>
#include <utility>

namespace bobbin::os {

/// Runs `work`, which must not throw, on a thread that takes no signals: those are meant for others. Not
/// joinable if the host has no memory or no thread to give; `work` is gone then.
template <class Work>
[[nodiscard]] std::thread start_service_thread(Work work) noexcept {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread(std::move(work));
  } catch (const std::exception&) {
    thread = {};
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace bobbin::os
