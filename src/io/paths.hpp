// Windows path rules, and how Windows paths name files of the host.
//
// A Windows path goes through two steps:
//
//   "..\Docs/a.txt "  --full_path-->  "Z:\home\me\Docs\a.txt"  --DriveTable::locate-->  "/home/me/docs/a.txt"
//
// full_path is pure: separators, `.` and `..`, current directories, trailing dots and spaces, device names.
// It touches no file, as GetFullPathName promises. locate looks at the host: a drive letter stands for a host
// folder (`Z:` for `/` unless told otherwise), and names are found whatever their case: the exact name first,
// else the first one in the folder that differs in case only.
//
// Host names are bytes, Windows names 16-bit units; nls::name_to_utf16 keeps every host name recoverable.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace bobbin::io {

/// What a path's first characters say about it.
enum class PathForm : std::uint8_t {
  drive_absolute,  ///< C:\x
  drive_relative,  ///< C:x, from the current directory of that drive
  rooted,          ///< \x, on the current drive
  relative,        ///< x
  unc,             ///< \\server\share\x
  device,          ///< \\.\x
  verbatim,        ///< \\?\x or \??\x, which CreateFile takes as it is
};
[[nodiscard]] PathForm form_of(std::u16string_view path);

[[nodiscard]] constexpr bool is_separator(char16_t c) { return c == u'\\' || c == u'/'; }
[[nodiscard]] constexpr char16_t upper_ascii(char16_t c) {
  return c >= u'a' && c <= u'z' ? static_cast<char16_t>(c - 32) : c;
}

/// Simple (one to one) upper case of a UTF-16 unit, by which Windows compares names.
[[nodiscard]] char16_t fold(char16_t unit);
[[nodiscard]] bool same_name(std::u16string_view a, std::u16string_view b);
/// Order of names without regard to case, as NTFS lists them.
[[nodiscard]] bool name_before(std::u16string_view a, std::u16string_view b);

enum class Device : std::uint8_t { none, null, console, console_input, console_output, other };

/// The device that a path names: `NUL`, `c:\x\nul`, `\\.\CONIN$`, `con:` ... or none.
[[nodiscard]] Device device_of(std::u16string_view path);

/// The current directory, and the one that each other drive remembers ("Z:\x\", always with a last
/// backslash).
struct CurrentDirectories {
  std::u16string current;
  std::array<std::u16string, 26> of_drive = {};
};

/// The absolute, normal form of `path`; a last separator is kept. Devices become `\\.\NAME`.
/// STATUS_OBJECT_NAME_INVALID for an empty path. `cut_trailing` is false for search patterns, whose last dots
/// have a meaning.
[[nodiscard]] Result<std::u16string> full_path(std::u16string_view path,
                                               const CurrentDirectories& directories);

/// The last component, without the folder; empty if the path ends in a separator.
[[nodiscard]] std::u16string_view base_name(std::u16string_view path);
/// All before the last component, with the separator.
[[nodiscard]] std::u16string_view folder_of(std::u16string_view path);

/// Where a Windows path leads on the host.
struct Located {
  std::string host;      ///< absolute host path; if it does not exist, the real folder and the name as given
  bool exists = false;   ///< something stands there (perhaps a symbolic link that leads nowhere)
  bool is_root = false;  ///< the root of a drive
  bool wants_folder = false;  ///< the path ended in a separator
};

/// Drive letters and the host folders that they stand for. Immutable once guests run, hence thread-safe.
class DriveTable {
 public:
  /// `Z:` is `/`.
  DriveTable();

  /// Maps a letter to a host folder (absolute, or relative to the host's current directory now).
  /// STATUS_OBJECT_PATH_NOT_FOUND if there is no such folder.
  [[nodiscard]] Result<void> map(char16_t letter, const std::string& folder);

  /// The folder without its last slash ("" is the root), or nothing for a letter that is not mapped.
  [[nodiscard]] const std::optional<std::string>& folder(char16_t letter) const;
  /// Bit 0 is A:.
  [[nodiscard]] std::uint32_t mask() const;

  /// The Windows name of an absolute host path: on the drive whose folder contains it most closely.
  [[nodiscard]] std::u16string to_windows(std::string_view host) const;

  /// Finds what a full path (as full_path made it, or verbatim) names. STATUS_OBJECT_PATH_NOT_FOUND if a
  /// folder on the way is missing or the drive is not mapped, STATUS_OBJECT_NAME_INVALID for characters that
  /// no Windows name has. A missing last component is no error: `exists` is false.
  [[nodiscard]] Result<Located> locate(std::u16string_view full) const;

 private:
  std::array<std::optional<std::string>, 26> folders_;
};

/// The entry of a host folder that is `name` but for case, or nothing.
[[nodiscard]] std::optional<std::string> find_entry(const std::string& folder, std::u16string_view name);

/// FindFirstFile's wildcards. `pattern` is as the caller gave it: `*.*` matches all names, `*.` those without
/// an extension, `?` also no character before a dot or the end. Case is ignored.
[[nodiscard]] bool matches(std::u16string_view pattern, std::u16string_view name);
[[nodiscard]] constexpr bool has_wildcards(std::u16string_view text) {
  return text.find_first_of(u"*?<>\"") != std::u16string_view::npos;
}

}  // namespace bobbin::io
