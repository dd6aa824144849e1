// Child processes: Windows programs that run in a Bobbin of their own.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "io/files.hpp"
#include "os/os.hpp"
#include "sync/handle_table.hpp"
#include "sync/object.hpp"

namespace bobbin::process {

class Process;

/// What a parent that is Bobbin tells its child by the environment, since execve has no other way to say it;
/// the child takes these out before its guest looks.
inline constexpr std::u16string_view kCommandLineVariable = u"BOBBIN_COMMAND_LINE";  ///< exactly as given
inline constexpr std::u16string_view kExitCodeVariable =
    u"BOBBIN_EXIT_CODE_FD";  ///< where 32 bits are awaited
/// What it inherits: "HANDLE:DESCRIPTOR:IS_CONSOLE_INPUT" for each handle, separated by spaces.
inline constexpr std::u16string_view kHandlesVariable = u"BOBBIN_HANDLES";
/// STARTUPINFO.lpReserved2 in hexadecimal: by it C runtimes tell their children which handles are which of
/// their file descriptors.
inline constexpr std::u16string_view kRuntimeDataVariable = u"BOBBIN_RUNTIME_DATA";

/// A child's first thread, of which we know only that it lives as long as the child: signalled with it.
class ChildThread final : public sync::Waitable {
 public:
  explicit ChildThread(std::uint32_t process_id) : Waitable(sync::Kind::child_thread), id_(process_id) {}

  /// The host counts processes by their first threads: it is the process's id as well.
  [[nodiscard]] std::uint32_t id() const { return id_; }
  /// The process's: 259 (STILL_ACTIVE) while it runs.
  [[nodiscard]] std::uint32_t exit_code() const { return exit_code_; }

 private:
  friend class ProcessObject;  ///< which ends it
  ~ChildThread() override = default;
  bool signalled(const sync::Waiter&) const override { return ended_; }

  const std::uint32_t id_;
  std::atomic<std::uint32_t> exit_code_{259};
  bool ended_ = false;  ///< guarded by the dispatcher lock
};

/// A process that handles can name: ourselves, or a child. Signalled when it has ended.
class ProcessObject final : public sync::Waitable {
 public:
  explicit ProcessObject(std::uint32_t id)
      : Waitable(sync::Kind::process), id_(id), thread_(sync::Ref<ChildThread>::adopt(new ChildThread(id))) {}

  [[nodiscard]] std::uint32_t id() const { return id_; }
  /// Its first thread, if it is a child.
  [[nodiscard]] const sync::Ref<ChildThread>& first_thread() const { return thread_; }
  /// 259 (STILL_ACTIVE) while it runs.
  [[nodiscard]] std::uint32_t exit_code() const;
  [[nodiscard]] bool ended() const;
  /// Ends a child at once, with this exit code. STATUS_ACCESS_DENIED if it has ended.
  [[nodiscard]] Result<void> terminate(std::uint32_t exit_code);
  /// It has ended; by the thread that waits for it, before the host reaps it: until then its id is its own.
  void finish(std::uint32_t exit_code) noexcept;

 private:
  ~ProcessObject() override = default;
  bool signalled(const sync::Waiter&) const override { return ended_; }

  const std::uint32_t id_;
  const sync::Ref<ChildThread> thread_;
  mutable os::Mutex mutex_;
  std::optional<std::uint32_t> forced_code_;  ///< guarded by mutex_
  std::atomic<std::uint32_t> exit_code_{259};
  std::atomic<bool> ended_{false};  ///< written under the dispatcher lock
};

/// The children that can be opened by their ids: those that run, and those that a handle still names.
/// Thread-safe.
class Children {
 public:
  void add(sync::Ref<ProcessObject> child);
  /// Null if there is none.
  [[nodiscard]] sync::Ref<ProcessObject> find(std::uint32_t id) const;

 private:
  mutable os::Mutex mutex_;
  std::vector<sync::Ref<ProcessObject>>
      all_;  ///< guarded by mutex_; the host may use an id again: last first
};

struct ChildRequest {
  std::u16string application = {};  ///< empty: the command line's first word, searched for
  std::u16string command_line = {};
  std::optional<std::u16string> environment = {};   ///< a block; nothing: ours
  std::u16string current_directory = {};            ///< empty: ours
  std::array<sync::Ref<io::File>, 3> streams = {};  ///< a null one is /dev/null
  std::vector<std::pair<sync::Handle, sync::Ref<io::File>>> inherited = {};
  std::span<const std::uint8_t> runtime_data = {};  ///< STARTUPINFO.lpReserved2
};

/// Starts a Windows program. STATUS_OBJECT_NAME_NOT_FOUND, STATUS_INVALID_IMAGE_FORMAT (no Windows program),
/// STATUS_NOT_SUPPORTED (in a library, which has no command to start).
[[nodiscard]] Result<sync::Ref<ProcessObject>> start_child(const ChildRequest& request, Process& parent,
                                                           io::Files& files);

}  // namespace bobbin::process
