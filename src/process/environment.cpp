#include "process/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "abi/status.hpp"
#include "nls/utf.hpp"

namespace bobbin::process {
namespace {

/// `X:\` or `X:;` at the start, or a `;` anywhere: no list of host folders has these.
bool looks_like_windows(std::string_view list) {
  const bool drive = list.size() >= 3 && list[1] == ':' && (list[2] == '\\' || list[2] == ';');
  return drive || list.contains(';');
}

std::u16string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::u16string upper = nls::to_utf16(name);
  std::ranges::transform(upper, upper.begin(), io::fold);
  return upper;
}

}  // namespace

std::u16string path_list_to_windows(std::string_view list, const io::DriveTable& drives) {
  if (looks_like_windows(list)) return nls::name_to_utf16(list);
  std::u16string out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    const std::string_view folder = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (folder.empty()) continue;
    if (!out.empty()) out += u';';
    out += folder.starts_with('/') ? drives.to_windows(folder) : nls::name_to_utf16(folder);
  }
  return out;
}

std::string path_list_to_host(std::u16string_view list, const io::DriveTable& drives) {
  std::string out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(u';'), list.size());
    const std::u16string_view folder = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const auto located = drives.locate(folder);
    if (!located) continue;  // a folder that the host has no name for helps nobody there
    if (!out.empty()) out += ':';
    out += located->host;
  }
  return out;
}

void Environment::take_from_host(const char* const* list, const io::DriveTable& drives) {
  {
    const std::scoped_lock lock(mutex_);
    for (; list != nullptr && *list != nullptr; ++list) {
      const std::string_view line = *list;
      const std::size_t equals = line.find('=');
      if (equals == 0 || equals == std::string_view::npos) continue;
      const std::string_view value = line.substr(equals + 1);
      const std::u16string name = nls::name_to_utf16(line.substr(0, equals));
      const bool is_path = io::same_name(name, u"PATH");
      variables_.try_emplace(name, is_path ? path_list_to_windows(value, drives) : nls::name_to_utf16(value));
    }
  }
  add_defaults(drives);
}

void Environment::add_defaults(const io::DriveTable& drives) {
  const auto folder = [&](std::u16string_view name, std::string_view otherwise) {
    const auto value = get(name);
    const bool usable = value && value->starts_with(u'/');
    return drives.to_windows(usable ? nls::name_to_utf8(*value) : std::string(otherwise));
  };
  const std::u16string temp = folder(u"TMPDIR", "/tmp");
  const std::u16string home = folder(u"HOME", "/");
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  const std::pair<const char16_t*, std::u16string> defaults[] = {
      {u"TEMP", temp},
      {u"TMP", temp},
      {u"USERPROFILE", home},
      {u"HOMEDRIVE", home.substr(0, 2)},
      {u"HOMEPATH", home.substr(2)},
      {u"USERNAME", get(u"USER").value_or(u"user")},
      {u"COMPUTERNAME", host_name()},
      {u"SystemDrive", u"C:"},
      {u"SystemRoot", u"C:\\Windows"},
      {u"windir", u"C:\\Windows"},
      {u"COMSPEC", u"C:\\Windows\\system32\\cmd.exe"},
      {u"PATHEXT", u".COM;.EXE;.BAT;.CMD"},
      {u"OS", u"Windows_NT"},
      {u"PROCESSOR_ARCHITECTURE", u"AMD64"},
      {u"NUMBER_OF_PROCESSORS", nls::to_utf16(std::to_string(processors))},
  };
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, value] : defaults) variables_.try_emplace(name, value);
}

void Environment::take_from_block(const char16_t* block) {
  const std::scoped_lock lock(mutex_);
  while (*block != 0) {
    const std::u16string_view line(block);
    block += line.size() + 1;
    const std::size_t equals = line.find(u'=', 1);  // `=C:=C:\x`: the name is `=C:`
    if (equals == std::u16string_view::npos) continue;
    variables_.try_emplace(std::u16string(line.substr(0, equals)), line.substr(equals + 1));
  }
}

std::optional<std::u16string> Environment::get(std::u16string_view name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = variables_.find(name);
  if (found == variables_.end()) return std::nullopt;
  return found->second;
}

Result<void> Environment::set(std::u16string_view name, std::optional<std::u16string_view> value) {
  if (name.empty() || name.find(u'=', 1) != std::u16string_view::npos) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_PARAMETER,
                 .what = "an environment variable's name is not empty and has no '='"});
  }
  const std::scoped_lock lock(mutex_);
  const auto found = variables_.find(name);
  if (!value && found == variables_.end()) {
    return fail({.kind = ErrorKind::not_found,
                 .status = 0xC0070000u | abi::ERROR_ENVVAR_NOT_FOUND,
                 .what = "there is no such environment variable"});
  }
  if (!value) {
    variables_.erase(found);
  } else if (found != variables_.end()) {
    found->second = *value;
  } else {
    variables_.emplace(name, *value);
  }
  return {};
}

std::u16string Environment::block() const {
  const std::scoped_lock lock(mutex_);
  std::u16string block;
  for (const auto& [name, value] : variables_) {
    block += name;
    block += u'=';
    block += value;
    block += u'\0';
  }
  if (block.empty()) block += u'\0';
  block += u'\0';
  return block;
}

std::u16string Environment::expand(std::u16string_view text) const {
  std::u16string out;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find(u'%'), text.size());
    out += text.substr(0, open);
    text.remove_prefix(open);
    const std::size_t close = text.find(u'%', 1);
    if (close == std::u16string_view::npos) return out += text;
    const auto value = get(text.substr(1, close - 1));
    out += value ? std::u16string_view(*value) : text.substr(0, close);
    text.remove_prefix(value ? close + 1 : close);  // a % that closed no name may open the next one
  }
  return out;
}

std::vector<std::string> Environment::to_host(const io::DriveTable& drives) const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> list;
  for (const auto& [name, value] : variables_) {
    if (name.starts_with(u'=')) continue;
    const std::string text =
        io::same_name(name, u"PATH") ? path_list_to_host(value, drives) : nls::name_to_utf8(value);
    list.push_back(nls::name_to_utf8(name) + "=" + text);
  }
  return list;
}

}  // namespace bobbin::process
