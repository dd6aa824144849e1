// Files by name: opening, deleting, renaming, attributes, folders, searches, and the current directory.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/console.hpp"
#include "io/file.hpp"
#include "io/named_pipe.hpp"
#include "io/operations.hpp"
#include "io/paths.hpp"
#include "sync/object.hpp"

namespace bobbin::io {

/// What CreateFile asks for, with Windows' numbers.
struct OpenRequest {
  std::uint32_t access = 0;
  std::uint32_t share = 0;
  std::uint32_t disposition = 0;
  std::uint32_t flags_and_attributes = 0;
};

/// The specific rights that generic ones stand for.
[[nodiscard]] std::uint32_t specific_access(std::uint32_t access);

struct Opened {
  sync::Ref<File> file;
  bool existed = false;  ///< CREATE_ALWAYS and OPEN_ALWAYS report it as last error
};

/// One name in a folder.
struct Found {
  std::u16string name;
  FileInfo info;
};

/// A search in progress (FindFirstFile). The folder is read when it begins, as a snapshot; sorted as NTFS
/// sorts.
class Search final : public sync::Object {
 public:
  Search(std::string folder, std::vector<std::u16string> names)
      : Object(sync::Kind::directory_search), folder_(std::move(folder)), names_(std::move(names)) {}
  /// The next name that still exists, or STATUS_NO_MORE_FILES.
  [[nodiscard]] Result<Found> next();
  /// The name that came last comes again.
  void put_back();

 private:
  ~Search() override = default;
  const std::string folder_;
  const std::vector<std::u16string> names_;
  os::Mutex mutex_;
  std::size_t at_ = 0;  ///< guarded by mutex_
};

/// Thread-safe. Paths are Windows paths, relative or not, unless a name says `host`.
class Files {
 public:
  /// Starts in the host's current directory.
  explicit Files(DriveTable drives);

  [[nodiscard]] const DriveTable& drives() const { return drives_; }
  [[nodiscard]] Console& console() { return console_; }
  [[nodiscard]] NamedPipes& pipes() { return pipes_; }
  [[nodiscard]] Operations& operations() { return operations_; }
  [[nodiscard]] CurrentDirectories directories() const;
  /// Also the host's: in a library that is process-wide, and the host program sees it.
  [[nodiscard]] Result<void> set_current_directory(std::u16string_view path);

  /// The full path, except that a `\\?\` path stays as it is.
  [[nodiscard]] Result<std::u16string> full(std::u16string_view path) const;
  [[nodiscard]] Result<Located> locate(std::u16string_view path) const;
  /// The same, for something that must exist (STATUS_OBJECT_NAME_NOT_FOUND).
  [[nodiscard]] Result<Located> locate_existing(std::u16string_view path) const;

  [[nodiscard]] Result<Opened> open(std::u16string_view path, const OpenRequest& request);
  [[nodiscard]] Result<FileInfo> info(std::u16string_view path) const;
  [[nodiscard]] Result<void> set_attributes(std::u16string_view path, std::uint32_t attributes);
  [[nodiscard]] Result<void> remove_file(std::u16string_view path);
  [[nodiscard]] Result<void> create_folder(std::u16string_view path);
  [[nodiscard]] Result<void> remove_folder(std::u16string_view path);
  /// Renames within a file system; across them copies and deletes if `may_copy`. STATUS_OBJECT_NAME_COLLISION
  /// if the target exists and `replace` is false.
  [[nodiscard]] Result<void> rename(std::u16string_view from, std::u16string_view to, bool replace,
                                    bool may_copy);
  /// Renames an open file.
  [[nodiscard]] Result<void> rename(File& file, std::u16string_view to, bool replace);
  [[nodiscard]] Result<void> copy(std::u16string_view from, std::u16string_view to, bool fail_if_exists);
  [[nodiscard]] Result<void> hard_link(std::u16string_view name, std::u16string_view existing);
  /// `target` is stored as a host path; relative ones stay relative.
  [[nodiscard]] Result<void> symbolic_link(std::u16string_view name, std::u16string_view target);

  /// Begins a search for `pattern` in its folder. STATUS_NO_SUCH_FILE if nothing matches.
  [[nodiscard]] Result<sync::Ref<Search>> search(std::u16string_view pattern, bool folders_only) const;

  /// The search that lists an open folder, kept with it; from the start if there was none, or if `restart`.
  [[nodiscard]] Result<sync::Ref<Search>> listing(File& folder, bool restart) const;

  /// The Windows path of an open file, by the name that it has now.
  [[nodiscard]] Result<std::u16string> path_of(const File& file) const;
  /// The path with each component in its real case.
  [[nodiscard]] Result<std::u16string> long_path(std::u16string_view path) const;

 private:
  [[nodiscard]] Result<Opened> open_device(Device device, const OpenRequest& request);
  [[nodiscard]] Result<Opened> open_located(const Located& where, const OpenRequest& request, bool& retry);
  /// Whether the name may be taken from a file: not if an open of it does not share deletion.
  [[nodiscard]] Result<void> may_delete(const FileInfo& info) const;
  [[nodiscard]] Result<void> rename_host(const std::string& from, std::u16string_view to, bool replace,
                                         bool may_copy);
  [[nodiscard]] Result<void> copy_across(const std::string& from, const std::string& to);

  DriveTable drives_;
  ShareTable shares_;
  Console console_;
  Operations operations_;
  NamedPipes pipes_{operations_};
  mutable os::Mutex mutex_;
  CurrentDirectories directories_;  ///< guarded by mutex_
};

}  // namespace bobbin::io
