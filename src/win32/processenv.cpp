// processenv.h: standard handles, command line, environment, current directory, searching for files.
#include <sys/stat.h>

#include "process/process.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

HANDLE* standard_slot(DWORD which) {
  switch (which) {
    case STD_INPUT_HANDLE:
      return &process_parameters().StandardInput;
    case STD_OUTPUT_HANDLE:
      return &process_parameters().StandardOutput;
    case STD_ERROR_HANDLE:
      return &process_parameters().StandardError;
    default:
      return nullptr;
  }
}

HANDLE GetStdHandle(DWORD which) {
  const HANDLE* slot = standard_slot(which);
  if (slot != nullptr) return *slot;
  return failed(ERROR_INVALID_HANDLE, INVALID_HANDLE_VALUE);
}

BOOL SetStdHandle(DWORD which, HANDLE handle) {
  HANDLE* slot = standard_slot(which);
  if (slot == nullptr) return failed(ERROR_INVALID_HANDLE);
  *slot = handle;
  return TRUE;
}

LPWSTR GetCommandLineW() { return process_parameters().CommandLine.Buffer; }
LPSTR GetCommandLineA() { return services().process.command_line_ansi().data(); }

process::Environment& environment() { return services().process.environment(); }

template <class Char>
Char* copy_block(const std::basic_string<Char>& block) {
  auto* copy = new Char[block.size()];
  std::copy(block.begin(), block.end(), copy);
  return copy;
}

LPWSTR GetEnvironmentStringsW() { return copy_block(environment().block()); }
LPSTR GetEnvironmentStringsA() { return copy_block(narrow(environment().block())); }
BOOL FreeEnvironmentStringsW(LPWSTR block) {
  delete[] block;
  return TRUE;
}
BOOL FreeEnvironmentStringsA(LPSTR block) {
  delete[] block;
  return TRUE;
}

template <class Char, class Value>
DWORD answer_variable(const std::optional<Value>& value, Char* buffer, DWORD size) {
  if (!value) return failed<DWORD>(ERROR_ENVVAR_NOT_FOUND);
  set_last_error(ERROR_SUCCESS);  // how callers tell an empty value from a missing one
  return deliver_terminated(*value, buffer, size);
}

DWORD GetEnvironmentVariableW(LPCWSTR name, LPWSTR buffer, DWORD size) {
  return answer_variable(environment().get(view(name)), buffer, size);
}

DWORD GetEnvironmentVariableA(LPCSTR name, LPSTR buffer, DWORD size) {
  const auto value = environment().get(wide(name));
  return answer_variable(value ? std::optional(narrow(*value)) : std::nullopt, buffer, size);
}

BOOL SetEnvironmentVariableW(LPCWSTR name, LPCWSTR value) {
  if (name == nullptr) return failed(ERROR_INVALID_PARAMETER);
  return done(
      environment().set(name, value == nullptr ? std::nullopt : std::optional<std::u16string_view>(value)));
}

BOOL SetEnvironmentVariableA(LPCSTR name, LPCSTR value) {
  const std::u16string wide_name = wide(name);
  const std::u16string wide_value = wide(value);
  return SetEnvironmentVariableW(name == nullptr ? nullptr : wide_name.c_str(),
                                 value == nullptr ? nullptr : wide_value.c_str());
}

// Both count the NUL in their answer.
DWORD ExpandEnvironmentStringsW(LPCWSTR text, LPWSTR buffer, DWORD size) {
  const std::u16string expanded = environment().expand(view(text));
  deliver_terminated(expanded, buffer, size);
  return static_cast<DWORD>(expanded.size() + 1);
}

DWORD ExpandEnvironmentStringsA(LPCSTR text, LPSTR buffer, DWORD size) {
  const std::string expanded = narrow(environment().expand(wide(text)));
  deliver_terminated(expanded, buffer, size);
  return static_cast<DWORD>(expanded.size() + 1);
}

/// Without the last backslash, except for a root.
std::u16string current_directory() {
  std::u16string directory = services().files.directories().current;
  if (directory.size() > 3) directory.pop_back();
  return directory;
}

DWORD GetCurrentDirectoryW(DWORD size, LPWSTR buffer) {
  return deliver_terminated(current_directory(), buffer, size);
}
DWORD GetCurrentDirectoryA(DWORD size, LPSTR buffer) {
  return deliver_terminated(narrow(current_directory()), buffer, size);
}

BOOL SetCurrentDirectoryW(LPCWSTR path) {
  const auto changed = services().files.set_current_directory(view(path));
  if (!changed) return failed(changed.error());
  services().process.parameters().set_current_directory(services().files.directories().current);
  return TRUE;
}

BOOL SetCurrentDirectoryA(LPCSTR path) { return SetCurrentDirectoryW(wide(path).c_str()); }

bool is_file(std::u16string_view path) {
  const auto info = services().files.info(path);
  return info && (info->attributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

/// The folders that SearchPath looks through if it is given none: the program's, the current one, PATH's.
std::u16string default_search_path() {
  std::u16string list(io::folder_of(services().process.image_path()));
  list += u";.;";
  list += environment().get(u"PATH").value_or(u"");
  return list;
}

std::optional<std::u16string> find_in_list(std::u16string_view list, std::u16string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(u';'), list.size());
    std::u16string candidate(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (candidate.empty()) continue;
    if (!io::is_separator(candidate.back())) candidate += u'\\';
    candidate += name;
    if (!is_file(candidate)) continue;
    const auto full = services().files.full(candidate);
    if (full) return *full;
  }
  return std::nullopt;
}

std::optional<std::u16string> search_path(const std::optional<std::u16string>& list, std::u16string name,
                                          std::u16string_view extension) {
  const bool has_extension = io::base_name(name).contains(u'.');
  if (!has_extension) name += extension;
  if (io::form_of(name) == io::PathForm::relative && !name.starts_with(u".\\") &&
      !name.starts_with(u"..\\")) {
    return find_in_list(list ? *list : default_search_path(), name);
  }
  if (!is_file(name)) return std::nullopt;
  const auto full = services().files.full(name);
  return full ? std::optional(*full) : std::nullopt;
}

template <class Char>
DWORD answer_search(const std::basic_string<Char>& found, DWORD size, Char* buffer, Char** file_part) {
  const DWORD length = deliver_terminated(found, buffer, size);
  if (length < size && buffer != nullptr && file_part != nullptr) {
    *file_part = buffer + found.find_last_of(static_cast<Char>('\\')) + 1;
  }
  return length;
}

DWORD SearchPathW(LPCWSTR list, LPCWSTR name, LPCWSTR extension, DWORD size, LPWSTR buffer,
                  LPWSTR* file_part) {
  if (view(name).empty()) return failed<DWORD>(ERROR_INVALID_PARAMETER);
  const auto found = search_path(list == nullptr ? std::nullopt : std::optional(std::u16string(list)),
                                 std::u16string(name), view(extension));
  if (!found) return failed<DWORD>(ERROR_FILE_NOT_FOUND);
  return answer_search(*found, size, buffer, file_part);
}

DWORD SearchPathA(LPCSTR list, LPCSTR name, LPCSTR extension, DWORD size, LPSTR buffer, LPSTR* file_part) {
  if (name == nullptr || *name == 0) return failed<DWORD>(ERROR_INVALID_PARAMETER);
  const auto found =
      search_path(list == nullptr ? std::nullopt : std::optional(wide(list)), wide(name), wide(extension));
  if (!found) return failed<DWORD>(ERROR_FILE_NOT_FOUND);
  return answer_search(narrow(*found), size, buffer, file_part);
}

/// cmd's rule: the current directory is searched unless NoDefaultCurrentDirectoryInExePath is set; a name
/// with a folder in it always means that folder.
BOOL NeedCurrentDirectoryForExePathW(LPCWSTR name) {
  if (view(name).contains(u'\\')) return TRUE;
  return environment().get(u"NoDefaultCurrentDirectoryInExePath") ? FALSE : TRUE;
}
BOOL NeedCurrentDirectoryForExePathA(LPCSTR name) {
  return NeedCurrentDirectoryForExePathW(wide(name).c_str());
}

const Export kExports[] = {
    NATIVE(kKernel32, ExpandEnvironmentStringsA),
    NATIVE(kKernel32, ExpandEnvironmentStringsW),
    NATIVE(kKernel32, FreeEnvironmentStringsA),
    NATIVE(kKernel32, FreeEnvironmentStringsW),
    NATIVE(kKernel32, GetCommandLineA),
    NATIVE(kKernel32, GetCommandLineW),
    NATIVE(kKernel32, GetCurrentDirectoryA),
    NATIVE(kKernel32, GetCurrentDirectoryW),
    NATIVE(kKernel32, GetEnvironmentStringsA),
    {.name = "GetEnvironmentStrings",  // the A function's older name
     .address = reinterpret_cast<void*>(&Entry<&GetEnvironmentStringsA, 0>::call),
     .dlls = kKernel32},
    NATIVE(kKernel32, GetEnvironmentStringsW),
    NATIVE(kKernel32, GetEnvironmentVariableA),
    NATIVE(kKernel32, GetEnvironmentVariableW),
    NATIVE(kKernel32, GetStdHandle),
    NATIVE(kKernel32, NeedCurrentDirectoryForExePathA),
    NATIVE(kKernel32, NeedCurrentDirectoryForExePathW),
    NATIVE(kKernel32, SearchPathA),
    NATIVE(kKernel32, SearchPathW),
    NATIVE(kKernel32, SetCurrentDirectoryA),
    NATIVE(kKernel32, SetCurrentDirectoryW),
    NATIVE(kKernel32, SetEnvironmentVariableA),
    NATIVE(kKernel32, SetEnvironmentVariableW),
    NATIVE(kKernel32, SetStdHandle),
};

}  // namespace

std::span<const Export> processenv_natives() { return kExports; }

}  // namespace bobbin::win32
