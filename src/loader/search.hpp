// From a DLL's name to a file: the search order, api-set names, and names that differ in case only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bobbin::loader {

/// ASCII lower case: how module names are compared.
[[nodiscard]] std::string lower(std::string_view name);

/// "foo" -> "foo.dll"; "foo." -> "foo"; "foo.bar" stays.
[[nodiscard]] std::string with_extension(std::string_view name);

/// Whether a name has a folder in it, of either system.
[[nodiscard]] bool is_path(std::string_view name);
/// What stands after the last separator.
[[nodiscard]] std::string_view base_of(std::string_view name);
/// Whether it is a path into C:\Windows\System32, where native DLLs say that they are. What is found there
/// goes by its bare name.
[[nodiscard]] bool is_native_path(std::string_view path);
/// The host's own name of a file: absolute, without symbolic links. The path itself if there is no such file.
[[nodiscard]] std::string absolute(const std::string& path);

/// The DLL that stands behind an api-set name (api-ms-win-..., ext-ms-win-...), or the name itself.
[[nodiscard]] std::string_view resolve_api_set(std::string_view lower_name);

/// The entry of `folder` called `name`, letter case aside (an exact match wins), as a path.
[[nodiscard]] std::optional<std::string> find_in_folder(const std::string& folder, std::string_view name);

/// Where DLLs are looked for, in order. Plain data; the loader keeps one under its lock.
struct SearchPath {
  std::string program;             ///< the program's folder
  std::vector<std::string> extra;  ///< options, AddDllDirectory
  std::string system;              ///< the system-DLL folder (C runtimes and the like)
  std::string dll_directory;       ///< SetDllDirectory's; searched before `system`
  bool current_folder = true;

  /// The first match; `first`, if not empty, is searched before all others.
  [[nodiscard]] std::optional<std::string> find(std::string_view name, const std::string& first) const;
  /// All folders, for an error message.
  [[nodiscard]] std::string describe(const std::string& first) const;
};

}  // namespace bobbin::loader
