// winbase.h, its part on memory: LocalAlloc and GlobalAlloc, which differ in little but their names, and the
// IsBad... probes.
#include "memory/address_space.hpp"
#include "memory/heaps.hpp"
#include "memory/moveable.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using memory::Heap;
using memory::Moveables;

constexpr UINT LMEM_MOVEABLE = 0x2;
constexpr UINT LMEM_ZEROINIT = 0x40;
constexpr UINT LMEM_MODIFY = 0x80;
constexpr UINT GMEM_DISCARDABLE = 0x100;
constexpr UINT LMEM_DISCARDABLE = 0xF00;
constexpr UINT LMEM_DISCARDED = 0x4000;
constexpr UINT LMEM_INVALID_HANDLE = 0x8000;

Heap& heap() { return *services().heaps.find(services().heaps.process_heap()); }
Moveables& moveables() { return services().heaps.moveables(); }

// ---- what LocalAlloc and GlobalAlloc share ---------------------------------------------------------------

HLOCAL LocalAlloc(UINT flags, SIZE_T size) {
  const bool zeroed = (flags & LMEM_ZEROINIT) != 0;
  const bool discardable = (flags & LMEM_DISCARDABLE) != 0;
  void* got = (flags & LMEM_MOVEABLE) != 0 ? moveables().allocate(size, zeroed, discardable)
                                           : heap().allocate(size, {.zeroed = zeroed});
  return got != nullptr ? got : failed(ERROR_NOT_ENOUGH_MEMORY, got);
}

/// NULL is success.
HLOCAL LocalFree(HLOCAL handle) {
  if (handle == nullptr || moveables().free(handle) || heap().free(handle)) return nullptr;
  return failed(ERROR_INVALID_HANDLE, handle);
}

HLOCAL modify(HLOCAL handle, UINT flags) {
  if (moveables().is_handle(handle)) {
    moveables().set_discardable(handle, (flags & LMEM_DISCARDABLE) != 0);
    return handle;
  }
  if (!heap().size(handle)) return failed(ERROR_INVALID_HANDLE, HLOCAL{});
  // A fixed block cannot become a moveable one here.
  return (flags & LMEM_MOVEABLE) == 0 ? handle : failed(ERROR_NOT_SUPPORTED, HLOCAL{});
}

HLOCAL LocalReAlloc(HLOCAL handle, SIZE_T size, UINT flags) {
  if ((flags & LMEM_MODIFY) != 0) return modify(handle, flags);
  const bool zeroed = (flags & LMEM_ZEROINIT) != 0;
  const bool may_move = (flags & LMEM_MOVEABLE) != 0;
  if (moveables().is_handle(handle)) {
    return moveables().resize(handle, size, zeroed, may_move) ? handle
                                                              : failed(ERROR_NOT_ENOUGH_MEMORY, HLOCAL{});
  }
  if (!heap().size(handle)) return failed(ERROR_INVALID_HANDLE, HLOCAL{});
  void* moved = heap().reallocate(handle, size, {.zeroed = zeroed, .in_place = !may_move});
  return moved != nullptr ? moved : failed(ERROR_NOT_ENOUGH_MEMORY, moved);
}

LPVOID LocalLock(HLOCAL handle) {
  if (moveables().is_handle(handle)) {
    void* data = moveables().lock(handle);
    return data != nullptr ? data : failed(ERROR_DISCARDED, data);
  }
  return heap().size(handle) ? handle : failed(ERROR_INVALID_HANDLE, LPVOID{});
}

/// What unlocking a moveable handle answers: whether it is still locked.
BOOL unlock_moveable(HLOCAL handle) {
  const auto left = moveables().unlock(handle);
  if (!left) return failed(ERROR_NOT_LOCKED);
  return *left != 0 ? TRUE : failed(ERROR_SUCCESS);
}

BOOL LocalUnlock(HLOCAL handle) {
  if (moveables().is_handle(handle)) return unlock_moveable(handle);
  return failed(heap().size(handle) ? ERROR_NOT_LOCKED : ERROR_INVALID_HANDLE);
}

SIZE_T LocalSize(HLOCAL handle) {
  if (const auto moveable = moveables().inspect(handle)) return moveable->size;
  const auto size = heap().size(handle);
  return size ? *size : failed(ERROR_INVALID_HANDLE, SIZE_T{0});
}

UINT flags_of(HLOCAL handle, UINT discardable) {
  if (const auto moveable = moveables().inspect(handle)) {
    return moveable->locks | (moveable->discardable ? discardable : 0) |
           (moveable->data == nullptr ? LMEM_DISCARDED : 0);
  }
  return heap().size(handle) ? 0 : failed(ERROR_INVALID_HANDLE, LMEM_INVALID_HANDLE);
}

UINT LocalFlags(HLOCAL handle) { return flags_of(handle, LMEM_DISCARDABLE); }

HLOCAL LocalHandle(LPCVOID data) {
  if (HLOCAL handle = moveables().handle_of(data); handle != nullptr) return handle;
  return heap().size(data) ? const_cast<HLOCAL>(data) : failed(ERROR_INVALID_HANDLE, HLOCAL{});
}

HGLOBAL GlobalAlloc(UINT flags, SIZE_T size) { return LocalAlloc(flags, size); }
HGLOBAL GlobalFree(HGLOBAL handle) { return LocalFree(handle); }
HGLOBAL GlobalReAlloc(HGLOBAL handle, SIZE_T size, UINT flags) { return LocalReAlloc(handle, size, flags); }
LPVOID GlobalLock(HGLOBAL handle) { return LocalLock(handle); }
SIZE_T GlobalSize(HGLOBAL handle) { return LocalSize(handle); }
UINT GlobalFlags(HGLOBAL handle) { return flags_of(handle, GMEM_DISCARDABLE); }
HGLOBAL GlobalHandle(LPCVOID data) { return LocalHandle(data); }

/// A fixed block counts as locked for ever.
BOOL GlobalUnlock(HGLOBAL handle) {
  if (moveables().is_handle(handle)) return unlock_moveable(handle);
  return heap().size(handle) ? TRUE : failed(ERROR_INVALID_HANDLE);
}

// ---- probes ----------------------------------------------------------------------------------------------

constexpr DWORD kWritable =
    memory::kReadWrite | memory::kWriteCopy | memory::kExecuteReadWrite | memory::kExecuteWriteCopy;
constexpr DWORD kReadable = kWritable | memory::kReadOnly | memory::kExecute | memory::kExecuteRead;

/// How many of the bytes from `address` on, at most `limit`, have one of these protections.
SIZE_T accessible(const void* address, SIZE_T limit, DWORD protections) {
  const auto start = reinterpret_cast<std::uintptr_t>(address);
  std::uintptr_t at = start;
  while (at - start < limit && at < memory::kAddressLimit) {
    const memory::Region region = services().memory.query(reinterpret_cast<const void*>(at));
    const bool usable = region.state == memory::State::committed && (region.protect & memory::kGuard) == 0 &&
                        (region.protect & protections) != 0;
    if (!usable) break;
    at = reinterpret_cast<std::uintptr_t>(region.base) + region.size;
  }
  return std::min<SIZE_T>(at - start, limit);
}

BOOL IsBadReadPtr(LPCVOID address, SIZE_T size) { return accessible(address, size, kReadable) < size; }
BOOL IsBadWritePtr(LPVOID address, SIZE_T size) { return accessible(address, size, kWritable) < size; }
BOOL IsBadCodePtr(FARPROC address) { return IsBadReadPtr(address, 1); }

/// Bad if neither a NUL nor `limit` characters can be read.
template <class Char>
BOOL is_bad_string(const Char* string, SIZE_T limit) {
  if (limit == 0) return FALSE;
  // Region by region: a short string at the end of its page does not ask for the next.
  SIZE_T known = 0;
  for (SIZE_T i = 0; i < limit; ++i) {
    if (i >= known) known += accessible(string + i, (limit - i) * sizeof(Char), kReadable) / sizeof(Char);
    if (i >= known) return TRUE;
    if (string[i] == 0) return FALSE;
  }
  return FALSE;
}

BOOL IsBadStringPtrA(LPCSTR string, SIZE_T limit) { return is_bad_string(string, limit); }
BOOL IsBadStringPtrW(LPCWSTR string, SIZE_T limit) { return is_bad_string(string, limit); }

const Export kExports[] = {
    NATIVE(kKernel32, GlobalAlloc),   NATIVE(kKernel32, GlobalFlags),     NATIVE(kKernel32, GlobalFree),
    NATIVE(kKernel32, GlobalHandle),  NATIVE(kKernel32, GlobalLock),      NATIVE(kKernel32, GlobalReAlloc),
    NATIVE(kKernel32, GlobalSize),    NATIVE(kKernel32, GlobalUnlock),    NATIVE(kKernel32, IsBadCodePtr),
    NATIVE(kKernel32, IsBadReadPtr),  NATIVE(kKernel32, IsBadStringPtrA), NATIVE(kKernel32, IsBadStringPtrW),
    NATIVE(kKernel32, IsBadWritePtr), NATIVE(kKernel32, LocalAlloc),      NATIVE(kKernel32, LocalFlags),
    NATIVE(kKernel32, LocalFree),     NATIVE(kKernel32, LocalHandle),     NATIVE(kKernel32, LocalLock),
    NATIVE(kKernel32, LocalReAlloc),  NATIVE(kKernel32, LocalSize),       NATIVE(kKernel32, LocalUnlock),
};

}  // namespace

std::span<const Export> winbase_memory_natives() { return kExports; }

}  // namespace bobbin::win32
