#include "io/operations.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "abi/status.hpp"
#include "io/file.hpp"
#include "io/socket.hpp"
#include "os/service_thread.hpp"

namespace bobbin::io {
namespace {

/// The first field of a block whose operation has ended so.
void* status_word(Outcome outcome) { return reinterpret_cast<void*>(std::uintptr_t{outcome.status}); }

sync::Apc call_of(const Asker& asker, Outcome outcome) {
  const auto block = reinterpret_cast<std::uint64_t>(asker.block);
  switch (asker.called) {
    case Asker::Called::for_socket:
      return {asker.routine, {socket_error_of(outcome.status), outcome.transferred, block}};
    case Asker::Called::by_ntdll:
      return {asker.routine, {reinterpret_cast<std::uint64_t>(asker.context), block}};
    case Asker::Called::for_file:
      break;
  }
  return {asker.routine, {abi::win32_error(outcome.status), outcome.transferred, block}};
}

}  // namespace

std::optional<Outcome> Operations::begin(File& file, Operation operation) {
  Asker& asker = operation.asker;
  // Here and at the end without our lock, since a bad pointer shows here.
  asker.block->Information = 0;
  asker.block->Pointer = status_word({abi::STATUS_PENDING});
  std::optional<Outcome> outcome;
  {
    const Key key(&file, operation.kind);
    const std::scoped_lock lock(mutex_);
    file.waits_in(*this);
    file.set_signalled(false);
    if (asker.event) asker.event->reset();
    if (!queues_.contains(key)) outcome = operation.attempt();
    if (!outcome && !ready_to_wait()) outcome = Outcome{abi::STATUS_INSUFFICIENT_RESOURCES};
    if (!outcome) {
      if (asker.event) asker.event->expect();
      if (asker.thread != nullptr) asker.thread->used_by = this;
      queues_[key].push_back({std::move(operation), &file});
      wake();
      return std::nullopt;
    }
  }
  asker.block->Information = outcome->transferred;
  // Last, for who looks at it without waiting.
  std::atomic_ref(asker.block->Pointer).store(status_word(*outcome), std::memory_order_release);
  tell({std::move(operation), &file}, *outcome, false, true);
  return outcome;
}

void Operations::look(const File* file) {
  std::vector<Waiting> ended;
  const std::scoped_lock lock(mutex_);
  for (auto at = queues_.lower_bound({file, Operation::Kind{}});
       at != queues_.end() && at->first.first == file;) {
    attempt_first(at->second, ended);
    at = at->second.empty() ? queues_.erase(at) : std::next(at);
  }
}

bool Operations::cancel(const File& file, const void* block, const sync::Waiter* thread) {
  std::vector<Waiting> ended;
  const std::scoped_lock lock(mutex_);
  end_those(abi::STATUS_CANCELLED, true, ended, [&](const Waiting& one) {
    const Asker& asker = one.operation.asker;
    return one.file == &file && (block == nullptr || asker.block == block) &&
           (thread == nullptr || asker.thread == thread);
  });
  return !ended.empty();
}

void Operations::end_all(const File& file, std::uint32_t status) {
  std::vector<Waiting> ended;
  const std::scoped_lock lock(mutex_);
  end_those(status, true, ended, [&](const Waiting& one) { return one.file == &file; });
  wake();
}

void Operations::forget(const File& file) noexcept {
  std::vector<Waiting> ended;
  const std::scoped_lock lock(mutex_);
  end_those(abi::STATUS_CANCELLED, false, ended, [&](const Waiting& one) { return one.file == &file; });
  wake();
}

void Operations::waiter_ended(const sync::Waiter& waiter) noexcept {
  std::vector<Waiting> ended;
  const std::scoped_lock lock(mutex_);
  // Those that a port is told of stay, as on Windows.
  end_those(abi::STATUS_CANCELLED, true, ended, [&](Waiting& one) {
    Asker& asker = one.operation.asker;
    if (asker.thread != &waiter) return false;
    if (asker.routine != nullptr || !one.file->has_port()) return true;
    asker.thread = nullptr;
    return false;
  });
}

void Operations::stop() noexcept {
  std::thread thread;
  std::map<Key, Queue> dropped;  // without our lock: with them may go Files
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    dropped.swap(queues_);
    thread = std::move(thread_);
    wake();
  }
  if (thread.joinable()) thread.join();
}

bool Operations::ready_to_wait() {
  if (stopping_) return false;
  if (thread_.joinable()) return true;
  if (!wake_) wake_ = os::Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return false;
  thread_ = os::start_service_thread([this] { run(); });
  return thread_.joinable();
}

void Operations::wake() noexcept {
  const std::uint64_t one = 1;
  if (wake_) (void)!write(wake_.get(), &one, sizeof one);  // full is as good: it will be read
}

void Operations::run() noexcept {
  std::vector<pollfd> items;
  std::vector<int> ready;
  for (;;) {
    items.clear();
    {
      const std::scoped_lock lock(mutex_);
      if (stopping_) return;
      items.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
      for (const auto& [key, queue] : queues_) {
        const int fd = queue.front().operation.fd;
        const auto events = static_cast<short>(key.second == Operation::Kind::write ? POLLOUT : POLLIN);
        if (fd >= 0) items.push_back({.fd = fd, .events = events, .revents = 0});
      }
    }
    if (poll(items.data(), items.size(), -1) <= 0) continue;
    std::uint64_t count = 0;
    if (items[0].revents != 0) (void)!read(wake_.get(), &count, sizeof count);
    // A descriptor may have come to mean something else in between: an attempt too many does no harm.
    ready.clear();
    for (const pollfd& item : items) {
      if (item.revents != 0) ready.push_back(item.fd);
    }
    std::ranges::sort(ready);
    std::vector<Waiting> ended;
    const std::scoped_lock lock(mutex_);
    for (auto at = queues_.begin(); at != queues_.end();) {
      if (std::ranges::binary_search(ready, at->second.front().operation.fd))
        attempt_first(at->second, ended);
      at = at->second.empty() ? queues_.erase(at) : std::next(at);
    }
  }
}

void Operations::attempt_first(Queue& queue, std::vector<Waiting>& ended) {
  while (!queue.empty()) {
    const auto outcome = queue.front().operation.attempt();
    if (!outcome) return;
    tell_later(queue.front(), *outcome, true);
    ended.push_back(std::move(queue.front()));
    queue.pop_front();
  }
}

template <class Choose>
void Operations::end_those(std::uint32_t status, bool file_stays, std::vector<Waiting>& ended,
                           Choose choose) {
  for (auto at = queues_.begin(); at != queues_.end();) {
    Queue& queue = at->second;
    for (auto one = queue.begin(); one != queue.end();) {
      if (!choose(*one)) {
        ++one;
        continue;
      }
      tell_later(*one, {status}, file_stays);
      ended.push_back(std::move(*one));
      one = queue.erase(one);
    }
    at = queue.empty() ? queues_.erase(at) : std::next(at);
  }
}

void Operations::tell_later(const Waiting& of, Outcome outcome, bool file_stays) {
  abi::IO_STATUS_BLOCK& block = *of.operation.asker.block;
  void* const status = status_word(outcome);
  // A guest may have given its memory back, which is its own loss. The status last, as in begin().
  (void)os::copy_to_doubtful(&block.Information, &outcome.transferred, sizeof block.Information);
  (void)os::copy_to_doubtful(&block.Pointer, &status, sizeof block.Pointer);
  tell(of, outcome, true, file_stays);
}

void Operations::tell(const Waiting& of, Outcome outcome, bool later, bool file_stays) {
  const Asker& asker = of.operation.asker;
  if (file_stays) of.file->set_signalled(true);
  if (asker.event) later ? asker.event->set_as_expected() : void(asker.event->set());
  if (!later && !outcome.good()) return;
  if (asker.routine != nullptr) {
    sync::queue_apc(*asker.thread, call_of(asker, outcome));
  } else if (asker.context != nullptr) {
    of.file->completed(asker.context, outcome, later);
  }
}

}  // namespace bobbin::io
