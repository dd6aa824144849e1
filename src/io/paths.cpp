#include "io/paths.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <utf8proc.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "abi/status.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

constexpr std::uint32_t kBadNetPath = 0xC0070035;  // ERROR_BAD_NETPATH as a status

std::unexpected<Error> bad_path(std::uint32_t status, std::u16string_view path, std::string what) {
  return fail({.kind = status == abi::STATUS_OBJECT_NAME_INVALID ? ErrorKind::invalid : ErrorKind::not_found,
               .status = status,
               .what = std::move(what),
               .file = nls::to_utf8(path)});
}

bool is_letter(char16_t c) { return upper_ascii(c) >= u'A' && upper_ascii(c) <= u'Z'; }

std::size_t letter_index(char16_t letter) { return static_cast<std::size_t>(upper_ascii(letter) - u'A'); }

/// How much of a full path is its root: `C:\`, `\\server\share\`, `\\?\C:\`, `\\.\`.
std::size_t root_length(std::u16string_view path) {
  switch (form_of(path)) {
    case PathForm::drive_absolute:
      return 3;
    case PathForm::drive_relative:
      return 2;
    case PathForm::rooted:
      return 1;
    case PathForm::relative:
      return 0;
    case PathForm::device:
      return 4;
    case PathForm::verbatim:
      return 4 + root_length(path.substr(4));
    case PathForm::unc:
      break;
  }
  std::size_t end = 2;
  for (int part = 0; part < 2 && end < path.size(); ++part) {
    while (end < path.size() && !is_separator(path[end])) ++end;
    if (end < path.size()) ++end;
  }
  return end;
}

/// Appends the components of `tail` to `path` (a root, or a folder with its last backslash), applying `.`,
/// `..` and the rules about trailing dots; never climbs above `root` characters.
void append_normalized(std::u16string& path, std::size_t root, std::u16string_view tail) {
  std::size_t at = 0;
  while (at < tail.size()) {
    std::size_t end = at;
    while (end < tail.size() && !is_separator(tail[end])) ++end;
    std::u16string_view part = tail.substr(at, end - at);
    const bool last = end == tail.size();
    at = end + 1;
    if (part == u"..") {
      if (path.size() > root) path.resize(path.find_last_of(u'\\', path.size() - 2) + 1);
      continue;
    }
    if (part.empty() || part == u".") continue;
    if (last) {
      part = part.substr(0, part.find_last_not_of(u". ") + 1);
    } else if (part.ends_with(u'.') && !part.ends_with(u"..")) {
      part.remove_suffix(1);
    }
    if (part.empty()) continue;
    path += part;
    if (!last) path += u'\\';
  }
}

/// `.` and `..` as the last component leave a folder: Windows answers without the last separator then.
void drop_separator_of_dots(std::u16string& path, std::size_t root, std::u16string_view given) {
  const std::u16string_view last = base_name(given);
  if (!last.empty() && path.size() > root && path.ends_with(u'\\')) path.pop_back();
}

std::u16string device_path(std::u16string_view name) {
  std::u16string path = u"\\\\.\\";
  path += name;
  return path;
}

std::u16string_view trim_device_name(std::u16string_view name) {
  name = name.substr(0, name.find_last_not_of(u' ') + 1);
  if (name.ends_with(u':')) name.remove_suffix(1);
  return name.substr(0, name.find_last_not_of(u' ') + 1);
}

Device device_by_name(std::u16string_view name) {
  if (same_name(name, u"NUL")) return Device::null;
  if (same_name(name, u"CON")) return Device::console;
  if (same_name(name, u"CONIN$")) return Device::console_input;
  if (same_name(name, u"CONOUT$")) return Device::console_output;
  if (same_name(name, u"AUX") || same_name(name, u"PRN")) return Device::other;
  const bool port =
      name.size() == 4 && (same_name(name.substr(0, 3), u"COM") || same_name(name.substr(0, 3), u"LPT"));
  return port && name[3] >= u'1' && name[3] <= u'9' ? Device::other : Device::none;
}

bool legal_component(std::u16string_view part) {
  return std::ranges::none_of(
      part, [](char16_t c) { return c < 0x20 || std::u16string_view(u"<>:\"|?*").contains(c); });
}

bool exists(const std::string& host) {
  struct stat info;
  return lstat(host.c_str(), &info) == 0;
}

bool is_folder(const std::string& host) {
  struct stat info;
  return stat(host.empty() ? "/" : host.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::u16string_view> split(std::u16string_view tail) {
  std::vector<std::u16string_view> parts;
  while (!tail.empty()) {
    const std::size_t end = std::min(tail.find_first_of(u"\\/"), tail.size());
    if (end != 0) parts.push_back(tail.substr(0, end));
    tail.remove_prefix(std::min(end + 1, tail.size()));
  }
  return parts;
}

}  // namespace

PathForm form_of(std::u16string_view path) {
  const auto separator = [&](std::size_t i) { return i < path.size() && is_separator(path[i]); };
  if (path.starts_with(u"\\??\\") || path.starts_with(u"\\\\?\\")) return PathForm::verbatim;
  if (separator(0) && separator(1)) {
    const bool special = path.size() > 2 && (path[2] == u'.' || path[2] == u'?');
    return special && (separator(3) || path.size() == 3) ? PathForm::device : PathForm::unc;
  }
  if (separator(0)) return PathForm::rooted;
  if (path.size() >= 2 && path[1] == u':' && is_letter(path[0])) {
    return separator(2) ? PathForm::drive_absolute : PathForm::drive_relative;
  }
  return PathForm::relative;
}

char16_t fold(char16_t unit) {
  if (unit < 0x80) return upper_ascii(unit);
  if (nls::is_surrogate(unit)) return unit;
  const utf8proc_int32_t upper = utf8proc_toupper(unit);
  return upper > 0 && upper < 0x10000 ? static_cast<char16_t>(upper) : unit;
}

bool same_name(std::u16string_view a, std::u16string_view b) {
  return std::ranges::equal(a, b, {}, fold, fold);
}

bool name_before(std::u16string_view a, std::u16string_view b) {
  return std::ranges::lexicographical_compare(a, b, {}, fold, fold);
}

Device device_of(std::u16string_view path) {
  if (form_of(path) == PathForm::device) {
    const Device device = device_by_name(path.substr(std::min<std::size_t>(4, path.size())));
    return device == Device::none ? Device::other : device;
  }
  if (form_of(path) == PathForm::verbatim || form_of(path) == PathForm::unc) return Device::none;
  // `c:nul` and `c:\x\nul` are the device too; `nul.txt` has not been since Windows 11.
  std::u16string_view name = base_name(path);
  if (name.size() > 2 && name[1] == u':') name.remove_prefix(2);
  return device_by_name(trim_device_name(name));
}

std::u16string_view base_name(std::u16string_view path) {
  return path.substr(path.find_last_of(u"\\/") + 1);  // npos + 1 is 0
}

std::u16string_view folder_of(std::u16string_view path) {
  return path.substr(0, path.find_last_of(u"\\/") + 1);
}

Result<std::u16string> full_path(std::u16string_view path, const CurrentDirectories& directories) {
  path = path.substr(0, path.find(u'\0'));
  if (path.find_first_not_of(u' ') == std::u16string_view::npos) {
    return bad_path(abi::STATUS_OBJECT_NAME_INVALID, path, "the path is empty");
  }
  const PathForm form = form_of(path);
  if (form == PathForm::device) {
    std::u16string full = u"\\\\.\\";
    append_normalized(full, 4, path.substr(std::min<std::size_t>(4, path.size())));
    return full;
  }
  if (device_of(path) != Device::none) {
    std::u16string_view name = base_name(path);
    if (name.size() > 2 && name[1] == u':') name.remove_prefix(2);
    return device_path(trim_device_name(name));
  }
  std::u16string full;
  std::u16string_view tail = path;
  switch (form) {
    case PathForm::drive_absolute:
    case PathForm::unc:
    case PathForm::verbatim:
      full = path.substr(0, root_length(path));
      tail = path.substr(full.size());
      std::ranges::replace(full, u'/', u'\\');
      break;
    case PathForm::drive_relative: {
      const bool on_current = upper_ascii(path[0]) == upper_ascii(directories.current[0]);
      const std::u16string& remembered = directories.of_drive[letter_index(path[0])];
      full = on_current ? directories.current : remembered;
      if (full.empty()) full = {path[0], u':', u'\\'};
      tail = path.substr(2);
      break;
    }
    case PathForm::rooted:
      full = directories.current.substr(0, root_length(directories.current));
      break;
    default:
      full = directories.current;
      break;
  }
  const std::size_t root = root_length(full);
  append_normalized(full, root, tail);
  if (full.ends_with(u'\\')) drop_separator_of_dots(full, root, tail.empty() ? u"." : tail);
  return full;
}

DriveTable::DriveTable() { folders_[letter_index(u'Z')] = ""; }

Result<void> DriveTable::map(char16_t letter, const std::string& folder) {
  if (!is_letter(letter))
    return bad_path(abi::STATUS_OBJECT_NAME_INVALID, {}, "a drive is a letter from A to Z");
  const std::unique_ptr<char, void (*)(void*)> real(realpath(folder.c_str(), nullptr), std::free);
  if (!real || !is_folder(real.get())) {
    return fail({.kind = ErrorKind::not_found,
                 .status = abi::STATUS_OBJECT_PATH_NOT_FOUND,
                 .what = "no folder stands there to be a drive",
                 .file = folder});
  }
  const std::string name = real.get();
  folders_[letter_index(letter)] = name == "/" ? std::string() : name;
  return {};
}

const std::optional<std::string>& DriveTable::folder(char16_t letter) const {
  static const std::optional<std::string> none;
  return is_letter(letter) ? folders_[letter_index(letter)] : none;
}

std::uint32_t DriveTable::mask() const {
  std::uint32_t mask = 0;
  for (std::size_t i = 0; i < folders_.size(); ++i) mask |= folders_[i] ? 1u << i : 0;
  return mask;
}

std::u16string DriveTable::to_windows(std::string_view host) const {
  std::size_t best = letter_index(u'Z');
  std::size_t length = 0;
  bool found = false;
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    if (!folders_[i] || !host.starts_with(*folders_[i])) continue;
    const std::size_t size = folders_[i]->size();
    const bool whole = size == host.size() || host[size] == '/';
    if (whole && (!found || size > length)) best = i, length = size, found = true;
  }
  std::u16string path = {static_cast<char16_t>(u'A' + best), u':', u'\\'};
  if (length + 1 < host.size()) path += nls::name_to_utf16(host.substr(length + 1));
  std::ranges::replace(path, u'/', u'\\');
  return path;
}

std::optional<std::string> find_entry(const std::string& folder, std::u16string_view name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.empty() ? "/" : folder.c_str()), closedir);
  if (!stream) return std::nullopt;
  while (const dirent* entry = readdir(stream.get())) {
    if (same_name(nls::name_to_utf16(entry->d_name), name)) return entry->d_name;
  }
  return std::nullopt;
}

Result<Located> DriveTable::locate(std::u16string_view full) const {
  const std::u16string_view given = full;
  if (form_of(full) == PathForm::verbatim) full.remove_prefix(4);
  if (form_of(full) == PathForm::unc) return bad_path(kBadNetPath, given, "no network shares here");
  if (form_of(full) != PathForm::drive_absolute) {
    return bad_path(abi::STATUS_OBJECT_PATH_NOT_FOUND, given, "the path is not on a drive");
  }
  const std::optional<std::string>& drive = folder(full[0]);
  if (!drive) return bad_path(abi::STATUS_OBJECT_PATH_NOT_FOUND, given, "the drive letter is not mapped");
  const auto parts = split(full.substr(3));
  if (!std::ranges::all_of(parts, legal_component)) {
    return bad_path(abi::STATUS_OBJECT_NAME_INVALID, given, "the path has a character that no file name has");
  }
  Located located{.host = *drive, .wants_folder = is_separator(full.back())};
  if (parts.empty()) {
    if (located.host.empty()) located.host += '/';
    located.exists = located.is_root = true;
    return located;
  }
  // Longest prefix that exists as written; most paths are written as they are, and cost one lstat.
  std::vector<std::size_t> lengths = {located.host.size()};
  for (const auto part : parts) {
    located.host += '/';
    located.host += nls::name_to_utf8(part);
    lengths.push_back(located.host.size());
  }
  const std::string wanted = located.host;
  std::size_t known = parts.size();
  while (known > 0 && !exists(wanted.substr(0, lengths[known]))) --known;
  located.host.resize(lengths[known]);
  for (; known < parts.size(); ++known) {
    std::optional<std::string> entry = nls::name_to_utf8(parts[known]);
    if (!exists(located.host + "/" + *entry)) entry = find_entry(located.host, parts[known]);
    const bool last = known + 1 == parts.size();
    if (!entry && (!last || !is_folder(located.host))) {
      return bad_path(abi::STATUS_OBJECT_PATH_NOT_FOUND, given, "a folder on the way does not exist");
    }
    located.host += '/';
    located.host += entry ? *entry : nls::name_to_utf8(parts[known]);
    if (!entry) return located;
  }
  located.exists = true;
  return located;
}

// Windows turns a DOS pattern into one of the file system's, whose three extra wildcards explain the odd
// cases:
//   <  (from `*` before a dot)      any characters, up to the last dot of the name
//   >  (from `?`)                   one character; at a dot or at the end also none
//   "  (from `.` before `?` or `*`) a dot; at the end also none
bool matches(std::u16string_view pattern, std::u16string_view name) {
  if (pattern == u"*.*" || pattern == u"*") return true;
  std::u16string expression(pattern);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char16_t next = i + 1 < pattern.size() ? pattern[i + 1] : u'\0';
    if (pattern[i] == u'?') expression[i] = u'>';
    if (pattern[i] == u'.' && (next == u'?' || next == u'*')) expression[i] = u'"';
    if (pattern[i] == u'*' && next == u'.') expression[i] = u'<';
  }
  // `*.` has no dot to match in a name without an extension: the last dot may be absent, as after `<`.
  if (expression.ends_with(u"<.")) expression.back() = u'"';
  const std::size_t last_dot = name.find_last_of(u'.');
  // reachable[j]: the expression so far can match the first j characters of the name.
  std::vector<char> reachable(name.size() + 1, 0);
  reachable[0] = 1;
  for (const char16_t c : expression) {
    std::vector<char> next(name.size() + 1, 0);
    for (std::size_t j = 0; j <= name.size(); ++j) {
      if (!reachable[j]) continue;
      const bool end = j == name.size();
      if (c == u'*') {
        std::fill(next.begin() + static_cast<std::ptrdiff_t>(j), next.end(), 1);
      } else if (c == u'<') {
        const std::size_t limit =
            last_dot == std::u16string_view::npos || j > last_dot ? name.size() : last_dot;
        std::fill(next.begin() + static_cast<std::ptrdiff_t>(j),
                  next.begin() + static_cast<std::ptrdiff_t>(limit) + 1, 1);
      } else if (c == u'>') {
        if (end || name[j] == u'.')
          next[j] = 1;
        else
          next[j + 1] = 1;
      } else if (c == u'"') {
        if (end)
          next[j] = 1;
        else if (name[j] == u'.')
          next[j + 1] = 1;
      } else if (!end && fold(name[j]) == fold(c)) {
        next[j + 1] = 1;
      }
    }
    reachable = std::move(next);
  }
  return reachable[name.size()] != 0;
}

}  // namespace bobbin::io
