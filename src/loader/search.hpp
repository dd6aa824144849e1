// From a DLL's name to a file: the search order, api-set names, and names that differ in case only.
//
// A bare name is looked for in these folders, in order, letter case aside:
//
//   1. the program's folder; with LOAD_WITH_ALTERED_SEARCH_PATH the loaded DLL's own in its place
//   2. SetDllDirectory's
//   3. the extra folders, which are an option of ours (-L)
//   4. the system folder: C runtimes and the like
//   5. the current folder, unless SetDllDirectory was given one
//
// That is the standard order. A load that names its places (LOAD_LIBRARY_SEARCH_*), or that comes after
// SetDefaultDllDirectories, looks into those alone, in this order: the DLL's own folder; the program's and
// the extra ones; SetDllDirectory's and AddDllDirectory's; the system folder. AddDllDirectory's are searched
// in no other way. What is chosen holds for all DLLs of a load.
#pragma once

#include <cstdint>
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
/// The folder of a host path: "." for a bare name.
[[nodiscard]] std::string folder_of(std::string_view path);
/// The host's own name of a file: absolute, without symbolic links. The path itself if there is no such file.
[[nodiscard]] std::string absolute(const std::string& path);

/// The DLL that stands behind an api-set name (api-ms-win-..., ext-ms-win-...), or the name itself.
[[nodiscard]] std::string_view resolve_api_set(std::string_view lower_name);

/// The entry of `folder` called `name`, letter case aside (an exact match wins), as a path.
[[nodiscard]] std::optional<std::string> find_in_folder(const std::string& folder, std::string_view name);

/// A choice of places to look into, LOAD_LIBRARY_SEARCH_* by name. None chosen: the standard order.
struct Places {
  bool own = false;      ///< the folder of the DLL that is loaded
  bool program = false;  ///< the program's folder, and the extra ones
  bool user = false;     ///< SetDllDirectory's and AddDllDirectory's
  bool system = false;   ///< the system folder
  [[nodiscard]] bool any() const { return own || program || user || system; }
};

/// Folders to look into, in order.
using Folders = std::vector<std::string>;

/// The first file called `name` there, letter case aside.
[[nodiscard]] std::optional<std::string> find_in_folders(const Folders& folders, std::string_view name);
/// All of them, for an error message.
[[nodiscard]] std::string describe(const Folders& folders);

/// Where DLLs are looked for. Plain data; the loader keeps one under its lock.
struct SearchPath {
  /// One of AddDllDirectory's.
  struct Added {
    std::uintptr_t cookie;
    std::string folder;
  };

  std::string program;        ///< the program's folder
  Folders extra;              ///< of the options
  std::string system;         ///< the system-DLL folder (C runtimes and the like)
  std::string dll_directory;  ///< SetDllDirectory's
  std::vector<Added> added;   ///< AddDllDirectory's
  bool current_folder = true;
  Places defaults;  ///< SetDefaultDllDirectories'; for loads that choose nothing

  /// The standard order. `own`, if not empty, stands in the place of the program's folder.
  [[nodiscard]] Folders standard(const std::string& own = {}) const;
  /// The folders of `places`; `own` is the folder of the DLL that is loaded, if its path was given.
  [[nodiscard]] Folders of(const Places& places, const std::string& own) const;
  /// Where a load looks that chooses nothing.
  [[nodiscard]] Folders by_default() const { return defaults.any() ? of(defaults, {}) : standard(); }

  /// Adds a folder, and hands back the cookie to remove it by: never 0.
  std::uintptr_t add(std::string folder);
  /// False if no folder has that cookie.
  bool remove(std::uintptr_t cookie);

 private:
  std::uintptr_t last_cookie_ = 0;
};

}  // namespace bobbin::loader
