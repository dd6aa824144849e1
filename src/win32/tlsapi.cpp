// Explicit thread-local storage (Windows declares these in processthreadsapi.h, whose threads have a file of
// their own).
//
// TlsGetValue and TlsSetValue are what programs call all the time: hot leaves that touch nothing but gs:.
// They do not ask whether the index is allocated, as Windows does not. A thread's first store beyond slot 63
// makes its expansion cells, in a tail call.
#include "tls/engine.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr std::size_t kLastError = offsetof(TEB, LastErrorValue);
constexpr std::size_t kSlots = offsetof(TEB, TlsSlots);
constexpr std::size_t kExpansion = offsetof(TEB, TlsExpansionSlots);

// One instruction each: taking the TEB's address from gs:[30h] first would double the latency.
inline void hot_set_last_error(DWORD code) {
  asm volatile("movl %0, %%gs:%c1" : : "ri"(code), "i"(kLastError) : "memory");
}
inline void* slot(std::uint64_t index) {
  void* value;
  asm volatile("movq %%gs:%c2(,%1,8), %0" : "=r"(value) : "r"(index), "i"(kSlots));
  return value;
}
inline void set_slot(std::uint64_t index, void* value) {
  asm volatile("movq %0, %%gs:%c2(,%1,8)" : : "r"(value), "r"(index), "i"(kSlots) : "memory");
}
inline void** expansion() {
  void** cells;
  asm volatile("movq %%gs:%c1, %0" : "=r"(cells) : "i"(kExpansion));
  return cells;
}

BOBBIN_MS_ABI void* TlsGetValue2(DWORD index) {
  if (index < TLS_MINIMUM_AVAILABLE) return slot(index);
  const DWORD beyond = index - TLS_MINIMUM_AVAILABLE;
  if (beyond >= TLS_EXPANSION_SLOTS) return nullptr;
  void** const cells = expansion();
  return cells == nullptr ? nullptr : cells[beyond];
}

BOBBIN_MS_ABI void* TlsGetValue(DWORD index) {
  if (index < TLS_MINIMUM_AVAILABLE) [[likely]] {
    hot_set_last_error(ERROR_SUCCESS);
    return slot(index);
  }
  const DWORD beyond = index - TLS_MINIMUM_AVAILABLE;
  if (beyond >= TLS_EXPANSION_SLOTS) {
    hot_set_last_error(ERROR_INVALID_PARAMETER);
    return nullptr;
  }
  hot_set_last_error(ERROR_SUCCESS);
  void** const cells = expansion();
  return cells == nullptr ? nullptr : cells[beyond];
}

/// The thread's first store beyond slot 63, or an index that does not exist.
BOOL set_value_slowly(DWORD index, void* value) {
  const DWORD beyond = index - TLS_MINIMUM_AVAILABLE;
  if (beyond >= TLS_EXPANSION_SLOTS) return set_last_error(ERROR_INVALID_PARAMETER), FALSE;
  TEB& teb = *current_teb();
  if (auto made = services().tls.make_expansion_slots(teb); !made) return failed(made.error());
  teb.TlsExpansionSlots[beyond] = value;
  return TRUE;
}

BOBBIN_MS_ABI BOOL TlsSetValue(DWORD index, void* value) {
  if (index < TLS_MINIMUM_AVAILABLE) [[likely]] {
    set_slot(index, value);
    return TRUE;
  }
  const DWORD beyond = index - TLS_MINIMUM_AVAILABLE;
  void** const cells = expansion();
  if (cells == nullptr || beyond >= TLS_EXPANSION_SLOTS) [[unlikely]] {
    return Entry<&set_value_slowly, 0>::call(index, value);
  }
  cells[beyond] = value;
  return TRUE;
}

DWORD TlsAlloc() {
  auto index = services().tls.allocate_slot(*current_teb());
  if (index) return *index;
  failed(index.error());
  return TLS_OUT_OF_INDEXES;
}

BOOL TlsFree(DWORD index) {
  if (services().tls.free_slot(index)) return TRUE;
  set_last_error(ERROR_INVALID_PARAMETER);
  return FALSE;
}

// ntdll's twins, Windows 11: a status instead of last error.

NTSTATUS RtlTlsAlloc(ULONG* index) {
  auto allocated = services().tls.allocate_slot(*current_teb());
  if (!allocated) return static_cast<NTSTATUS>(allocated.error().status);
  *index = *allocated;
  return STATUS_SUCCESS;
}

NTSTATUS RtlTlsFree(ULONG index) {
  return static_cast<NTSTATUS>(services().tls.free_slot(index) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
}

NTSTATUS RtlTlsSetValue(ULONG index, void* value) {
  TEB& teb = *current_teb();
  if (index < TLS_MINIMUM_AVAILABLE) {
    teb.TlsSlots[index] = value;
    return STATUS_SUCCESS;
  }
  if (index - TLS_MINIMUM_AVAILABLE >= TLS_EXPANSION_SLOTS)
    return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  if (auto made = services().tls.make_expansion_slots(teb); !made) {
    return static_cast<NTSTATUS>(made.error().status);
  }
  teb.TlsExpansionSlots[index - TLS_MINIMUM_AVAILABLE] = value;
  return STATUS_SUCCESS;
}

const Export kExports[] = {
    HOT(kKernel32, TlsGetValue),   HOT(kKernel32, TlsGetValue2),      HOT(kKernel32, TlsSetValue),
    NATIVE(kKernel32, TlsAlloc),   NATIVE(kKernel32, TlsFree),        NT_NATIVE(kNtdll, RtlTlsAlloc),
    NT_NATIVE(kNtdll, RtlTlsFree), NT_NATIVE(kNtdll, RtlTlsSetValue),
};

}  // namespace

std::span<const Export> tlsapi_natives() { return kExports; }

}  // namespace bobbin::win32
