// Explicit thread-local storage (Windows declares these in processthreadsapi.h, whose threads have a file of
// their own).
//
// TlsGetValue and TlsSetValue are what programs call all the time: their fast paths (arch/) touch nothing but
// gs:. They do not ask whether the index is allocated, as Windows does not. A thread's first store beyond
// slot 63 makes its expansion cells.
#include "loader/loader.hpp"
#include "tls/engine.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using loader::Lint;

void* TlsGetValue2(DWORD index) {
  const TEB& teb = *current_teb();
  if (index < TLS_MINIMUM_AVAILABLE) return teb.TlsSlots[index];
  const DWORD beyond = index - TLS_MINIMUM_AVAILABLE;
  if (beyond >= TLS_EXPANSION_SLOTS || teb.TlsExpansionSlots == nullptr) return nullptr;
  return teb.TlsExpansionSlots[beyond];
}

void* TlsGetValue(DWORD index) {
  const bool exists = index < TLS_MINIMUM_AVAILABLE + TLS_EXPANSION_SLOTS;
  set_last_error(exists ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER);
  return TlsGetValue2(index);
}

Result<std::uint32_t> allocate() {
  auto index = services().tls.allocate_slot(*current_teb());
  if (Lint* lint = services().loader.lint(); lint != nullptr && index)
    lint->allocated(Lint::Index::tls, *index);
  return index;
}

bool free(DWORD index) {
  if (Lint* lint = services().loader.lint()) lint->freed(Lint::Index::tls, index);
  return services().tls.free_slot(index);
}

DWORD TlsAlloc() {
  auto index = allocate();
  if (index) return *index;
  failed(index.error());
  return TLS_OUT_OF_INDEXES;
}

BOOL TlsFree(DWORD index) {
  if (free(index)) return TRUE;
  return failed(ERROR_INVALID_PARAMETER);
}

// ntdll's twins, Windows 11: a status instead of last error.

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

NTSTATUS RtlTlsAlloc(ULONG* index) {
  auto allocated = allocate();
  if (!allocated) return static_cast<NTSTATUS>(allocated.error().status);
  *index = *allocated;
  return STATUS_SUCCESS;
}

NTSTATUS RtlTlsFree(ULONG index) {
  return static_cast<NTSTATUS>(free(index) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
}

BOOL TlsSetValue(DWORD index, void* value) {
  const NTSTATUS status = RtlTlsSetValue(index, value);
  if (status == STATUS_SUCCESS) return TRUE;
  return failed(win32_error(static_cast<std::uint32_t>(status)));
}

const Export kExports[] = {
    FAST(kKernel32, TlsGetValue),  FAST(kKernel32, TlsGetValue2),     FAST(kKernel32, TlsSetValue),
    NATIVE(kKernel32, TlsAlloc),   NATIVE(kKernel32, TlsFree),        NT_NATIVE(kNtdll, RtlTlsAlloc),
    NT_NATIVE(kNtdll, RtlTlsFree), NT_NATIVE(kNtdll, RtlTlsSetValue),
};

}  // namespace

std::span<const Export> tlsapi_natives() { return kExports; }

}  // namespace bobbin::win32
