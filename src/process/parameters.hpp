// RTL_USER_PROCESS_PARAMETERS: what CreateProcess leaves in a new process, found through
// PEB.ProcessParameters. GetCommandLine, GetStdHandle and GetStartupInfo read it, and so do guests that know
// where it stands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "abi/teb.hpp"
#include "sync/handle_table.hpp"

namespace bobbin::process {

/// Owns the structure and all strings that it points to; its address is for PEB.ProcessParameters and does
/// not change. What guests write into the structure is what natives read.
class Parameters {
 public:
  struct Contents {
    std::u16string image_path;  ///< full Windows path of the EXE
    std::u16string command_line;
    std::u16string current_directory;  ///< with its last backslash
    std::u16string environment;        ///< a block, with both NULs
    std::u16string dll_path = {};
    std::u16string window_title = {};  ///< the image path if empty
    std::vector<std::uint8_t> runtime_data = {};
  };
  explicit Parameters(Contents contents);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  [[nodiscard]] abi::RTL_USER_PROCESS_PARAMETERS* get() { return &block_; }

  /// The three standard handles (0 for none).
  void set_standard_handles(sync::Handle input, sync::Handle output, sync::Handle error);

  /// CurrentDirectory.DosPath; at most kMaximumDirectory units.
  void set_current_directory(std::u16string_view directory);
  static constexpr std::size_t kMaximumDirectory = 32766;

 private:
  Contents contents_;  ///< owns what block_ points to, but for the current directory
  std::unique_ptr<char16_t[]> directory_;
  abi::RTL_USER_PROCESS_PARAMETERS block_{};
};

}  // namespace bobbin::process
