// Operations that have to wait: an overlapped read of an empty pipe, a server that waits for a client, a
// watch of a folder. Whoever asks for one goes on at once, and is told when it has ended:
//
//     begin() --attempt--> done at once: the outcome is the answer
//        |
//        `--not now--> queue of the file --> one thread of ours polls the descriptors of all first in line,
//                                            attempts those that are ready, and tells who asked
//
// Operations of one kind on one file are carried out in the order in which they were asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "abi/io.hpp"
#include "os/descriptor.hpp"
#include "os/os.hpp"
#include "sync/dispatcher.hpp"

namespace bobbin::io {

class File;

/// How an operation ended.
struct Outcome {
  std::uint32_t status = 0;
  std::size_t transferred = 0;
  /// Whether it is more than a failure: only then is a failure on return told by the return value alone.
  [[nodiscard]] bool good() const { return static_cast<std::int32_t>(status) >= 0; }
};

/// Who is to be told of an operation's end, and how.
struct Asker {
  abi::IO_STATUS_BLOCK* block = nullptr;  ///< gets the outcome; an OVERLAPPED begins with the same fields
  void* context = nullptr;                ///< what the file's completion port is told; null: nothing
  sync::Ref<sync::Event> event = {};      ///< set at the end, if there is one
  void* routine = nullptr;                ///< called by the thread that asked
  sync::Waiter* thread = nullptr;         ///< the one that asked
  /// What the routine gets: error, count and block; the same with a socket's error, and flags; or, as ntdll
  /// has it, context and block.
  enum class Called : std::uint8_t { for_file, for_socket, by_ntdll } called = Called::for_file;
};

struct Operation {
  enum class Kind : std::uint8_t { read, write, connect, watch };
  Kind kind;
  int fd = -1;  ///< what to poll while it waits; -1: whoever can end it calls look()
  /// Goes on as far as it can without waiting. Nothing: it has to wait (longer). Called under our lock.
  std::function<std::optional<Outcome>()> attempt;
  Asker asker;
};

/// Thread-safe. Its lock comes before the dispatcher lock and before those of pipes and folders.
class Operations final : public sync::WaiterUser {
 public:
  Operations() = default;
  /// All Files that have operations here are gone, or stop() has been called.
  ~Operations() override { stop(); }

  /// The outcome if there is one at once, and whoever asked has been told of it but for the port and the
  /// routine after a failure; nothing if it is pending. STATUS_INSUFFICIENT_RESOURCES if it would be, but
  /// there can be no thread. Throws bad_alloc.
  [[nodiscard]] std::optional<Outcome> begin(File& file, Operation operation);

  /// Something has happened that no descriptor tells: attempts what waits for it. `file` may be gone.
  void look(const File* file);

  /// Ends those of `file` as cancelled (`block`: only that one; `thread`: only that thread's); true if there
  /// were any.
  bool cancel(const File& file, const void* block, const sync::Waiter* thread);
  /// The same for all of them; the file is at its end.
  void forget(const File& file) noexcept;
  /// The server's end of a pipe has been disconnected: `file`'s operations end with that status.
  void end_all(const File& file, std::uint32_t status);

  /// The guest has ended: nobody is told anything any more, since its memory goes.
  void stop() noexcept;

 private:
  using Key = std::pair<const File*, Operation::Kind>;
  struct Waiting {
    Operation operation;
    File* file;
  };
  using Queue = std::deque<Waiting>;

  /// Operations that a thread asked for go with it, as on Windows: its stack may hold what they write to.
  void waiter_ended(const sync::Waiter& waiter) noexcept override;

  void run() noexcept;
  /// Makes the thread look what to poll. The host holds open what is polled, even when it has been closed:
  /// the other end would not see it go.
  void wake() noexcept;
  /// mutex_ is held, for the rest.
  [[nodiscard]] bool ready_to_wait();
  void attempt_first(Queue& queue, std::vector<Waiting>& ended);
  template <class Choose>
  void end_those(std::uint32_t status, bool file_stays, std::vector<Waiting>& ended, Choose choose);
  static void tell_later(const Waiting& of, Outcome outcome, bool file_stays);
  /// All but the block.
  static void tell(const Waiting& of, Outcome outcome, bool later, bool file_stays);

  os::Mutex mutex_;
  std::map<Key, Queue> queues_;  ///< guarded by mutex_; none is empty between two calls
  bool stopping_ = false;        ///< guarded by mutex_
  os::Descriptor wake_;          ///< an eventfd; made with the thread, under mutex_
  std::thread thread_;           ///< started when first needed, under mutex_
};

}  // namespace bobbin::io
