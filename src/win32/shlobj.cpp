// shlobj.h and shellapi.h, and userenv.h's one function: command lines taken apart, and folders that have
// names.
#include <cstring>
#include <optional>

#include "memory/heaps.hpp"
#include "process/command_line.hpp"
#include "process/environment.hpp"
#include "process/process.hpp"
#include "win32/hresult.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

memory::Heap& heap() { return *services().heaps.find(services().heaps.process_heap()); }

/// One block, which the caller gives to LocalFree: the pointers, then what they point to.
LPWSTR* CommandLineToArgvW(LPCWSTR line, int* count) {
  if (line == nullptr || count == nullptr) return failed<LPWSTR*>(ERROR_INVALID_PARAMETER);
  std::vector<std::u16string> words = process::split_command_line(line);
  if (*line == 0) words = {services().process.image_path()};
  std::size_t units = 0;
  for (const auto& word : words) units += word.size() + 1;
  const std::size_t table = (words.size() + 1) * sizeof(LPWSTR);
  auto* block = static_cast<std::byte*>(heap().allocate(table + units * sizeof(WCHAR), {}));
  if (block == nullptr) return failed<LPWSTR*>(ERROR_NOT_ENOUGH_MEMORY);
  auto** pointers = reinterpret_cast<LPWSTR*>(block);
  auto* text = reinterpret_cast<LPWSTR>(block + table);
  for (const auto& word : words) {
    *pointers++ = text;
    text = std::copy_n(word.c_str(), word.size() + 1, text);
  }
  *pointers = nullptr;
  *count = static_cast<int>(words.size());
  return reinterpret_cast<LPWSTR*>(block);
}

/// A known folder: a variable of the environment that says where it is, and what follows it.
struct Folder {
  GUID id;
  const char16_t* variable;
  const char16_t* below;
};
constexpr Folder kFolders[] = {
    {{0x5E6C858F, 0x0E22, 0x4760, {0x9A, 0xFE, 0xEA, 0x33, 0x17, 0xB6, 0x71, 0x73}}, u"USERPROFILE", u""},
    {{0xF1B32785, 0x6FBA, 0x4FCF, {0x9D, 0x55, 0x7B, 0x8E, 0x7F, 0x15, 0x70, 0x91}},
     u"USERPROFILE",
     u"\\AppData\\Local"},
    {{0x3EB685DB, 0x65F9, 0x4CF6, {0xA0, 0x3A, 0xE3, 0xEF, 0x65, 0x72, 0x9F, 0x3D}},
     u"USERPROFILE",
     u"\\AppData\\Roaming"},
    {{0x62AB5D82, 0xFDC1, 0x4DC3, {0xA9, 0xDD, 0x07, 0x0D, 0x1D, 0x49, 0x5D, 0x97}},
     u"SystemDrive",
     u"\\ProgramData"},
    {{0xF38BF404, 0x1D43, 0x42F2, {0x93, 0x05, 0x67, 0xDE, 0x0B, 0x28, 0xFC, 0x23}}, u"SystemRoot", u""},
    {{0x1AC14E77, 0x02E7, 0x4E5D, {0xB7, 0x44, 0x2E, 0xB1, 0xAE, 0x51, 0x98, 0xB7}},
     u"SystemRoot",
     u"\\system32"},
};

std::optional<std::u16string> folder_of(const GUID& id) {
  for (const Folder& folder : kFolders) {
    if (std::memcmp(&folder.id, &id, sizeof id) != 0) continue;
    auto value = services().process.environment().get(folder.variable);
    if (value && !value->empty()) return *value + folder.below;
  }
  return std::nullopt;
}

/// The path is the caller's, who gives it to CoTaskMemFree.
HRESULT SHGetKnownFolderPath(const GUID* id, DWORD, HANDLE, LPWSTR* path) {
  if (id == nullptr || path == nullptr) return E_INVALIDARG;
  *path = nullptr;
  const auto folder = folder_of(*id);
  if (!folder) return E_FILE_NOT_FOUND;
  auto* block = static_cast<LPWSTR>(heap().allocate((folder->size() + 1) * sizeof(WCHAR), {}));
  if (block == nullptr) return E_OUTOFMEMORY;
  std::copy_n(folder->c_str(), folder->size() + 1, block);
  *path = block;
  return 0;
}

/// Of the process's own user: the pseudo handles of its token (-4 to -6), since there are no tokens. The size
/// counts the terminating zero.
BOOL GetUserProfileDirectoryW(HANDLE token, LPWSTR buffer, DWORD* size) {
  const auto pseudo = static_cast<std::intptr_t>(handle_value(token));
  if (pseudo < -6 || pseudo > -4) return failed(ERROR_INVALID_HANDLE);
  if (size == nullptr) return failed(ERROR_INVALID_PARAMETER);
  const auto folder = services().process.environment().get(u"USERPROFILE");
  if (!folder) return failed(ERROR_FILE_NOT_FOUND);
  const DWORD room = std::exchange(*size, static_cast<DWORD>(folder->size() + 1));
  return deliver_terminated(*folder, buffer, room) == folder->size() ? TRUE
                                                                     : failed(ERROR_INSUFFICIENT_BUFFER);
}

// ---- the shell's folders, and its taskbar: there is no shell ----------------------------------------------

HRESULT SHGetDesktopFolder(PVOID* folder) {
  if (folder == nullptr) return E_INVALIDARG;
  *folder = nullptr;
  return E_NOTIMPL;
}

HRESULT SHBindToParent(LPCVOID, const GUID*, PVOID* folder, LPCVOID* last) {
  if (folder == nullptr) return E_INVALIDARG;
  *folder = nullptr;
  if (last != nullptr) *last = nullptr;
  return E_NOTIMPL;
}

struct SHFILEOPSTRUCTW {
  PVOID hwnd;
  UINT wFunc;
  LPCWSTR pFrom, pTo;
  WORD fFlags;
  BOOL fAnyOperationsAborted;
  PVOID hNameMappings;
  LPCWSTR lpszProgressTitle;
};
static_assert(sizeof(SHFILEOPSTRUCTW) == 56);

/// Its failures have numbers of their own; this one is "not allowed". Nothing is touched.
int SHFileOperationW(SHFILEOPSTRUCTW* operation) {
  constexpr int kAccessDenied = 0x78;  // DE_ACCESSDENIEDSRC
  operation->fAnyOperationsAborted = TRUE;
  operation->hNameMappings = nullptr;
  return kAccessDenied;
}

BOOL Shell_NotifyIconW(DWORD, PVOID) { return failed(ERROR_NOT_SUPPORTED); }

const Export kExports[] = {
    NATIVE(kShell32, CommandLineToArgvW), NATIVE(kUserenv, GetUserProfileDirectoryW),
    NATIVE(kShell32, SHBindToParent),     NATIVE(kShell32, SHFileOperationW),
    NATIVE(kShell32, SHGetDesktopFolder), NATIVE(kShell32, SHGetKnownFolderPath),
    NATIVE(kShell32, Shell_NotifyIconW),
};

}  // namespace

std::span<const Export> shlobj_natives() { return kExports; }

}  // namespace bobbin::win32
