// Named pipes: `\\.\pipe\name`, as one server and one client each see an instance of it.
//
// An instance is a pair of the host's descriptors: a pipe if bytes go one way, else two connected sockets.
// The pair is made before there is a client; it is given the other end when it opens the name. So bytes go
// between server and client, and handles of either can be inherited by children, without anybody in between.
// Names are known within the process, as those of events are.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/file.hpp"
#include "io/operations.hpp"
#include "os/descriptor.hpp"
#include "sync/dispatcher.hpp"

namespace bobbin::io {

class NamedPipes;

/// What a server says of its pipe. All instances of a name agree in all but the size.
struct PipeTerms {
  bool to_server = false;           ///< clients write
  bool to_client = false;           ///< clients read
  std::uint32_t most = 255;         ///< instances
  std::uint32_t default_wait = 50;  ///< milliseconds, of a client that has no idea of its own
};

/// One instance, as its server's File knows it. Goes with that File.
struct PipeInstance {
  enum class State : std::uint8_t { listening, connected, disconnected };

  NamedPipes& all;
  const std::u16string name;
  const PipeTerms terms;
  const std::size_t size;                      ///< of the buffer, as far as the host lets it be chosen
  const File* file = nullptr;                  ///< guarded by NamedPipes::mutex_, as is the rest
  os::Descriptor client{};                     ///< the end that nobody has opened yet
  std::atomic<State> state{State::listening};  ///< may be read without the lock
};

/// Thread-safe; outlives the Files.
class NamedPipes {
 public:
  explicit NamedPipes(Operations& operations) : operations_(operations) {}

  /// The name in `\\.\pipe\name`; nothing if the path is no pipe's.
  [[nodiscard]] static std::optional<std::u16string_view> name_in(std::u16string_view path);

  /// Whether the path is that of the folder of pipes itself.
  [[nodiscard]] static bool is_folder(std::u16string_view path);
  /// That folder, opened.
  [[nodiscard]] static Result<sync::Ref<File>> open_folder();

  /// A new instance, in which a client can already be. `flags` are FILE_FLAG_*. An empty name is nobody's
  /// else: open_client() alone gets to it. STATUS_ACCESS_DENIED if it must be the `first` and is not, or the
  /// terms are others; STATUS_INSTANCE_NOT_AVAILABLE if there are enough.
  [[nodiscard]] Result<sync::Ref<File>> create(std::u16string_view name, PipeTerms terms, std::uint32_t flags,
                                               std::size_t size, bool first);
  /// The client's end. STATUS_OBJECT_NAME_NOT_FOUND, STATUS_PIPE_NOT_AVAILABLE, STATUS_ACCESS_DENIED.
  [[nodiscard]] Result<sync::Ref<File>> open(std::u16string_view name, std::uint32_t access,
                                             std::uint32_t flags);
  /// The same for the instance that `server` is an end of.
  [[nodiscard]] Result<sync::Ref<File>> open_client(const File& server, std::uint32_t access,
                                                    std::uint32_t flags);
  [[nodiscard]] bool exists(std::u16string_view name);
  /// Waits until somebody could open the name. `milliseconds`: 0 for as long as the server said,
  /// 0xFFFFFFFF for ever. STATUS_IO_TIMEOUT, STATUS_CANCELLED, STATUS_OBJECT_NAME_NOT_FOUND.
  [[nodiscard]] Result<void> wait(std::u16string_view name, std::uint32_t milliseconds, sync::Waiter& self);

  /// Lets the next client in, and says how ConnectNamedPipe ends: nothing while there is none to come.
  [[nodiscard]] std::optional<Outcome> try_connect(PipeInstance& instance, bool first_time);
  [[nodiscard]] Result<void> disconnect(File& server);

  void remove(PipeInstance& instance) noexcept;

 private:
  struct Ends {
    os::Descriptor server;
    os::Descriptor client;
  };
  [[nodiscard]] static Result<Ends> make_ends(const PipeTerms& terms, std::size_t size);
  /// Under mutex_: the end that nobody has opened yet, if there is a client to come.
  [[nodiscard]] static Result<sync::Ref<File>> take_client(PipeInstance& instance, std::uint32_t access,
                                                           std::uint32_t flags);
  /// Under mutex_: a client can come.
  void listen(PipeInstance& instance);

  Operations& operations_;
  os::Mutex mutex_;
  std::vector<PipeInstance*> instances_;         ///< guarded by mutex_
  std::vector<sync::Ref<sync::Event>> waiting_;  ///< guarded by mutex_; of clients that wait for a listener
};

}  // namespace bobbin::io
