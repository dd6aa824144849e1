// libloaderapi.h, and ntdll's Ldr* names: loading, freeing, finding modules and functions.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "io/paths.hpp"
#include "loader/guard.hpp"
#include "loader/loader.hpp"
#include "nls/utf.hpp"
#include "win32/guest_callback.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD {
  DONT_RESOLVE_DLL_REFERENCES = 0x1,
  LOAD_LIBRARY_AS_DATAFILE = 0x2,
  LOAD_WITH_ALTERED_SEARCH_PATH = 0x8,
  LOAD_LIBRARY_AS_IMAGE_RESOURCE = 0x20,
  LOAD_LIBRARY_AS_DATAFILE_EXCLUSIVE = 0x40,
  LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR = 0x100,
  LOAD_LIBRARY_SEARCH_APPLICATION_DIR = 0x200,
  LOAD_LIBRARY_SEARCH_USER_DIRS = 0x400,
  LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800,
  LOAD_LIBRARY_SEARCH_DEFAULT_DIRS = 0x1000,
  LOAD_LIBRARY_SEARCH_ANY = 0x1F00,
  LOAD_LIBRARY_KNOWN_FLAGS = 0x3FFB,
  GET_MODULE_HANDLE_EX_FLAG_PIN = 0x1,
  GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT = 0x2,
  GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS = 0x4,
};

loader::Loader& modules() { return services().loader; }

/// The two low bits of a handle say that it is a data file, not a module.
bool is_data_handle(HMODULE module) { return (reinterpret_cast<std::uintptr_t>(module) & 3) != 0; }

/// Holds the loader lock: the guest's memory is touched before or after.
using Found = loader::Loader::Found;

/// The module of a handle; NULL is the program. Sets last error if there is none.
Found module_of(HMODULE handle) {
  Found module = handle == nullptr ? modules().find({}) : modules().find_by_base(handle);
  if (!module) set_last_error(ERROR_MOD_NOT_FOUND);
  return module;
}

loader::Places places_of(DWORD flags) {
  const bool defaults = (flags & LOAD_LIBRARY_SEARCH_DEFAULT_DIRS) != 0;
  return {.own = (flags & LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR) != 0,
          .program = defaults || (flags & LOAD_LIBRARY_SEARCH_APPLICATION_DIR) != 0,
          .user = defaults || (flags & LOAD_LIBRARY_SEARCH_USER_DIRS) != 0,
          .system = defaults || (flags & LOAD_LIBRARY_SEARCH_SYSTEM32) != 0};
}

/// Whether a path names its file by itself, wherever the current folder is.
bool is_absolute(std::string_view path) {
  switch (io::form_of(nls::to_utf16(path))) {
    case io::PathForm::drive_absolute:
    case io::PathForm::unc:
    case io::PathForm::device:
    case io::PathForm::verbatim:
      return true;
    default:
      return false;
  }
}

/// What the documentation of LoadLibraryEx excludes.
bool are_valid(std::string_view name, DWORD flags) {
  if (name.empty() || (flags & ~std::uint32_t{LOAD_LIBRARY_KNOWN_FLAGS}) != 0) return false;
  const bool searches = (flags & LOAD_LIBRARY_SEARCH_ANY) != 0;
  if (searches && (flags & LOAD_WITH_ALTERED_SEARCH_PATH) != 0) return false;
  return (flags & LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR) == 0 || is_absolute(name);
}

HMODULE load(std::string_view name, DWORD flags) {
  if (!are_valid(name, flags)) {
    set_last_error(ERROR_INVALID_PARAMETER);
    return nullptr;
  }
  const loader::LoadFlags how{.resolve = (flags & DONT_RESOLVE_DLL_REFERENCES) == 0,
                              .own_folder_first = (flags & LOAD_WITH_ALTERED_SEARCH_PATH) != 0,
                              .places = places_of(flags)};
  if ((flags & (LOAD_LIBRARY_AS_DATAFILE | LOAD_LIBRARY_AS_DATAFILE_EXCLUSIVE |
                LOAD_LIBRARY_AS_IMAGE_RESOURCE)) != 0) {
    auto data = modules().load_data(std::string(name), (flags & LOAD_LIBRARY_AS_IMAGE_RESOURCE) != 0, how);
    if (data) return *data;
    failed(data.error());
    return nullptr;
  }
  auto module = modules().load(std::string(name), how);
  if (module) return *module;
  failed(module.error());
  return nullptr;
}

std::string utf8(LPCWSTR text) { return text != nullptr ? nls::to_utf8(text) : std::string(); }
std::string_view utf8(LPCSTR text) { return text != nullptr ? std::string_view(text) : std::string_view(); }

HMODULE LoadLibraryExW(LPCWSTR name, HANDLE, DWORD flags) { return load(utf8(name), flags); }
HMODULE LoadLibraryExA(LPCSTR name, HANDLE, DWORD flags) { return load(utf8(name), flags); }
HMODULE LoadLibraryW(LPCWSTR name) { return load(utf8(name), 0); }
HMODULE LoadLibraryA(LPCSTR name) { return load(utf8(name), 0); }

BOOL FreeLibrary(HMODULE handle) {
  if (is_data_handle(handle)) {
    auto freed = modules().free_data(handle);
    return freed ? TRUE : failed(freed.error());
  }
  auto freed = modules().free(handle);
  return freed ? TRUE : failed(freed.error());
}

void FreeLibraryAndExitThread(HMODULE handle, DWORD code) {
  FreeLibrary(handle);
  services().threads.exit_current(code);
}

HMODULE handle_of(std::string_view name) {
  if (const Found module = modules().find(std::string(name))) return module->base();
  set_last_error(ERROR_MOD_NOT_FOUND);
  return nullptr;
}

HMODULE GetModuleHandleW(LPCWSTR name) { return handle_of(utf8(name)); }
HMODULE GetModuleHandleA(LPCSTR name) { return handle_of(utf8(name)); }

BOOL module_handle_ex(DWORD flags, std::string_view name, const void* address, HMODULE* result) {
  if (result == nullptr || (flags & ~7u) != 0 || (flags & 3) == 3) {
    set_last_error(ERROR_INVALID_PARAMETER);
    return FALSE;
  }
  *result = nullptr;
  const bool from_address = (flags & GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS) != 0;
  HMODULE base = nullptr;
  {
    const Found module =
        from_address ? modules().find_by_address(address) : modules().find(std::string(name));
    if (!module) {
      set_last_error(ERROR_MOD_NOT_FOUND);
      return FALSE;
    }
    if ((flags & GET_MODULE_HANDLE_EX_FLAG_PIN) != 0) {
      modules().pin(module);
    } else if ((flags & GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT) == 0) {
      modules().add_reference(module);
    }
    base = module->base();
  }
  *result = base;
  return TRUE;
}

BOOL GetModuleHandleExW(DWORD flags, LPCWSTR name, HMODULE* result) {
  const bool text = (flags & GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS) == 0;
  return module_handle_ex(flags, text ? utf8(name) : std::string(), name, result);
}
BOOL GetModuleHandleExA(DWORD flags, LPCSTR name, HMODULE* result) {
  const bool text = (flags & GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS) == 0;
  return module_handle_ex(flags, text ? utf8(name) : std::string_view(), name, result);
}

/// Copies a string as GetModuleFileName does: truncated and ended, with ERROR_INSUFFICIENT_BUFFER, if it is
/// long.
template <class Char>
DWORD copy_name(std::basic_string_view<Char> name, Char* buffer, DWORD size) {
  if (size == 0) {
    set_last_error(ERROR_INSUFFICIENT_BUFFER);
    return 0;
  }
  const std::size_t length = std::min<std::size_t>(name.size(), size - 1);
  std::ranges::copy(name.substr(0, length), buffer);
  buffer[length] = 0;
  if (length == name.size()) {
    set_last_error(ERROR_SUCCESS);
    return static_cast<DWORD>(length);
  }
  set_last_error(ERROR_INSUFFICIENT_BUFFER);
  return size;
}

/// Empty, with last error, if there is no such module.
std::u16string name_of(HMODULE handle) {
  const Found module = module_of(handle);
  return module ? module->full_name : std::u16string();
}
DWORD GetModuleFileNameW(HMODULE handle, LPWSTR buffer, DWORD size) {
  const auto name = name_of(handle);
  return name.empty() ? 0 : copy_name<char16_t>(name, buffer, size);
}
DWORD GetModuleFileNameA(HMODULE handle, LPSTR buffer, DWORD size) {
  const auto name = nls::to_utf8(name_of(handle));
  return name.empty() ? 0 : copy_name<char>(name, buffer, size);
}

/// By name or by ordinal; what is not there is noted.
template <class Wanted>
Result<void*> procedure(const Found& module, Wanted wanted) {
  auto address = modules().procedure(module, wanted);
  if (!address) {
    if constexpr (std::is_integral_v<Wanted>)
      modules().note_missing(module, fmt::format("#{}", wanted));
    else
      modules().note_missing(module, wanted);
  }
  return address;
}

FARPROC GetProcAddress(HMODULE handle, LPCSTR name) {
  const auto number = reinterpret_cast<std::uintptr_t>(name);
  const bool by_ordinal = number <= 0xFFFF;
  const auto text = by_ordinal ? std::string_view() : std::string_view(name);
  const Found module = module_of(handle);
  if (!module) return nullptr;
  auto address = by_ordinal ? procedure(module, static_cast<std::uint32_t>(number)) : procedure(module, text);
  if (address) return *address;
  // Windows answers 127 for a name and 182 for an ordinal, whatever broke on the way.
  set_last_error(by_ordinal ? ERROR_INVALID_ORDINAL : ERROR_PROC_NOT_FOUND);
  return nullptr;
}

BOOL DisableThreadLibraryCalls(HMODULE handle) {
  const Found module = modules().find_by_base(handle);
  if (!module) {
    set_last_error(ERROR_INVALID_HANDLE);
    return FALSE;
  }
  if (modules().disable_thread_calls(module)) return TRUE;
  set_last_error(ERROR_INVALID_PARAMETER);
  return FALSE;
}

/// One folder, searched before the system folder; NULL takes it away again, an empty one the current folder
/// too.
BOOL set_dll_directory(std::string_view folder, bool given) {
  const auto host = folder.empty() ? std::nullopt : modules().host_path(folder);
  modules().change_search([&](loader::SearchPath& search) {
    search.current_folder = !given;
    search.dll_directory = host.value_or("");
  });
  return TRUE;
}
BOOL SetDllDirectoryW(LPCWSTR folder) { return set_dll_directory(utf8(folder), folder != nullptr); }
BOOL SetDllDirectoryA(LPCSTR folder) { return set_dll_directory(utf8(folder), folder != nullptr); }

PVOID AddDllDirectory(LPCWSTR name) {
  const std::string folder = utf8(name);
  if (!is_absolute(folder)) {
    set_last_error(ERROR_INVALID_PARAMETER);
    return nullptr;
  }
  const auto host = modules().host_path(folder);
  if (!host) {
    set_last_error(ERROR_FILE_NOT_FOUND);
    return nullptr;
  }
  std::uintptr_t cookie = 0;
  modules().change_search([&](loader::SearchPath& search) { cookie = search.add(*host); });
  return reinterpret_cast<PVOID>(cookie);
}
BOOL RemoveDllDirectory(PVOID cookie) {
  bool removed = false;
  modules().change_search(
      [&](loader::SearchPath& search) { removed = search.remove(reinterpret_cast<std::uintptr_t>(cookie)); });
  if (!removed) set_last_error(ERROR_INVALID_PARAMETER);
  return removed ? TRUE : FALSE;
}
BOOL SetDefaultDllDirectories(DWORD flags) {
  constexpr DWORD kAllowed = LOAD_LIBRARY_SEARCH_ANY & ~DWORD{LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR};
  if (flags == 0 || (flags & ~kAllowed) != 0) {
    set_last_error(ERROR_INVALID_PARAMETER);
    return FALSE;
  }
  modules().change_search([&](loader::SearchPath& search) { search.defaults = places_of(flags); });
  return TRUE;
}

// ---- delayed imports (delayloadhandler.h) ----------------------------------------------------------------

/// DELAYLOAD_INFO: what a failure hook hears.
struct DelayLoadInfo {
  ULONG Size;
  const void* DelayloadDescriptor;
  PVOID ThunkAddress;
  LPCSTR TargetDllName;
  ULONG ImportDescribedByName;
  LPCSTR NameOrOrdinal;
  PVOID TargetModuleBase;
  PVOID Unused;
  ULONG LastError;
};
static_assert(sizeof(DelayLoadInfo) == 72);

constexpr ULONG DELAYLOAD_GPA_FAILURE = 4;  ///< the one reason there is, for a missing DLL too

using FailureDllHook = BOBBIN_MS_ABI PVOID (*)(ULONG reason, DelayLoadInfo* info);
using FailureSystemHook = BOBBIN_MS_ABI PVOID (*)(LPCSTR dll, LPCSTR name_or_ordinal);

/// The import's address, or what the first hook that can help hands back in its place. That is not stored:
/// the next call of the function tries again.
PVOID ResolveDelayLoadedAPI(PVOID base, const void* descriptor, FailureDllHook dll_hook,
                            FailureSystemHook system_hook, PVOID thunk, ULONG) {
  const auto offset = static_cast<const std::byte*>(descriptor) - static_cast<const std::byte*>(base);
  const Rva rva{static_cast<std::uint32_t>(offset)};
  loader::DelayImport wanted;
  Result<void*> address = fail({});
  {
    const Found module = modules().find_by_base(base);
    if (!module) {
      set_last_error(ERROR_MOD_NOT_FOUND);
      return nullptr;
    }
    address = modules().resolve_delay_import(module, rva, static_cast<std::uint64_t*>(thunk), wanted);
  }
  if (address) return *address;
  failed(address.error());
  if (wanted.dll == nullptr) return nullptr;  // not an import at all
  LPCSTR const what =
      wanted.name != nullptr ? wanted.name : reinterpret_cast<LPCSTR>(std::uintptr_t{wanted.ordinal});
  PVOID stub = nullptr;
  if (dll_hook != nullptr) {
    DelayLoadInfo info{.Size = sizeof info,
                       .DelayloadDescriptor = descriptor,
                       .ThunkAddress = thunk,
                       .TargetDllName = wanted.dll,
                       .ImportDescribedByName = wanted.name != nullptr ? 1u : 0u,
                       .NameOrOrdinal = what,
                       .TargetModuleBase = wanted.target,
                       .Unused = nullptr,
                       .LastError = win32_error(address.error().status)};
    stub = call_guest(dll_hook, DELAYLOAD_GPA_FAILURE, &info);
  }
  if (stub == nullptr && system_hook != nullptr) stub = call_guest(system_hook, wanted.dll, what);
  return stub;
}
NTSTATUS DelayLoadFailureHook(LPCSTR, LPCSTR) {
  set_last_error(ERROR_PROC_NOT_FOUND);
  return 0;
}

// ---- ntdll
// -------------------------------------------------------------------------------------------------

std::string utf8(const UNICODE_STRING& text) {
  return nls::to_utf8(std::u16string_view(text.Buffer, text.Length / 2));
}

NTSTATUS LdrLoadDll(LPCWSTR, ULONG*, const UNICODE_STRING* name, PVOID* base) {
  auto module = modules().load(utf8(*name));
  if (!module) return nt(module.error());
  *base = *module;
  return STATUS_SUCCESS;
}
NTSTATUS LdrUnloadDll(PVOID base) {
  auto freed = modules().free(base);
  return freed ? nt(STATUS_SUCCESS) : nt(freed.error());
}
NTSTATUS LdrGetDllHandle(LPCWSTR, ULONG*, const UNICODE_STRING* name, PVOID* base) {
  PVOID found = nullptr;
  {
    const Found module = modules().find(utf8(*name));
    if (!module) return nt(STATUS_DLL_NOT_FOUND);
    found = module->base();
  }
  *base = found;
  return STATUS_SUCCESS;
}
NTSTATUS LdrGetProcedureAddress(PVOID base, const ANSI_STRING* name, ULONG ordinal, PVOID* address) {
  const auto text = name != nullptr ? std::string(name->Buffer, name->Length) : std::string();
  Result<void*> found = fail({});
  {
    const Found module = modules().find_by_base(base);
    if (!module) return nt(STATUS_DLL_NOT_FOUND);
    found = name != nullptr ? procedure(module, std::string_view(text))
                            : procedure(module, std::uint32_t{ordinal});
  }
  if (!found) return nt(found.error());
  *address = *found;
  return STATUS_SUCCESS;
}
NTSTATUS LdrAddRefDll(ULONG flags, PVOID base) {
  const Found module = modules().find_by_base(base);
  if (!module || (flags & ~1u) != 0) return nt(STATUS_INVALID_PARAMETER);
  if ((flags & 1) != 0)
    modules().pin(module);
  else
    modules().add_reference(module);
  return STATUS_SUCCESS;
}
NTSTATUS LdrDisableThreadCalloutsForDll(PVOID base) {
  const Found module = modules().find_by_base(base);
  if (!module) return nt(STATUS_DLL_NOT_FOUND);
  return modules().disable_thread_calls(module) ? nt(STATUS_SUCCESS) : nt(STATUS_DLL_NOT_FOUND);
}
PVOID RtlPcToFileHeader(PVOID pc, PVOID* base) {
  PVOID found = nullptr;
  if (const Found module = modules().find_by_address(pc); module) found = module->base();
  *base = found;
  return found;
}
BOOLEAN RtlDllShutdownInProgress() { return modules().shutting_down() ? 1 : 0; }

/// IMAGE_NT_HEADERS64 of a mapped image, or NULL if there is none at `base`.
PVOID RtlImageNtHeader(PVOID base) {
  const Found module = modules().find_by_base(base);
  if (!module) return nullptr;
  const ByteView bytes(std::span<const std::byte>(module->base(), module->size()));
  const auto offset = bytes.read<std::uint32_t>(0x3C);
  return offset && bytes.slice(*offset, 0x108) ? module->base() + *offset : nullptr;
}
PVOID RtlImageDirectoryEntryToData(PVOID base, BOOLEAN, USHORT directory, ULONG* size) {
  auto* headers = static_cast<std::byte*>(RtlImageNtHeader(base));
  if (headers == nullptr || directory >= 16) return nullptr;
  DWORD row[2];
  std::memcpy(row, headers + 24 + 112 + 8 * directory, sizeof row);
  if (row[0] == 0) return nullptr;
  *size = row[1];
  return static_cast<std::byte*>(base) + row[0];
}

const Export kExports[] = {
    NATIVE(kKernel32, AddDllDirectory),
    NATIVE(kKernel32, DelayLoadFailureHook),
    NATIVE(kKernel32, DisableThreadLibraryCalls),
    NATIVE(kKernel32, FreeLibrary),
    NATIVE(kKernel32, FreeLibraryAndExitThread),
    NATIVE(kKernel32, GetModuleFileNameA),
    NATIVE(kKernel32, GetModuleFileNameW),
    NATIVE(kKernel32, GetModuleHandleA),
    NATIVE(kKernel32, GetModuleHandleExA),
    NATIVE(kKernel32, GetModuleHandleExW),
    NATIVE(kKernel32, GetModuleHandleW),
    NATIVE(kKernel32, GetProcAddress),
    NT_NATIVE(kNtdll, LdrAddRefDll),
    NT_NATIVE(kNtdll, LdrDisableThreadCalloutsForDll),
    NT_NATIVE(kNtdll, LdrGetDllHandle),
    NT_NATIVE(kNtdll, LdrGetProcedureAddress),
    NT_NATIVE(kNtdll, LdrLoadDll),
    NT_NATIVE(kNtdll, LdrUnloadDll),
    NATIVE(kKernel32, LoadLibraryA),
    NATIVE(kKernel32, LoadLibraryExA),
    NATIVE(kKernel32, LoadLibraryExW),
    NATIVE(kKernel32, LoadLibraryW),
    NATIVE(kKernel32, RemoveDllDirectory),
    NATIVE(kKernel32 | kNtdll, ResolveDelayLoadedAPI),
    NATIVE(kNtdll, RtlDllShutdownInProgress),
    NATIVE(kNtdll, RtlImageDirectoryEntryToData),
    NATIVE(kNtdll, RtlImageNtHeader),
    NATIVE(kKernel32 | kNtdll, RtlPcToFileHeader),
    NATIVE(kKernel32, SetDefaultDllDirectories),
    NATIVE(kKernel32, SetDllDirectoryA),
    NATIVE(kKernel32, SetDllDirectoryW),
};

}  // namespace

std::span<const Export> libloaderapi_natives() { return kExports; }

}  // namespace bobbin::win32
