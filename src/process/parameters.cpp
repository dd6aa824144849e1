#include "process/parameters.hpp"

#include <algorithm>
#include <utility>

namespace bobbin::process {
namespace {

constexpr abi::ULONG kNormalized = 1;  // RTL_USER_PROC_PARAMS_NORMALIZED: pointers, not offsets
constexpr abi::ULONG kShowNormal = 1;

/// Points at a string that outlives the result. A UNICODE_STRING holds 32767 units; a longer text is cut
/// there, as no Windows process has one.
abi::UNICODE_STRING view_of(std::u16string& text) {
  const std::size_t units = std::min<std::size_t>(text.size(), 32766);
  return {static_cast<abi::USHORT>(2 * units), static_cast<abi::USHORT>(2 * units + 2), text.data()};
}

}  // namespace

Parameters::Parameters(Contents contents)
    : contents_(std::move(contents)), directory_(std::make_unique<char16_t[]>(kMaximumDirectory + 1)) {
  if (contents_.window_title.empty()) contents_.window_title = contents_.image_path;
  block_.MaximumLength = sizeof block_;
  block_.Length = sizeof block_;
  block_.Flags = kNormalized;
  block_.ShowWindowFlags = kShowNormal;
  block_.DllPath = view_of(contents_.dll_path);
  block_.ImagePathName = view_of(contents_.image_path);
  block_.CommandLine = view_of(contents_.command_line);
  block_.WindowTitle = view_of(contents_.window_title);
  const auto runtime_data_size = static_cast<abi::USHORT>(contents_.runtime_data.size());
  block_.RuntimeData = {runtime_data_size, runtime_data_size,
                        reinterpret_cast<char16_t*>(contents_.runtime_data.data())};
  block_.Environment = contents_.environment.data();
  block_.EnvironmentSize = 2 * contents_.environment.size();
  set_current_directory(contents_.current_directory);
}

void Parameters::set_standard_handles(sync::Handle input, sync::Handle output, sync::Handle error) {
  block_.StandardInput = reinterpret_cast<abi::HANDLE>(input);
  block_.StandardOutput = reinterpret_cast<abi::HANDLE>(output);
  block_.StandardError = reinterpret_cast<abi::HANDLE>(error);
}

void Parameters::set_current_directory(std::u16string_view directory) {
  directory = directory.substr(0, kMaximumDirectory);
  *std::copy(directory.begin(), directory.end(), directory_.get()) = u'\0';
  block_.CurrentDirectory.DosPath = {static_cast<abi::USHORT>(2 * directory.size()),
                                     static_cast<abi::USHORT>(2 * kMaximumDirectory + 2), directory_.get()};
}

}  // namespace bobbin::process
