// Fibers and fiber-local storage (fibersapi.h), and ntdll's twins. FlsGetValue and its like have fast paths,
// which serve whatever is there already; here is the rest.
#include <cstdio>

#include "loader/loader.hpp"
#include "thread/thread.hpp"
#include "tls/engine.hpp"
#include "tls/fls.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using loader::Lint;

constexpr DWORD FLS_OUT_OF_INDEXES = 0xFFFFFFFFu;
constexpr auto kNotThere = static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER);

tls::Fls& fls() { return services().tls.fls(); }

/// The running fiber's value; false if the index is out of range, or the fiber has no block yet.
bool get(DWORD index, void*& value) {
  void* const block = current_teb()->FlsData;
  if (!fls().in_range(index) || block == nullptr) return false;
  void** const at = fls().cell(block, index);
  value = at == nullptr ? nullptr : *at;
  return true;
}

Result<void> set(DWORD index, void* value) {
  if (Lint* lint = services().loader.lint()) lint->sets_fls(index, value);
  return fls().set(*current_teb(), index, value);
}

Result<std::uint32_t> allocate(void* callback) {
  auto index = fls().allocate(callback);
  if (Lint* lint = services().loader.lint(); lint != nullptr && index)
    lint->allocated(Lint::Index::fls, *index);
  return index;
}

bool free(DWORD index) {
  if (Lint* lint = services().loader.lint()) lint->freed(Lint::Index::fls, index);
  return services().threads.free_fls_index(index);
}

void* FlsGetValue(DWORD index) {
  void* value = nullptr;
  set_last_error(get(index, value) ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER);
  return value;
}

void* FlsGetValue2(DWORD index) {
  void* value = nullptr;
  (void)get(index, value);
  return value;
}

BOOL FlsSetValue(DWORD index, void* value) {
  if (!fls().in_range(index)) return failed(ERROR_INVALID_PARAMETER);
  return done(set(index, value));
}

DWORD FlsAlloc(void* callback) {
  auto index = allocate(callback);
  return index ? *index : failed(index.error(), FLS_OUT_OF_INDEXES);
}

BOOL FlsFree(DWORD index) { return free(index) ? TRUE : failed(ERROR_INVALID_PARAMETER); }

// ntdll's twins: a status instead of last error.

NTSTATUS RtlFlsAlloc(void* callback, ULONG* index) {
  auto allocated = allocate(callback);
  if (!allocated) return static_cast<NTSTATUS>(allocated.error().status);
  *index = *allocated;
  return STATUS_SUCCESS;
}

NTSTATUS RtlFlsFree(ULONG index) { return free(index) ? NTSTATUS{STATUS_SUCCESS} : kNotThere; }

NTSTATUS RtlFlsSetValue(ULONG index, void* value) {
  if (!fls().in_range(index)) return kNotThere;
  auto done = set(index, value);
  return static_cast<NTSTATUS>(done ? STATUS_SUCCESS : done.error().status);
}

NTSTATUS RtlFlsGetValue(ULONG index, void** value) {
  return get(index, *value) ? NTSTATUS{STATUS_SUCCESS} : kNotThere;
}

enum : ULONG { FLS_CLEANUP_PER_SLOT = 1, FLS_DEALLOCATE = 2 };

void RtlProcessFlsData(void* block, ULONG what) {
  if ((what & FLS_CLEANUP_PER_SLOT) != 0 && !services().threads.run_fls_callbacks(block)) return;
  if ((what & FLS_DEALLOCATE) == 0) return;
  if (current_teb()->FlsData == block) current_teb()->FlsData = nullptr;
  fls().release(block);
}

// Fibers.

bool is_fiber() { return (current_teb()->SameTebFlags & TEB_HAS_FIBER_DATA) != 0; }

enum : DWORD { FIBER_FLAG_FLOAT_SWITCH = 1 };
bool known_flags(DWORD flags) { return (flags & ~DWORD{FIBER_FLAG_FLOAT_SWITCH}) == 0; }

/// On Windows what follows is undefined, and mostly a crash somewhere else later.
void report(const char* function, const void* fiber, thread::FiberTrouble trouble) {
  static constexpr const char* kWhat[] = {"", "the calling thread is not a fiber", "there is no such fiber",
                                          "it was deleted", "another thread runs it"};
  const auto* const caller = reinterpret_cast<const std::byte*>(thread::current_place().guest_rip);
  std::fprintf(stderr, "bobbin: %s(%p), called from %s: %s; nothing is done\n", function, fiber,
               services().loader.describe_address(caller).c_str(), kWhat[static_cast<std::size_t>(trouble)]);
}

void* ConvertThreadToFiberEx(void* parameter, DWORD flags) {
  if (!known_flags(flags)) return failed(ERROR_INVALID_PARAMETER, nullptr);
  if (is_fiber()) return failed(ERROR_ALREADY_FIBER, nullptr);
  auto fiber = services().threads.convert_to_fiber(parameter);
  return fiber ? *fiber : failed(fiber.error(), nullptr);
}
void* ConvertThreadToFiber(void* parameter) { return ConvertThreadToFiberEx(parameter, 0); }

BOOL ConvertFiberToThread() {
  if (!is_fiber()) return failed(ERROR_ALREADY_THREAD);
  services().threads.convert_to_thread();
  return TRUE;
}

void* CreateFiberEx(SIZE_T commit, SIZE_T reserve, DWORD flags, void* routine, void* parameter) {
  if (!known_flags(flags)) return failed(ERROR_INVALID_PARAMETER, nullptr);
  auto fiber = services().threads.create_fiber(reserve, commit, routine, parameter);
  return fiber ? *fiber : failed(fiber.error(), nullptr);
}
void* CreateFiber(SIZE_T stack_size, void* routine, void* parameter) {
  return CreateFiberEx(stack_size, 0, 0, routine, parameter);
}

void DeleteFiber(void* fiber) {
  const auto trouble = services().threads.delete_fiber(fiber);
  if (trouble != thread::FiberTrouble::none) report("DeleteFiber", fiber, trouble);
}

/// Whether to switch: to the running fiber there is nothing to do.
BOOL may_switch(void* fiber) {
  const auto trouble = services().threads.check_fiber(fiber);
  if (trouble != thread::FiberTrouble::none) report("SwitchToFiber", fiber, trouble);
  return trouble == thread::FiberTrouble::none && fiber != current_teb()->FiberData;
}

/// The switch itself is not inside a native: the other fiber goes on in guest code.
BOBBIN_MS_ABI void SwitchToFiber(void* fiber) {
  if (Entry<&may_switch, 0>::call(fiber) != FALSE)
    arch::bobbin_switch_fiber(static_cast<arch::FiberState*>(fiber));
}

BOBBIN_MS_ABI BOOL IsThreadAFiber() { return is_fiber(); }

const Export kExports[] = {
    NATIVE(kKernel32, ConvertFiberToThread),
    NATIVE(kKernel32, ConvertThreadToFiber),
    NATIVE(kKernel32, ConvertThreadToFiberEx),
    NATIVE(kKernel32, CreateFiber),
    NATIVE(kKernel32, CreateFiberEx),
    NATIVE(kKernel32, DeleteFiber),
    NATIVE(kKernel32, FlsAlloc),
    NATIVE(kKernel32, FlsFree),
    FAST(kKernel32, FlsGetValue),
    FAST(kKernel32, FlsGetValue2),
    FAST(kKernel32, FlsSetValue),
    HOT(kKernel32, IsThreadAFiber),
    NT_NATIVE(kNtdll, RtlFlsAlloc),
    NT_NATIVE(kNtdll, RtlFlsFree),
    NT_NATIVE(kNtdll, RtlFlsGetValue),
    FAST_AS(kNtdll, "RtlFlsGetValue2", FlsGetValue2, FlsGetValue2),
    NT_NATIVE(kNtdll, RtlFlsSetValue),
    NATIVE(kNtdll, RtlProcessFlsData),
    HOT_FAST(kKernel32, SwitchToFiber),
};

}  // namespace

std::span<const Export> fibersapi_natives() { return kExports; }

}  // namespace bobbin::win32
