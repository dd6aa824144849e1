// Environment variables as Windows has them: names without regard to case, values in UTF-16, listed in order
// of their folded names.
//
// The host's environment becomes the guest's like this:
//   - every variable keeps its name and value, but for these:
//   - PATH, a list of host folders, becomes a list of Windows paths (`/usr/bin:/bin` is `Z:\usr\bin;Z:\bin`):
//   a
//     guest that searches it must find what it names. A PATH that already looks like Windows' stays as it is.
//   - TEMP, TMP, USERPROFILE, HOMEDRIVE, HOMEPATH, SystemDrive, SystemRoot, windir, COMSPEC, PATHEXT, OS,
//     PROCESSOR_ARCHITECTURE, NUMBER_OF_PROCESSORS, USERNAME, COMPUTERNAME are given sensible values if
//     absent.
//   - two names that differ only in case: the first one in the host's list stays.
// A child gets it back the other way round (to_host).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/paths.hpp"
#include "os/os.hpp"

namespace bobbin::process {

/// Thread-safe.
class Environment {
 public:
  /// Adds what a NULL-ended list of "NAME=value" in host bytes says, and the defaults for what is then
  /// missing.
  void take_from_host(const char* const* list, const io::DriveTable& drives);

  /// Adds a guest's block: strings that each end in NUL, and an empty one.
  void take_from_block(const char16_t* block);

  [[nodiscard]] std::optional<std::u16string> get(std::u16string_view name) const;
  /// Sets a variable, or removes it (no value). STATUS_INVALID_PARAMETER for a name that is empty or has `=`
  /// after its first character; ERROR_ENVVAR_NOT_FOUND for removing what is not there.
  [[nodiscard]] Result<void> set(std::u16string_view name, std::optional<std::u16string_view> value);

  /// "A=1\0B=2\0\0".
  [[nodiscard]] std::u16string block() const;

  /// Replaces each %NAME% by its value; names that are not set stay as they stand.
  [[nodiscard]] std::u16string expand(std::u16string_view text) const;

  /// "NAME=value" in host bytes, for the host's execve; Windows' own per-drive `=C:` entries are left out.
  [[nodiscard]] std::vector<std::string> to_host(const io::DriveTable& drives) const;

 private:
  struct Before {
    using is_transparent = void;
    bool operator()(std::u16string_view a, std::u16string_view b) const { return io::name_before(a, b); }
  };
  void add_defaults(const io::DriveTable& drives);

  mutable os::Mutex mutex_;
  std::map<std::u16string, std::u16string, Before> variables_;  ///< guarded by mutex_
};

/// `/usr/bin:/bin` as Windows writes such a list, and back.
[[nodiscard]] std::u16string path_list_to_windows(std::string_view list, const io::DriveTable& drives);
[[nodiscard]] std::string path_list_to_host(std::u16string_view list, const io::DriveTable& drives);

}  // namespace bobbin::process
