#include "process/process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <sstream>

#include "nls/utf.hpp"
#include "process/child.hpp"
#include "process/command_line.hpp"

namespace bobbin::process {
namespace {

void remove_variable(Environment& environment, std::u16string_view name) {
  if (environment.get(name)) (void)environment.set(name, std::nullopt);
}

/// Takes a variable that a Bobbin parent set for us, so that the guest does not see it.
std::optional<std::u16string> take_message(Environment& environment, std::u16string_view name) {
  auto value = environment.get(name);
  remove_variable(environment, name);
  return value;
}

int exit_code_descriptor(const std::optional<std::u16string>& message) {
  if (!message) return -1;
  const std::string text = nls::to_utf8(*message);
  int fd = -1;
  std::from_chars(text.data(), text.data() + text.size(), fd);
  // Not ours, or closed on the way: then nobody listens. Our own children must not keep it open.
  return fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

/// Handles that a Bobbin parent lets us inherit: the same values for what its descriptors name. Those of the
/// streams are put into `standard`.
Result<void> take_handles(const std::optional<std::u16string>& message, io::Files& files,
                          sync::HandleTable& handles, std::array<sync::Handle, 3>& standard) {
  if (!message) return {};
  std::istringstream list(nls::to_utf8(*message));
  sync::Handle handle = 0;
  std::size_t fd = 0;
  bool is_console_input = false;
  for (char colon; list >> handle >> colon >> fd >> colon >> is_console_input;) {
    if (!handles.get(handle)) {  // else it is one handle for two of the streams
      auto file = io::adopt_host_stream(static_cast<int>(fd), is_console_input, files.console());
      if (!file) continue;  // closed on the way
      if (fd >= standard.size()) close(static_cast<int>(fd));
      auto inserted = handles.insert_at(handle, std::move(*file), true);
      if (!inserted) return inserted;
    }
    if (fd < standard.size()) standard[fd] = handle;
  }
  return {};
}

std::vector<std::uint8_t> bytes_of(const std::optional<std::u16string>& message) {
  std::vector<std::uint8_t> bytes;
  if (!message) return bytes;
  const std::string text = nls::to_utf8(*message);
  for (std::size_t i = 0; i + 2 <= text.size(); i += 2) {
    std::uint8_t byte = 0;
    std::from_chars(&text[i], &text[i] + 2, byte, 16);
    bytes.push_back(byte);
  }
  return bytes;
}

}  // namespace

Result<std::unique_ptr<Process>> Process::create(ProcessOptions options, io::Files& files,
                                                 sync::HandleTable& handles) {
  std::unique_ptr<Process> process(new Process);
  process->files_ = &files;
  Environment& environment = process->environment_;
  environment.take_from_host(options.host_environment, files.drives());
  for (const auto& [name, value] : options.set_variables) {
    auto set = environment.set(nls::name_to_utf16(name), nls::name_to_utf16(value));
    if (!set) return propagate(set);
  }
  for (const auto& name : options.unset_variables) remove_variable(environment, nls::name_to_utf16(name));
  const auto parent_line = take_message(environment, kCommandLineVariable);
  process->exit_code_fd_ = exit_code_descriptor(take_message(environment, kExitCodeVariable));
  auto inherited =
      take_handles(take_message(environment, kHandlesVariable), files, handles, process->standard_);
  if (!inherited) return propagate(inherited);
  auto runtime_data = bytes_of(take_message(environment, kRuntimeDataVariable));

  process->image_path_ = files.drives().to_windows(options.program);
  std::vector<std::u16string> arguments = {process->image_path_};
  for (const auto& argument : options.arguments) arguments.push_back(nls::name_to_utf16(argument));
  Parameters::Contents contents{.image_path = process->image_path_,
                                .command_line = parent_line ? *parent_line : join_command_line(arguments),
                                .current_directory = files.directories().current,
                                .environment = environment.block(),
                                .runtime_data = std::move(runtime_data)};
  process->command_line_ansi_ = nls::to_utf8(contents.command_line);
  process->parameters_ = std::make_unique<Parameters>(std::move(contents));
  process->window_title_ansi_ = nls::to_utf8(process->parameters_->get()->WindowTitle.Buffer);
  process->options_ = std::move(options);
  for (int fd = 0; fd < 3; ++fd) {
    if (process->standard_[static_cast<std::size_t>(fd)] != 0) continue;
    auto file = io::adopt_host_stream(fd, fd == 0, files.console());
    if (!file) continue;
    auto handle = handles.insert(std::move(*file), true);
    if (!handle) return propagate(handle);
    process->standard_[static_cast<std::size_t>(fd)] = *handle;
  }
  const auto& standard = process->standard_;
  process->parameters_->set_standard_handles(standard[0], standard[1], standard[2]);
  return process;
}

void Process::leave(std::uint32_t code) noexcept {
  files_->console().restore();
  if (exit_code_fd_ < 0) return;
  [[maybe_unused]] const ssize_t written = write(exit_code_fd_, &code, sizeof code);
}

}  // namespace bobbin::process
