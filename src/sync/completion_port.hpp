// Completion ports: a queue of packets that say what has been done, and threads that wait for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "sync/dispatcher.hpp"

namespace bobbin::sync {

/// One thing that has been done, as its waiter is told.
struct Packet {
  std::uint64_t key = 0;       ///< whose it is, in the guest's words
  void* overlapped = nullptr;  ///< which operation, likewise
  std::uint64_t transferred = 0;
  std::uint32_t status = 0;
};

/// First in, first out. Signalled while there are packets, and when nobody can post any more, since its last
/// handle has been closed; a wait that is satisfied takes none.
class CompletionPort final : public Waitable {
 public:
  CompletionPort() : Waitable(sync::Kind::completion_port) {}

  /// Throws bad_alloc, and then nothing is queued.
  void post(Packet packet);

  struct Taken {
    WaitOutcome::Kind outcome = WaitOutcome::Kind::satisfied;
    std::size_t count = 0;  ///< of packets; not 0 if satisfied
  };
  /// Waits for packets and takes as many as are there and fit. Abandoned if there will be none.
  [[nodiscard]] Taken take(std::span<Packet> into, os::Deadline deadline, Waiter& self, bool alertable);

 private:
  void on_last_handle_closed() noexcept override;
  bool signalled(const Waiter&) const override { return !packets_.empty() || closed_; }

  std::deque<Packet> packets_;  ///< guarded by the dispatcher lock
  bool closed_ = false;         ///< guarded by the dispatcher lock
};

}  // namespace bobbin::sync
