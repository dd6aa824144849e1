// FindFirstFile: a pattern, the folder that it looks in, and the names there.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/files.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what, std::u16string_view path = {}) {
  return fail({.kind = ErrorKind::not_found, .status = status, .what = what, .file = nls::to_utf8(path)});
}

bool is_dots(std::u16string_view name) { return name == u"." || name == u".."; }

/// A pattern taken apart: the folder as a path, and what to look for there.
struct Split {
  std::u16string folder;
  std::u16string_view name;
};

Split split(std::u16string_view pattern) {
  if (form_of(pattern) == PathForm::drive_relative &&
      pattern.find_first_of(u"\\/") == std::u16string_view::npos) {
    return {std::u16string(pattern.substr(0, 2)), pattern.substr(2)};
  }
  std::u16string folder(folder_of(pattern));
  return {folder.empty() ? u"." : folder, base_name(pattern)};
}

Result<std::vector<std::u16string>> names_matching(const Located& folder, std::u16string_view pattern) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.host.c_str()), closedir);
  if (!stream) {
    return errno == ENOTDIR ? refused(abi::STATUS_OBJECT_PATH_NOT_FOUND, "this is no folder")
                            : host_failure("opendir", errno, folder.host);
  }
  std::vector<std::u16string> names;
  while (const dirent* entry = readdir(stream.get())) {
    std::u16string name = nls::name_to_utf16(entry->d_name);
    if (folder.is_root && is_dots(name)) continue;
    if (matches(pattern, name)) names.push_back(std::move(name));
  }
  std::ranges::sort(names, [](const std::u16string& a, const std::u16string& b) {
    return is_dots(a) != is_dots(b) ? is_dots(a) : name_before(a, b);  // . and .. come first
  });
  return names;
}

}  // namespace

Result<Found> Search::next() {
  const std::scoped_lock lock(mutex_);
  while (at_ < names_.size()) {
    const std::u16string& name = names_[at_++];
    auto about = info_of(folder_ + "/" + nls::name_to_utf8(name));
    if (about) return Found{name, *about};  // else it has gone since
  }
  return refused(abi::STATUS_NO_MORE_FILES, "the search has come to its end");
}

void Search::put_back() {
  const std::scoped_lock lock(mutex_);
  --at_;
}

Result<sync::Ref<Search>> Files::listing(File& folder, bool restart) const {
  if (folder.file_kind() != FileKind::folder)
    return refused(abi::STATUS_INVALID_PARAMETER, "only folders can be listed");
  if (auto kept = folder.listing(); kept && !restart)
    return sync::Ref<Search>::adopt(static_cast<Search*>(kept.leak()));
  auto path = path_of(folder);
  if (!path) return propagate(path);
  auto fresh = search(*path + u"\\*", false);
  if (fresh) folder.set_listing(*fresh);
  return fresh;
}

Result<sync::Ref<Search>> Files::search(std::u16string_view pattern, bool folders_only) const {
  (void)folders_only;  // advice to the file system, which Windows ignores as well
  pattern = pattern.substr(0, pattern.find(u'\0'));
  const auto [folder, name] = split(pattern);
  if (name.empty() && !pattern.empty())
    return refused(abi::STATUS_NO_SUCH_FILE, "the pattern names nothing", pattern);
  if (is_dots(name)) {  // the folder itself, found in the folder above it
    auto path = full(pattern);
    if (!path) return propagate(path);
    if (path->size() <= 3) return refused(abi::STATUS_NO_SUCH_FILE, "a root has no name", pattern);
    return search(*path, folders_only);
  }
  auto where = locate(folder);
  if (!where) return propagate(where);
  if (!where->exists) return refused(abi::STATUS_OBJECT_PATH_NOT_FOUND, "the folder does not exist", pattern);
  if (name.find_first_of(u":|") != std::u16string_view::npos) {
    return refused(abi::STATUS_OBJECT_NAME_INVALID, "the pattern has a character that no file name has",
                   pattern);
  }
  Result<std::vector<std::u16string>> names;
  if (has_wildcards(name)) {
    names = names_matching(*where, name);
  } else {
    auto one = locate(pattern);
    if (!one) return propagate(one);
    if (one->exists) names->push_back(nls::name_to_utf16(one->host.substr(one->host.find_last_of('/') + 1)));
  }
  if (!names) return propagate(names);
  if (names->empty()) return refused(abi::STATUS_NO_SUCH_FILE, "nothing matches the pattern", pattern);
  return sync::Ref<Search>::adopt(new Search(where->host == "/" ? "" : where->host, std::move(*names)));
}

Result<std::u16string> Files::long_path(std::u16string_view path) const {
  auto where = locate_existing(path);
  if (!where) return propagate(where);
  auto absolute = full(path);
  if (!absolute) return propagate(absolute);
  const bool verbatim = form_of(*absolute) == PathForm::verbatim;
  std::u16string real = absolute->substr(0, verbatim ? 7 : 3);
  const std::string& drive = *drives_.folder(real[verbatim ? 4 : 0]);
  if (where->host.size() > drive.size() + 1) real += nls::name_to_utf16(where->host.substr(drive.size() + 1));
  std::ranges::replace(real, u'/', u'\\');
  if (where->wants_folder && !real.ends_with(u'\\')) real += u'\\';
  // A relative path stays relative: its components are the last ones of the absolute path, unless it has
  // dots.
  const bool plain = path.size() <= real.size() && same_name(real.substr(real.size() - path.size()), path);
  return plain ? real.substr(real.size() - path.size()) : real;
}

}  // namespace bobbin::io
