// tlhelp32.h: snapshots, of this process's modules. Other processes are not ours to look into, and the lists
// of processes, threads and heaps have no function here that would read them.
#include <unistd.h>

#include <cstddef>
#include <vector>

#include "abi/teb.hpp"
#include "loader/guard.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

struct MODULEENTRY32W {
  DWORD dwSize;
  DWORD th32ModuleID;
  DWORD th32ProcessID;
  DWORD GlblcntUsage;
  DWORD ProccntUsage;
  PVOID modBaseAddr;
  DWORD modBaseSize;
  HMODULE hModule;
  WCHAR szModule[256];
  WCHAR szExePath[260];
};
static_assert(sizeof(MODULEENTRY32W) == 1080);

class Snapshot final : public sync::Object {
 public:
  Snapshot() : Object(sync::Kind::snapshot) {}
  std::vector<MODULEENTRY32W> modules;
  std::size_t next = 0;

 private:
  ~Snapshot() override = default;
};

template <std::size_t N>
void copy_name(const UNICODE_STRING& name, WCHAR (&to)[N]) {
  const std::u16string_view text(name.Buffer, name.Length / sizeof(WCHAR));
  to[text.copy(to, N - 1)] = 0;
}

/// In the order in which they were loaded, the program first.
std::vector<MODULEENTRY32W> modules_now(DWORD process) {
  std::vector<MODULEENTRY32W> modules;
  const loader::Loader::Guard guard(services().loader);
  if (!guard.held()) return modules;
  const LIST_ENTRY& head = current_teb()->ProcessEnvironmentBlock->Ldr->InLoadOrderModuleList;
  for (const LIST_ENTRY* at = head.Flink; at != &head; at = at->Flink) {
    const auto& module = *reinterpret_cast<const LDR_DATA_TABLE_ENTRY*>(at);  // whose first member it is
    MODULEENTRY32W entry{.dwSize = sizeof entry,
                         .th32ModuleID = 1,
                         .th32ProcessID = process,
                         .GlblcntUsage = 0xFFFF,
                         .ProccntUsage = 0xFFFF,
                         .modBaseAddr = module.DllBase,
                         .modBaseSize = module.SizeOfImage,
                         .hModule = module.DllBase,
                         .szModule = {},
                         .szExePath = {}};
    copy_name(module.BaseDllName, entry.szModule);
    copy_name(module.FullDllName, entry.szExePath);
    modules.push_back(entry);
  }
  return modules;
}

HANDLE CreateToolhelp32Snapshot(DWORD flags, DWORD process) {
  constexpr DWORD kModules = 0x8, kInherit = 0x80000000u;
  const auto own = static_cast<DWORD>(getpid());
  if (process != 0 && process != own) return failed(ERROR_ACCESS_DENIED, INVALID_HANDLE_VALUE);
  auto snapshot = sync::Ref<Snapshot>::adopt(new Snapshot);
  if ((flags & kModules) != 0) snapshot->modules = modules_now(own);
  auto handle = services().handles.insert(std::move(snapshot), (flags & kInherit) != 0);
  return handle ? guest_handle(*handle) : failed(handle.error(), INVALID_HANDLE_VALUE);
}

BOOL give_module(HANDLE handle, MODULEENTRY32W* entry, bool first) {
  auto snapshot = borrow<Snapshot>(handle, sync::Kind::snapshot);
  if (!snapshot) return failed(snapshot.error());
  if (entry == nullptr || entry->dwSize < sizeof *entry) return failed(ERROR_BAD_LENGTH);
  if (first) (*snapshot)->next = 0;
  if ((*snapshot)->next >= (*snapshot)->modules.size()) return failed(ERROR_NO_MORE_FILES);
  *entry = (*snapshot)->modules[(*snapshot)->next++];
  return TRUE;
}

BOOL Module32FirstW(HANDLE snapshot, MODULEENTRY32W* entry) { return give_module(snapshot, entry, true); }
BOOL Module32NextW(HANDLE snapshot, MODULEENTRY32W* entry) { return give_module(snapshot, entry, false); }

const Export kExports[] = {
    NATIVE(kKernel32, CreateToolhelp32Snapshot),
    NATIVE(kKernel32, Module32FirstW),
    NATIVE(kKernel32, Module32NextW),
};

}  // namespace

std::span<const Export> tlhelp32_natives() { return kExports; }

}  // namespace bobbin::win32
