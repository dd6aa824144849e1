// The guest's process as it sees itself: command line, environment, standard handles, process parameters.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "io/files.hpp"
#include "process/child.hpp"
#include "process/environment.hpp"
#include "process/parameters.hpp"
#include "sync/handle_table.hpp"

namespace bobbin::process {

struct ProcessOptions {
  /// Host path of the EXE (absolute); for a runtime without one, of the host program.
  std::string program;
  /// What follows argv[0], in host bytes.
  std::vector<std::string> arguments = {};
  /// The host's environment, NULL-ended; nullptr: start from nothing.
  const char* const* host_environment = nullptr;
  /// Variables to set, then to remove.
  std::vector<std::pair<std::string, std::string>> set_variables = {};
  std::vector<std::string> unset_variables = {};
  /// What runs a Windows program as a child: command and leading arguments, put before the program and its
  /// own. Empty: CreateProcess is refused.
  std::vector<std::string> child_command = {};
  /// Whether the guest's process is the host's: then Ctrl+C is the guest's.
  bool is_whole_process = false;
};

/// One per Runtime. Thread-safe unless said otherwise.
class Process {
 public:
  /// Builds everything and gives the host's descriptors 0, 1 and 2 handles (a closed one gets none).
  [[nodiscard]] static Result<std::unique_ptr<Process>> create(ProcessOptions options, io::Files& files,
                                                               sync::HandleTable& handles);

  /// For PEB.ProcessParameters; lives as long as the Process.
  [[nodiscard]] Parameters& parameters() { return *parameters_; }
  [[nodiscard]] Environment& environment() { return environment_; }
  [[nodiscard]] const ProcessOptions& options() const { return options_; }
  /// The command line in the ANSI code page; its address stays.
  [[nodiscard]] std::string& command_line_ansi() { return command_line_ansi_; }
  /// The window's title in the ANSI code page; its address stays.
  [[nodiscard]] std::string& window_title_ansi() { return window_title_ansi_; }
  /// Full Windows path of the EXE.
  [[nodiscard]] const std::u16string& image_path() const { return image_path_; }

  [[nodiscard]] Children& children() { return children_; }

  /// Handles that stand for descriptors 0, 1 and 2 (0 where the host's is closed).
  [[nodiscard]] const std::array<sync::Handle, 3>& standard_handles() const { return standard_; }

  /// Part of the way out, before the host's exit: gives the terminal back as it was, and tells a parent that
  /// is Bobbin too the whole exit code, of which the host passes on eight bits only.
  void leave(std::uint32_t code) noexcept;

 private:
  Process() = default;

  io::Files* files_ = nullptr;
  ProcessOptions options_;
  Environment environment_;
  std::u16string image_path_;
  std::string command_line_ansi_;
  std::string window_title_ansi_;
  Children children_;
  std::unique_ptr<Parameters> parameters_;
  std::array<sync::Handle, 3> standard_{};
  int exit_code_fd_ = -1;
};

}  // namespace bobbin::process
