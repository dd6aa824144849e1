// memoryapi.h: the address space, as VirtualAlloc and its kin show it, and its ntdll twins. What stands where
// is memory::AddressSpace's business; here are Windows' rules for rounding and for flags.
#include "base/checked.hpp"
#include "memory/address_space.hpp"
#include "thread/stacks.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using memory::kAddressLimit;
using memory::kAllocationGranularity;

constexpr DWORD MEM_COMMIT = 0x1000;
constexpr DWORD MEM_RESERVE = 0x2000;
constexpr DWORD MEM_DECOMMIT = 0x4000;
constexpr DWORD MEM_RELEASE = 0x8000;
constexpr DWORD MEM_RESET = 0x80000;
constexpr DWORD MEM_TOP_DOWN = 0x100000;
constexpr DWORD MEM_WRITE_WATCH = 0x200000;
constexpr DWORD MEM_PHYSICAL = 0x400000;
constexpr DWORD MEM_RESET_UNDO = 0x1000000;
constexpr DWORD MEM_LARGE_PAGES = 0x20000000;

constexpr DWORD kWriteCopies = memory::kWriteCopy | memory::kExecuteWriteCopy;
constexpr DWORD kWritable = memory::kReadWrite | memory::kExecuteReadWrite | kWriteCopies;

struct MEMORY_BASIC_INFORMATION {
  PVOID BaseAddress;
  PVOID AllocationBase;
  DWORD AllocationProtect;
  WORD PartitionId;
  SIZE_T RegionSize;
  DWORD State;
  DWORD Protect;
  DWORD Type;
};
static_assert(sizeof(MEMORY_BASIC_INFORMATION) == 0x30);

NTSTATUS status(std::uint32_t value) { return static_cast<NTSTATUS>(value); }

template <class T>
NTSTATUS status(const Result<T>& result) {
  return status(result ? STATUS_SUCCESS : result.error().status);
}

/// FALSE, and last error, for a failed status.
BOOL succeeded(NTSTATUS value) {
  if (value >= 0) return TRUE;
  return failed(win32_error(static_cast<std::uint32_t>(value)));
}

bool is_this_process(HANDLE process) { return process == reinterpret_cast<HANDLE>(~std::uintptr_t{0}); }

/// The pages that [at, at + size) touches.
struct Pages {
  void* at = nullptr;
  SIZE_T size = 0;
};

/// Nothing if the range leaves the guest's address space.
std::optional<Pages> pages_of(const void* at, SIZE_T size, SIZE_T start_granularity = os::kPageSize) {
  const auto first = reinterpret_cast<std::uintptr_t>(at);
  if (!in_range<std::uintptr_t>(first, size, kAddressLimit)) return std::nullopt;
  const std::uintptr_t start = align_down<std::uintptr_t>(first, start_granularity);
  return Pages{reinterpret_cast<void*>(start), align_up<std::uintptr_t>(first + size, os::kPageSize) - start};
}

// ---- allocate --------------------------------------------------------------------------------------------

NTSTATUS check_allocation(DWORD type, DWORD protect) {
  constexpr DWORD kKnown = MEM_COMMIT | MEM_RESERVE | MEM_RESET | MEM_TOP_DOWN | MEM_WRITE_WATCH |
                           MEM_PHYSICAL | MEM_RESET_UNDO | MEM_LARGE_PAGES;
  const DWORD what = type & (MEM_COMMIT | MEM_RESERVE | MEM_RESET | MEM_RESET_UNDO);
  const bool hint_only = what == MEM_RESET || what == MEM_RESET_UNDO;
  if ((type & ~kKnown) != 0 || what == 0) return status(STATUS_INVALID_PARAMETER);
  if (!hint_only && (what & (MEM_RESET | MEM_RESET_UNDO)) != 0) return status(STATUS_INVALID_PARAMETER);
  if ((type & (MEM_WRITE_WATCH | MEM_PHYSICAL | MEM_LARGE_PAGES)) != 0) return status(STATUS_NOT_SUPPORTED);
  // Private memory has nothing to copy on a write.
  if (!memory::AddressSpace::host_protection(protect) || (protect & kWriteCopies) != 0) {
    return status(STATUS_INVALID_PAGE_PROTECTION);
  }
  return status(STATUS_SUCCESS);
}

/// MEM_RESET and MEM_RESET_UNDO are hints about content that the host may drop; keeping it is within the
/// contract.
NTSTATUS reset(const Pages& pages) {
  const memory::Region region = services().memory.query(pages.at);
  const bool committed = region.state == memory::State::committed && region.size >= pages.size;
  return status(committed ? STATUS_SUCCESS : STATUS_CONFLICTING_ADDRESSES);
}

NTSTATUS reserve(Pages& pages, DWORD type, DWORD protect) {
  auto base = services().memory.reserve(pages.size, pages.at, memory::Type::private_memory, protect);
  if (!base) return status(base);
  pages.at = *base;
  if ((type & MEM_COMMIT) == 0) return status(STATUS_SUCCESS);
  auto committed = services().memory.commit(*base, pages.size, protect);
  if (!committed) (void)services().memory.release(*base);
  return status(committed);
}

NTSTATUS allocate(void*& base, SIZE_T& size, DWORD type, DWORD protect) {
  if (size == 0) return status(STATUS_INVALID_PARAMETER);
  if (const NTSTATUS wrong = check_allocation(type, protect); wrong < 0) return wrong;
  const bool reserves = (type & MEM_RESERVE) != 0 || (base == nullptr && (type & MEM_COMMIT) != 0);
  auto pages = pages_of(base, size, reserves ? kAllocationGranularity : os::kPageSize);
  if (!pages) return status(STATUS_INVALID_PARAMETER);
  // The lowest 64 KiB belong to nobody.
  if (base != nullptr && pages->at == nullptr) return status(STATUS_INVALID_PARAMETER);
  NTSTATUS result = status(STATUS_SUCCESS);
  if (reserves) {
    result = reserve(*pages, type, protect);
  } else if ((type & MEM_COMMIT) != 0) {
    result = status(services().memory.commit(pages->at, pages->size, protect));
  } else {
    result = reset(*pages);
  }
  if (result >= 0) {
    base = pages->at;
    size = pages->size;
  }
  return result;
}

NTSTATUS NtAllocateVirtualMemory(HANDLE process, PVOID* base, ULONG_PTR zero_bits, SIZE_T* size, ULONG type,
                                 ULONG protect) {
  if (!is_this_process(process)) return status(STATUS_INVALID_HANDLE);
  if (zero_bits != 0) return status(STATUS_INVALID_PARAMETER_3);
  return allocate(*base, *size, type, protect);
}

LPVOID VirtualAllocEx(HANDLE process, LPVOID address, SIZE_T size, DWORD type, DWORD protect) {
  return succeeded(NtAllocateVirtualMemory(process, &address, 0, &size, type, protect)) ? address : nullptr;
}

LPVOID VirtualAlloc(LPVOID address, SIZE_T size, DWORD type, DWORD protect) {
  return succeeded(allocate(address, size, type, protect)) ? address : nullptr;
}

// ---- free ------------------------------------------------------------------------------------------------

NTSTATUS release(void*& base, SIZE_T& size) {
  const memory::Region region = services().memory.query(base);
  if (region.state == memory::State::free) return status(STATUS_MEMORY_NOT_ALLOCATED);
  if (region.type != memory::Type::private_memory) return status(STATUS_UNABLE_TO_DELETE_SECTION);
  if (region.allocation_base != base) return status(STATUS_FREE_VM_NOT_AT_BASE);
  auto whole = services().memory.allocation_size(base);
  if (!whole) return status(whole);
  if (size != 0 && size != *whole) return status(STATUS_UNABLE_TO_FREE_VM);  // in parts: not done here
  size = *whole;
  return status(services().memory.release(base));
}

NTSTATUS decommit(void*& base, SIZE_T& size) {
  const memory::Region region = services().memory.query(base);
  if (region.state != memory::State::free && region.type != memory::Type::private_memory) {
    return status(STATUS_UNABLE_TO_DELETE_SECTION);
  }
  if (size == 0) {
    auto whole = services().memory.allocation_size(base);
    if (!whole) return status(whole);
    size = *whole;
  }
  return status(services().memory.decommit(base, size));
}

NTSTATUS free_pages(void*& base, SIZE_T& size, DWORD type) {
  if (type != MEM_DECOMMIT && type != MEM_RELEASE) return status(STATUS_INVALID_PARAMETER);
  if (base == nullptr) return status(STATUS_INVALID_PARAMETER);
  auto pages = pages_of(base, size);
  if (!pages) return status(STATUS_INVALID_PARAMETER);
  if (size == 0) pages->size = 0;
  const NTSTATUS result =
      type == MEM_RELEASE ? release(pages->at, pages->size) : decommit(pages->at, pages->size);
  if (result >= 0) {
    base = pages->at;
    size = pages->size;
  }
  return result;
}

NTSTATUS NtFreeVirtualMemory(HANDLE process, PVOID* base, SIZE_T* size, ULONG type) {
  if (!is_this_process(process)) return status(STATUS_INVALID_HANDLE);
  return free_pages(*base, *size, type);
}

BOOL VirtualFreeEx(HANDLE process, LPVOID address, SIZE_T size, DWORD type) {
  if (type == MEM_RELEASE && size != 0) return succeeded(status(STATUS_INVALID_PARAMETER));
  return succeeded(NtFreeVirtualMemory(process, &address, &size, type));
}

BOOL VirtualFree(LPVOID address, SIZE_T size, DWORD type) {
  return VirtualFreeEx(INVALID_HANDLE_VALUE, address, size, type);
}

// ---- protect, lock ---------------------------------------------------------------------------------------

/// Guard pages in the calling thread's stack. Where the stack is in use they would grow it at once; what is
/// left of that is that the stack's own guard pages are back, which is what Wine's _resetstkoflw wants. True
/// if done.
bool guard_own_stack(std::byte* begin, std::size_t size) {
  TEB* const teb = current_teb();
  auto* const stack = static_cast<std::byte*>(teb->DeallocationStack);
  auto* const in_use = static_cast<std::byte*>(__builtin_frame_address(0)) - os::kPageSize;
  if (begin < stack || begin >= teb->StackBase) return false;
  if (begin + size <= in_use) {
    teb->StackLimit = begin + size;
    return false;
  }
  const std::size_t wanted = thread::Stack::kGuard;
  if (stack + os::kPageSize + wanted < in_use &&
      services().memory.protect(stack + os::kPageSize, wanted, memory::kReadWrite | memory::kGuard))
    teb->StackLimit = stack + os::kPageSize + wanted;
  return true;
}

NTSTATUS NtProtectVirtualMemory(HANDLE process, PVOID* base, SIZE_T* size, ULONG protect, ULONG* old) {
  if (!is_this_process(process)) return status(STATUS_INVALID_HANDLE);
  probe_for_write(base);
  probe_for_write(size);
  probe_for_write(old, sizeof *old);
  const auto pages = pages_of(*base, *size);
  if (!pages || *size == 0) return status(STATUS_INVALID_PARAMETER);
  const bool of_image = services().memory.query(pages->at).type == memory::Type::image;
  if (!of_image && (protect & kWriteCopies) != 0) return status(STATUS_INVALID_PAGE_PROTECTION);
  if ((protect & memory::kGuard) != 0 && guard_own_stack(static_cast<std::byte*>(pages->at), pages->size)) {
    *old = memory::kReadWrite;
  } else {
    auto before = services().memory.protect(pages->at, pages->size, protect);
    if (!before) return status(before);
    *old = *before;
  }
  *base = pages->at;
  *size = pages->size;
  return status(STATUS_SUCCESS);
}

BOOL VirtualProtectEx(HANDLE process, LPVOID address, SIZE_T size, DWORD protect, DWORD* old) {
  return succeeded(NtProtectVirtualMemory(process, &address, &size, protect, old));
}

BOOL VirtualProtect(LPVOID address, SIZE_T size, DWORD protect, DWORD* old) {
  return VirtualProtectEx(INVALID_HANDLE_VALUE, address, size, protect, old);
}

BOOL VirtualLock(LPVOID address, SIZE_T size) {
  const auto pages = pages_of(address, size);
  if (!pages || size == 0) return succeeded(status(STATUS_INVALID_PARAMETER));
  return succeeded(status(services().memory.pin(pages->at, pages->size)));
}

BOOL VirtualUnlock(LPVOID address, SIZE_T size) {
  const auto pages = pages_of(address, size);
  if (!pages || size == 0) return succeeded(status(STATUS_INVALID_PARAMETER));
  return succeeded(status(services().memory.unpin(pages->at, pages->size)));
}

// ---- query -----------------------------------------------------------------------------------------------

constexpr ULONG MemoryBasicInformation = 0;

NTSTATUS NtQueryVirtualMemory(HANDLE process, LPCVOID address, ULONG information, PVOID buffer, SIZE_T size,
                              SIZE_T* returned) {
  if (!is_this_process(process)) return status(STATUS_INVALID_HANDLE);
  if (information != MemoryBasicInformation) return status(STATUS_INVALID_INFO_CLASS);
  if (size < sizeof(MEMORY_BASIC_INFORMATION)) return status(STATUS_INFO_LENGTH_MISMATCH);
  if (reinterpret_cast<std::uintptr_t>(address) >= kAddressLimit) return status(STATUS_INVALID_PARAMETER);
  const memory::Region region = services().memory.query(address);
  const bool is_free = region.state == memory::State::free;
  *static_cast<MEMORY_BASIC_INFORMATION*>(buffer) = {
      .BaseAddress = region.base,
      .AllocationBase = region.allocation_base,
      .AllocationProtect = region.allocation_protect,
      .PartitionId = 0,
      .RegionSize = region.size,
      .State = static_cast<DWORD>(region.state),
      .Protect = region.protect,
      .Type = is_free ? 0 : static_cast<DWORD>(region.type),
  };
  if (returned != nullptr) *returned = sizeof(MEMORY_BASIC_INFORMATION);
  return status(STATUS_SUCCESS);
}

SIZE_T VirtualQueryEx(HANDLE process, LPCVOID address, PVOID buffer, SIZE_T size) {
  SIZE_T returned = 0;
  const NTSTATUS result =
      NtQueryVirtualMemory(process, address, MemoryBasicInformation, buffer, size, &returned);
  return succeeded(result) ? returned : 0;
}

SIZE_T VirtualQuery(LPCVOID address, PVOID buffer, SIZE_T size) {
  return VirtualQueryEx(INVALID_HANDLE_VALUE, address, buffer, size);
}

SIZE_T GetLargePageMinimum() { return 0; }  // large pages are not supported, says this answer

// ---- copies, caches --------------------------------------------------------------------------------------

/// ERROR_NOACCESS if the caller's own buffer is bad, ERROR_PARTIAL_COPY if the other end is.
BOOL copied(SIZE_T done, SIZE_T size, SIZE_T* count) {
  if (count != nullptr) *count = done;
  return done == size || succeeded(status(STATUS_PARTIAL_COPY));
}

BOOL ReadProcessMemory(HANDLE process, LPCVOID from, LPVOID to, SIZE_T size, SIZE_T* count) {
  if (!is_this_process(process)) return succeeded(status(STATUS_INVALID_HANDLE));
  return copied(os::copy_from_doubtful(to, from, size), size, count);
}

/// Code may be patched without unprotecting it first: Windows does that for the caller.
BOOL WriteProcessMemory(HANDLE process, LPVOID to, LPCVOID from, SIZE_T size, SIZE_T* count) {
  if (!is_this_process(process)) return succeeded(status(STATUS_INVALID_HANDLE));
  const DWORD protect = services().memory.query(to).protect;
  DWORD before = 0;
  const bool unprotected = (protect & (memory::kExecute | memory::kExecuteRead)) != 0 &&
                           VirtualProtect(to, size, memory::kExecuteReadWrite, &before) != FALSE;
  const SIZE_T done = os::copy_to_doubtful(to, from, size);
  if (unprotected) (void)VirtualProtect(to, size, before, &before);
  if (done == 0 && size != 0 && (protect & kWritable) == 0) return succeeded(status(STATUS_ACCESS_VIOLATION));
  return copied(done, size, count);
}

BOOL FlushInstructionCache(HANDLE process, LPCVOID, SIZE_T) {
  // x86 keeps instructions and data coherent by itself.
  return is_this_process(process) || succeeded(status(STATUS_INVALID_HANDLE));
}

void FlushProcessWriteBuffers() { os::flush_process_writes(); }

/// The bounds that Windows starts a process with; the host knows none.
BOOL GetProcessWorkingSetSize(HANDLE process, SIZE_T* minimum, SIZE_T* maximum) {
  constexpr SIZE_T kPage = 4096, kMinimum = 50 * kPage, kMaximum = 345 * kPage;
  if (!is_this_process(process)) return failed(ERROR_INVALID_HANDLE);
  *minimum = kMinimum;
  *maximum = kMaximum;
  return TRUE;
}

/// Nobody watches here how much memory the host has left.
HANDLE CreateMemoryResourceNotification(int kind) {
  return failed(kind == 0 || kind == 1 ? ERROR_NOT_SUPPORTED : ERROR_INVALID_PARAMETER, HANDLE{});
}
BOOL QueryMemoryResourceNotification(HANDLE, BOOL*) { return failed(ERROR_INVALID_HANDLE); }

const Export kExports[] = {
    NATIVE(kKernel32, CreateMemoryResourceNotification),
    NATIVE(kKernel32, GetProcessWorkingSetSize),
    NATIVE(kKernel32, QueryMemoryResourceNotification),
    NATIVE(kKernel32, FlushInstructionCache),
    NATIVE(kKernel32, FlushProcessWriteBuffers),
    NATIVE(kKernel32, GetLargePageMinimum),
    NATIVE(kKernel32, ReadProcessMemory),
    NATIVE(kKernel32, VirtualAlloc),
    NATIVE(kKernel32, VirtualAllocEx),
    NATIVE(kKernel32, VirtualFree),
    NATIVE(kKernel32, VirtualFreeEx),
    NATIVE(kKernel32, VirtualLock),
    SYSTEM_CALL(kKernel32, VirtualProtect),
    SYSTEM_CALL(kKernel32, VirtualProtectEx),
    SYSTEM_CALL(kKernel32, VirtualQuery),
    SYSTEM_CALL(kKernel32, VirtualQueryEx),
    NATIVE(kKernel32, VirtualUnlock),
    NATIVE(kKernel32, WriteProcessMemory),
    NT_NATIVE(kNtdll, NtAllocateVirtualMemory),
    NT_NATIVE(kNtdll, NtFreeVirtualMemory),
    NT_NATIVE(kNtdll, NtProtectVirtualMemory),
    NT_NATIVE(kNtdll, NtQueryVirtualMemory),
};

}  // namespace

std::span<const Export> memoryapi_natives() { return kExports; }

}  // namespace bobbin::win32
