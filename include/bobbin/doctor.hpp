// Whether a program or DLL would find everything that it imports, without running anything.
#pragma once

#include <string>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin {

/// What stands behind one imported function.
enum class Provider : std::uint8_t {
  native,   ///< Bobbin's own
  guest,    ///< another PE file
  partial,  ///< Bobbin's own, but it does only part of its job (`detail` says what is missing)
  missing,  ///< nothing: the file cannot be loaded
};

struct ImportStatus {
  std::string function;  ///< name, or #ordinal
  Provider provider = Provider::missing;
  std::string detail = {};
};

/// All that one file imports from one DLL.
struct DllStatus {
  std::string importer;  ///< file name of the module that imports
  std::string dll;       ///< name as it is imported
  std::string found_at;  ///< host path, "(native)", or empty if there is no such DLL
  bool delayed = false;  ///< a delay import: missed only when it is used
  std::vector<ImportStatus> imports;
};

struct Diagnosis {
  std::vector<DllStatus> dlls;  ///< the file's own imports first, then those of the DLLs that it needs
  std::size_t missing = 0;      ///< imports (not delayed) that nothing provides
  std::size_t partial = 0;
};

/// Follows the imports of the file at `path`, recursively, by the search order of `options`. Starts no
/// Runtime. An Error if the file itself cannot be read; broken DLLs on the way count as missing.
[[nodiscard]] Result<Diagnosis> diagnose(const std::string& path, const Options& options);

/// One function that Bobbin provides.
struct NativeFunction {
  std::string name;
  std::vector<std::string> dlls;
  std::string partial;  ///< what it leaves undone; empty for nearly all
};
/// All of them, by name.
[[nodiscard]] std::vector<NativeFunction> native_functions();

}  // namespace bobbin
