#include "loader/search.hpp"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace bobbin::loader {
namespace {

constexpr char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower_ascii, lower_ascii);
}

constexpr const char* kCurrentFolder = ".";

/// What is not set is not searched.
void append(Folders& folders, const std::string& folder) {
  if (!folder.empty()) folders.push_back(folder);
}

}  // namespace

std::string lower(std::string_view name) {
  std::string result(name);
  std::ranges::transform(result, result.begin(), lower_ascii);
  return result;
}

bool is_path(std::string_view name) { return name.find_first_of("/\\") != std::string_view::npos; }

std::string_view base_of(std::string_view name) {
  const std::size_t slash = name.find_last_of("/\\");
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

bool is_native_path(std::string_view path) {
  std::string folder = lower(path.substr(0, path.size() - base_of(path).size()));
  std::ranges::replace(folder, '/', '\\');
  return folder == "c:\\windows\\system32\\";
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return std::string(slash == std::string_view::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1)));
}

std::string absolute(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), ::free);
  return resolved ? std::string(resolved.get()) : path;
}

std::string with_extension(std::string_view name) {
  if (name.ends_with('.')) return std::string(name.substr(0, name.size() - 1));
  return base_of(name).contains('.') ? std::string(name) : std::string(name) + ".dll";
}

std::string_view resolve_api_set(std::string_view name) {
  // An api-set names a contract, not a file. Contracts of the C runtime are ucrtbase's; all others that real
  // files import are kernel32's in substance, where names of ntdll and advapi32 are found as well.
  if (name.starts_with("api-ms-win-crt-")) return "ucrtbase.dll";
  if (name.starts_with("api-ms-win-") || name.starts_with("ext-ms-win-")) return "kernel32.dll";
  return name;
}

std::optional<std::string> find_in_folder(const std::string& folder, std::string_view name) {
  std::string path = folder + "/" + std::string(name);
  if (access(path.c_str(), F_OK) == 0) return path;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), closedir);
  if (!stream) return std::nullopt;
  while (const dirent* entry = readdir(stream.get())) {
    if (same_letters(entry->d_name, name)) return folder + "/" + entry->d_name;
  }
  return std::nullopt;
}

std::optional<std::string> find_in_folders(const Folders& folders, std::string_view name) {
  for (const std::string& folder : folders) {
    if (auto found = find_in_folder(folder, name)) return found;
  }
  return std::nullopt;
}

std::string describe(const Folders& folders) {
  std::string text;
  for (const std::string& folder : folders) {
    text += (text.empty() ? "" : ", ") + (folder == kCurrentFolder ? "the current folder" : folder);
  }
  return text;
}

Folders SearchPath::standard(const std::string& own) const {
  Folders folders;
  append(folders, own.empty() ? program : own);
  append(folders, dll_directory);
  for (const std::string& folder : extra) append(folders, folder);
  append(folders, system);
  if (current_folder) append(folders, kCurrentFolder);
  return folders;
}

Folders SearchPath::of(const Places& places, const std::string& own) const {
  Folders folders;
  if (places.own) append(folders, own);
  if (places.program) {
    append(folders, program);
    for (const std::string& folder : extra) append(folders, folder);
  }
  if (places.user) {
    append(folders, dll_directory);
    for (const Added& one : added) append(folders, one.folder);
  }
  if (places.system) append(folders, system);
  return folders;
}

std::uintptr_t SearchPath::add(std::string folder) {
  added.push_back({++last_cookie_, std::move(folder)});
  return last_cookie_;
}

bool SearchPath::remove(std::uintptr_t cookie) {
  return std::erase_if(added, [cookie](const Added& one) { return one.cookie == cookie; }) != 0;
}

}  // namespace bobbin::loader
