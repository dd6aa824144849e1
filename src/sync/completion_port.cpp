#include "sync/completion_port.hpp"

namespace bobbin::sync {

void CompletionPort::post(Packet packet) {
  DispatcherLock lock;
  packets_.push_back(packet);
  lock.notify(*this);
}

void CompletionPort::on_last_handle_closed() noexcept {
  DispatcherLock lock;
  closed_ = true;
  lock.notify(*this);
}

CompletionPort::Taken CompletionPort::take(std::span<Packet> into, os::Deadline deadline, Waiter& self,
                                           bool alertable) {
  for (;;) {
    const WaitOutcome outcome = wait(*this, deadline, self, alertable);
    if (outcome.kind != WaitOutcome::Kind::satisfied) return {outcome.kind, 0};
    const DispatcherLock lock;
    std::size_t count = 0;
    for (; count < into.size() && !packets_.empty(); ++count) {
      into[count] = packets_.front();
      packets_.pop_front();
    }
    if (count != 0) return {outcome.kind, count};
    if (closed_) return {WaitOutcome::Kind::abandoned, 0};
    // Another thread has been quicker.
  }
}

}  // namespace bobbin::sync
