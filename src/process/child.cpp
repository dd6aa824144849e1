#include "process/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <ranges>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/status.hpp"
#include "nls/utf.hpp"
#include "os/service_thread.hpp"
#include "process/command_line.hpp"
#include "process/process.hpp"
#include "sync/dispatcher.hpp"

namespace bobbin::process {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what, std::u16string_view file = {}) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what, .file = nls::to_utf8(file)});
}

// ---- which program ---------------------------------------------------------------------------------------

std::optional<std::string> as_file(io::Files& files, std::u16string_view path) {
  const auto info = files.info(path);
  if (!info || (info->attributes & abi::FILE_ATTRIBUTE_DIRECTORY) != 0) return std::nullopt;
  const auto where = files.locate_existing(path);
  return where ? std::optional(where->host) : std::nullopt;
}

/// A name from a command line: with ".exe" if it has no extension; without a folder, it is looked for where
/// the parent's program stands, in the current directory, and in PATH.
std::optional<std::string> search_program(Process& parent, io::Files& files, std::u16string name) {
  if (!io::base_name(name).contains(u'.')) name += u".exe";
  if (name.find_first_of(u"\\/:") != std::u16string::npos) return as_file(files, name);
  std::u16string list(io::folder_of(parent.image_path()));
  list += u";.;";
  list += parent.environment().get(u"PATH").value_or(u"");
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(u';', at), list.size());
    std::u16string candidate = list.substr(at, end - at);
    at = end + 1;
    if (candidate.empty()) continue;
    if (!candidate.ends_with(u'\\')) candidate += u'\\';
    if (auto found = as_file(files, candidate + name)) return found;
  }
  return std::nullopt;
}

/// Without quotes `C:\Program Files\x y` may be any of `C:\Program`, `C:\Program Files\x`, ...: the first
/// that exists.
std::optional<std::string> program_of_line(Process& parent, io::Files& files, std::u16string_view line) {
  if (line.starts_with(u'"')) {
    return search_program(parent, files, std::u16string(line.substr(1, line.find(u'"', 1) - 1)));
  }
  for (std::size_t end = 0; end < line.size();) {
    end = std::min(line.find_first_of(u" \t", end + 1), line.size());
    if (auto found = search_program(parent, files, std::u16string(line.substr(0, end)))) return found;
  }
  return std::nullopt;
}

/// Whether the file begins like a Windows program; what else there is to say about it the child says itself.
bool is_windows_program(const std::string& host) {
  const os::Descriptor file(::open(host.c_str(), O_RDONLY | O_CLOEXEC));
  char magic[2] = {};
  return file.get() >= 0 && pread(file.get(), magic, 2, 0) == 2 && magic[0] == 'M' && magic[1] == 'Z';
}

// ---- starting it -----------------------------------------------------------------------------------------

struct SpawnActions {
  SpawnActions() { posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t actions;
};

struct SpawnAttributes {
  SpawnAttributes() {
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes,
                               &none);  // our threads may have some blocked; the child starts clean
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t attributes;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (std::string& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> arguments_for(const Process& parent, const std::string& program,
                                       std::u16string_view line) {
  std::vector<std::string> list = parent.options().child_command;
  list.push_back(program);
  const auto words = split_command_line(line);
  for (std::size_t i = 1; i < words.size(); ++i) list.push_back(nls::name_to_utf8(words[i]));
  return list;
}

/// What kHandlesVariable says. A handle that is one of the child's streams stands for that descriptor.
std::string handles_message(const ChildRequest& request) {
  std::string message;
  for (const auto& [handle, file] : request.inherited) {
    const bool is_console_input = file->file_kind() == io::FileKind::console_input;
    const auto add = [&](std::size_t fd) {
      fmt::format_to(std::back_inserter(message), "{}:{}:{:d} ", handle, fd, is_console_input);
    };
    bool is_stream = false;
    for (std::size_t fd = 0; fd < request.streams.size(); ++fd) {
      if (request.streams[fd].get() != file.get()) continue;
      is_stream = true;
      add(fd);
    }
    if (!is_stream) add(static_cast<std::size_t>(file->fd()));
  }
  return message;
}

std::vector<std::string> environment_for(const ChildRequest& request, Process& parent, const io::Files& files,
                                         int exit_code_fd) {
  Environment own;
  if (request.environment) own.take_from_block(request.environment->c_str());
  const Environment& chosen = request.environment ? own : parent.environment();
  auto list = chosen.to_host(files.drives());
  const auto add = [&](std::u16string_view name, const std::string& value) {
    list.push_back(nls::to_utf8(name) + "=" + value);
  };
  add(kCommandLineVariable, nls::name_to_utf8(request.command_line));
  add(kExitCodeVariable, std::to_string(exit_code_fd));
  if (const std::string handles = handles_message(request); !handles.empty()) add(kHandlesVariable, handles);
  if (!request.runtime_data.empty()) {
    add(kRuntimeDataVariable, fmt::format("{:02x}", fmt::join(request.runtime_data, "")));
  }
  return list;
}

/// The exit code that the child reported, else what the host says of its end.
std::uint32_t exit_code_of(const siginfo_t& end, int reports) {
  std::uint32_t code = 0;
  if (io::readable_now(reports) && read(reports, &code, sizeof code) == sizeof code) return code;
  const bool killed = end.si_code == CLD_KILLED || end.si_code == CLD_DUMPED;
  if (!killed) return static_cast<std::uint32_t>(end.si_status);
  const int signal = end.si_status;
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
      return abi::STATUS_ACCESS_VIOLATION;
    case SIGTRAP:
      return abi::STATUS_BREAKPOINT;
    case SIGINT:
      return abi::STATUS_CONTROL_C_EXIT;
    default:
      return 128u + static_cast<std::uint32_t>(signal);
  }
}

/// A thread of ours waits for each child: that needs no signal handler, which the host may own. False if
/// there is none to be had.
bool watch(pid_t pid, os::Descriptor reports, sync::Ref<ProcessObject> process) {
  std::thread watcher =
      os::start_service_thread([pid, reports = std::move(reports), process = std::move(process)] {
        siginfo_t end{};
        while (waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
        process->finish(exit_code_of(end, reports.get()));
        waitpid(pid, nullptr, 0);  // from here on the host may give the id to another
      });
  if (!watcher.joinable()) return false;
  watcher.detach();
  return true;
}

}  // namespace

std::uint32_t ProcessObject::exit_code() const { return exit_code_; }
bool ProcessObject::ended() const { return ended_; }

Result<void> ProcessObject::terminate(std::uint32_t exit_code) {
  const std::scoped_lock lock(mutex_);
  if (ended_) return refused(abi::STATUS_PROCESS_IS_TERMINATING, "the process has ended");
  if (kill(static_cast<pid_t>(id_), SIGKILL) != 0) return io::host_failure("kill", errno);
  forced_code_ = exit_code;
  return {};
}

void ProcessObject::finish(std::uint32_t exit_code) noexcept {
  const std::scoped_lock lock(mutex_);
  exit_code_ = forced_code_.value_or(exit_code);
  thread_->exit_code_ = exit_code_.load();
  sync::DispatcherLock dispatcher;
  ended_ = thread_->ended_ = true;
  dispatcher.notify(*thread_);
  dispatcher.notify(*this);
}

void Children::add(sync::Ref<ProcessObject> child) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(all_, [](const auto& known) { return known->ended() && known->reference_count() == 1; });
  all_.push_back(std::move(child));
}

sync::Ref<ProcessObject> Children::find(std::uint32_t id) const {
  const std::scoped_lock lock(mutex_);
  for (const auto& child : all_ | std::views::reverse) {
    const bool forgotten = child->ended() && child->reference_count() == 1;
    if (child->id() == id && !forgotten) return child;
  }
  return {};
}

Result<sync::Ref<ProcessObject>> start_child(const ChildRequest& request, Process& parent, io::Files& files) {
  if (parent.options().child_command.empty()) {
    return refused(abi::STATUS_NOT_SUPPORTED, "a library has no command to run another program with");
  }
  const auto program = request.application.empty() ? program_of_line(parent, files, request.command_line)
                                                   : as_file(files, request.application);
  if (!program)
    return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "the program does not exist", request.command_line);
  if (!is_windows_program(*program)) {
    return refused(abi::STATUS_INVALID_IMAGE_FORMAT, "this is no Windows program", request.command_line);
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return io::host_failure("pipe2", errno);
  os::Descriptor reports(ends[0]);
  const os::Descriptor report_to(ends[1]);

  SpawnActions spawn;
  for (int fd = 0; fd < 3; ++fd) {
    const auto& stream = request.streams[static_cast<std::size_t>(fd)];
    if (stream)
      posix_spawn_file_actions_adddup2(&spawn.actions, stream->fd(), fd);
    else
      posix_spawn_file_actions_addopen(&spawn.actions, fd, "/dev/null", O_RDWR, 0);
  }
  // A descriptor duplicated onto itself stays open over exec.
  posix_spawn_file_actions_adddup2(&spawn.actions, report_to.get(), report_to.get());
  for (const auto& [handle, file] : request.inherited)
    posix_spawn_file_actions_adddup2(&spawn.actions, file->fd(), file->fd());
  if (!request.current_directory.empty()) {
    const auto folder = files.locate_existing(request.current_directory);
    if (!folder) return refused(abi::STATUS_NOT_A_DIRECTORY, "the child's current directory does not exist");
    posix_spawn_file_actions_addchdir_np(&spawn.actions, folder->host.c_str());
  }
  auto arguments = arguments_for(parent, *program, request.command_line);
  auto environment = environment_for(request, parent, files, report_to.get());
  const SpawnAttributes attributes;
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, arguments[0].c_str(), &spawn.actions, &attributes.attributes,
                                 pointers(arguments).data(), pointers(environment).data());
  if (failed != 0) return io::host_failure("posix_spawn", failed, arguments[0]);
  auto process = sync::Ref<ProcessObject>::adopt(new ProcessObject(static_cast<std::uint32_t>(pid)));
  parent.children().add(process);
  if (watch(pid, std::move(reports), process)) return process;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
  process->finish(abi::STATUS_INSUFFICIENT_RESOURCES);
  return refused(abi::STATUS_INSUFFICIENT_RESOURCES,
                 "the host has no thread that could wait for the program");
}

}  // namespace bobbin::process
