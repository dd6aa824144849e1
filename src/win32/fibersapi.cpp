// Fiber-local storage. Each thread has its values; FlsFree zeroes them everywhere. Not here yet (part 3/4):
// destructors, which FlsAlloc only remembers, and fibers, so no thread is one.
#include "tls/engine.hpp"
#include "tls/fls.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using tls::FlsBlock;
using tls::kFlsLimit;

constexpr DWORD FLS_OUT_OF_INDEXES = 0xFFFFFFFFu;

constexpr bool in_range(DWORD index) { return index - 1 < kFlsLimit - 1; }

/// A value's cell in the running fiber, or null if it has not been set there.
inline void** cell(const FlsBlock& block, DWORD index) {
  const tls::FlsPlace place = tls::fls_place(index);
  void** const chunk = block.chunks[place.chunk];
  return chunk == nullptr ? nullptr : chunk + place.cell;
}

inline FlsBlock* current_block() { return static_cast<FlsBlock*>(current_teb()->FlsData); }

BOBBIN_MS_ABI void* FlsGetValue2(DWORD index) {
  const FlsBlock* const block = current_block();
  if (!in_range(index) || block == nullptr) return nullptr;
  void** const at = cell(*block, index);
  return at == nullptr ? nullptr : *at;
}

BOBBIN_MS_ABI void* FlsGetValue(DWORD index) {
  const FlsBlock* const block = current_block();
  if (!in_range(index) || block == nullptr) return failed(ERROR_INVALID_PARAMETER, nullptr);
  set_last_error(ERROR_SUCCESS);
  void** const at = cell(*block, index);
  return at == nullptr ? nullptr : *at;
}

BOOL set_value_slowly(DWORD index, void* value) {
  if (!in_range(index)) return failed(ERROR_INVALID_PARAMETER);
  if (auto set = services().tls.fls().set(*current_teb(), index, value); !set) return failed(set.error());
  return TRUE;
}

BOBBIN_MS_ABI BOOL FlsSetValue(DWORD index, void* value) {
  const FlsBlock* const block = current_block();
  void** const at = in_range(index) && block != nullptr ? cell(*block, index) : nullptr;
  if (at == nullptr) [[unlikely]]
    return Entry<&set_value_slowly, 0>::call(index, value);
  *at = value;
  return TRUE;
}

DWORD FlsAlloc(void* destructor) {
  auto index = services().tls.fls().allocate(destructor);
  if (index) return *index;
  failed(index.error());
  return FLS_OUT_OF_INDEXES;
}

BOOL FlsFree(DWORD index) {
  if (services().tls.fls().free(index)) return TRUE;
  return failed(ERROR_INVALID_PARAMETER);
}

BOBBIN_MS_ABI BOOL IsThreadAFiber() { return (current_teb()->SameTebFlags & TEB_HAS_FIBER_DATA) != 0; }

// ntdll's twins: a status instead of last error.

NTSTATUS RtlFlsAlloc(void* destructor, ULONG* index) {
  auto allocated = services().tls.fls().allocate(destructor);
  if (!allocated) return static_cast<NTSTATUS>(allocated.error().status);
  *index = *allocated;
  return STATUS_SUCCESS;
}

NTSTATUS RtlFlsFree(ULONG index) {
  return static_cast<NTSTATUS>(services().tls.fls().free(index) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
}

NTSTATUS RtlFlsSetValue(ULONG index, void* value) {
  if (!in_range(index)) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  auto set = services().tls.fls().set(*current_teb(), index, value);
  return static_cast<NTSTATUS>(set ? STATUS_SUCCESS : set.error().status);
}

NTSTATUS RtlFlsGetValue(ULONG index, void** value) {
  const FlsBlock* const block = current_block();
  if (!in_range(index) || block == nullptr) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);
  void** const at = cell(*block, index);
  *value = at == nullptr ? nullptr : *at;
  return STATUS_SUCCESS;
}

BOBBIN_MS_ABI void* RtlFlsGetValue2(ULONG index) { return FlsGetValue2(index); }

const Export kExports[] = {
    HOT(kKernel32, FlsGetValue),       HOT(kKernel32, FlsGetValue2),  HOT(kKernel32, FlsSetValue),
    NATIVE(kKernel32, FlsAlloc),       NATIVE(kKernel32, FlsFree),    HOT(kKernel32, IsThreadAFiber),
    NT_NATIVE(kNtdll, RtlFlsAlloc),    NT_NATIVE(kNtdll, RtlFlsFree), NT_NATIVE(kNtdll, RtlFlsSetValue),
    NT_NATIVE(kNtdll, RtlFlsGetValue), HOT(kNtdll, RtlFlsGetValue2),
};

}  // namespace

std::span<const Export> fibersapi_natives() { return kExports; }

}  // namespace bobbin::win32
