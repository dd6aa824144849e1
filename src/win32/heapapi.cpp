// heapapi.h: heaps, and their ntdll twins. A bad heap handle is ERROR_INVALID_HANDLE, a pointer that is no
// live block ERROR_INVALID_PARAMETER; Windows often ends the program for either.
#include "memory/heaps.hpp"
#include "tls/engine.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using memory::Heap;

constexpr DWORD HEAP_NO_SERIALIZE = 0x1;
constexpr DWORD HEAP_GENERATE_EXCEPTIONS = 0x4;
constexpr DWORD HEAP_ZERO_MEMORY = 0x8;
constexpr DWORD HEAP_REALLOC_IN_PLACE_ONLY = 0x10;
constexpr DWORD HEAP_CREATE_ENABLE_EXECUTE = 0x40000;

constexpr SIZE_T kNoSize = ~SIZE_T{0};

/// The heap, or nullptr and last error.
Heap* heap_of(HANDLE handle) {
  Heap* heap = services().heaps.find(handle);
  if (heap == nullptr) set_last_error(ERROR_INVALID_HANDLE);
  return heap;
}

memory::HeapRequest request_of(DWORD flags) {
  return {.zeroed = (flags & HEAP_ZERO_MEMORY) != 0, .in_place = (flags & HEAP_REALLOC_IN_PLACE_ONLY) != 0};
}

// ---- blocks ----------------------------------------------------------------------------------------------

/// HEAP_GENERATE_EXCEPTIONS asks for an exception where this answers NULL; raising comes with seh/.
LPVOID HeapAlloc(HANDLE handle, DWORD flags, SIZE_T size) {
  Heap* heap = heap_of(handle);
  if (heap == nullptr) return nullptr;
  void* block = heap->allocate(size, request_of(flags));
  return block != nullptr ? block : failed(ERROR_NOT_ENOUGH_MEMORY, block);
}

LPVOID HeapReAlloc(HANDLE handle, DWORD flags, LPVOID block, SIZE_T size) {
  Heap* heap = heap_of(handle);
  if (heap == nullptr) return nullptr;
  void* moved = heap->reallocate(block, size, request_of(flags));
  if (moved != nullptr) return moved;
  return failed(heap->size(block) ? ERROR_NOT_ENOUGH_MEMORY : ERROR_INVALID_PARAMETER, moved);
}

BOOL HeapFree(HANDLE handle, DWORD, LPVOID block) {
  if (block == nullptr) return TRUE;
  Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  // A TLS vector that ProcessTlsInformation handed out may be the engine's own.
  const bool freed = heap->free(block) || services().tls.take_back_vector(block);
  return freed ? TRUE : failed(ERROR_INVALID_PARAMETER);
}

SIZE_T HeapSize(HANDLE handle, DWORD, LPCVOID block) {
  const Heap* heap = heap_of(handle);
  if (heap == nullptr) return kNoSize;
  const auto size = heap->size(block);
  return size ? *size : failed(ERROR_INVALID_PARAMETER, kNoSize);
}

PVOID RtlAllocateHeap(HANDLE heap, ULONG flags, SIZE_T size) { return HeapAlloc(heap, flags, size); }
PVOID RtlReAllocateHeap(HANDLE heap, ULONG flags, PVOID block, SIZE_T size) {
  return HeapReAlloc(heap, flags, block, size);
}
BOOLEAN RtlFreeHeap(HANDLE heap, ULONG flags, PVOID block) { return HeapFree(heap, flags, block) != FALSE; }
SIZE_T RtlSizeHeap(HANDLE heap, ULONG flags, LPCVOID block) { return HeapSize(heap, flags, block); }

// ---- heaps -----------------------------------------------------------------------------------------------

HANDLE HeapCreate(DWORD flags, SIZE_T initial, SIZE_T maximum) {
  constexpr DWORD kKnown = HEAP_NO_SERIALIZE | HEAP_GENERATE_EXCEPTIONS | HEAP_CREATE_ENABLE_EXECUTE;
  if ((flags & ~kKnown) != 0) return failed(ERROR_INVALID_PARAMETER, nullptr);
  if ((flags & HEAP_CREATE_ENABLE_EXECUTE) != 0) return failed(ERROR_NOT_SUPPORTED, nullptr);
  auto heap = services().heaps.create(flags, maximum == 0 ? 0 : std::max(initial, maximum));
  if (!heap) return failed(win32_error(heap.error().status), HANDLE{});
  return *heap;
}

BOOL HeapDestroy(HANDLE handle) {
  auto destroyed = services().heaps.destroy(handle);
  return destroyed ? TRUE : failed(destroyed.error());
}

HANDLE GetProcessHeap() { return services().heaps.process_heap(); }

DWORD GetProcessHeaps(DWORD count, HANDLE* handles) {
  const auto all = services().heaps.all();
  if (all.size() <= count) std::ranges::copy(all, handles);
  return static_cast<DWORD>(all.size());
}

/// A heap at an address of the caller's choice (`base`), or with a lock of his, cannot be had.
HANDLE RtlCreateHeap(ULONG flags, PVOID base, SIZE_T reserve, SIZE_T commit, PVOID lock, PVOID) {
  constexpr ULONG HEAP_GROWABLE = 2;
  if (base != nullptr || lock != nullptr) return nullptr;
  return HeapCreate(flags & ~HEAP_GROWABLE, commit, (flags & HEAP_GROWABLE) != 0 ? 0 : reserve);
}

/// NULL is success.
HANDLE RtlDestroyHeap(HANDLE handle) { return services().heaps.destroy(handle) ? nullptr : handle; }

// ---- looking inside --------------------------------------------------------------------------------------

BOOL HeapValidate(HANDLE handle, DWORD, LPCVOID block) {
  const Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  return block == nullptr || heap->size(block).has_value();
}
BOOLEAN RtlValidateHeap(HANDLE heap, ULONG flags, LPCVOID block) {
  return HeapValidate(heap, flags, block) != FALSE;
}

struct PROCESS_HEAP_ENTRY {
  PVOID lpData;
  DWORD cbData;
  BYTE cbOverhead;
  BYTE iRegionIndex;
  WORD wFlags;
  PVOID unused[3];
};
static_assert(sizeof(PROCESS_HEAP_ENTRY) == 40);

/// Visits the live blocks; regions and free memory are not told of.
BOOL HeapWalk(HANDLE handle, PROCESS_HEAP_ENTRY* entry) {
  constexpr WORD PROCESS_HEAP_ENTRY_BUSY = 4;
  const Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  const auto block = heap->next(entry->lpData);
  if (!block) return failed(ERROR_NO_MORE_ITEMS);
  *entry = {.lpData = block->data,
            .cbData = static_cast<DWORD>(std::min<SIZE_T>(block->size, ~DWORD{0})),
            .cbOverhead = 0,
            .iRegionIndex = 0,
            .wFlags = PROCESS_HEAP_ENTRY_BUSY,
            .unused = {}};
  return TRUE;
}

BOOL HeapLock(HANDLE handle) {
  Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  heap->lock();
  return TRUE;
}

BOOL HeapUnlock(HANDLE handle) {
  Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  return heap->unlock() ? TRUE : failed(ERROR_NOT_OWNER);
}

/// Free memory is the host's to join; the largest free block of the heap itself is none: 0 with no error.
SIZE_T HeapCompact(HANDLE handle, DWORD) {
  if (heap_of(handle) != nullptr) set_last_error(ERROR_SUCCESS);
  return 0;
}

// ---- settings --------------------------------------------------------------------------------------------

enum HEAP_INFORMATION_CLASS : DWORD {
  HeapCompatibilityInformation = 0,
  HeapEnableTerminationOnCorruption = 1,
  HeapOptimizeResources = 3,
};
constexpr ULONG kLowFragmentation = 2;

/// The low-fragmentation heap is what a heap is, unless it has a limit or no lock.
ULONG compatibility(const Heap& heap) {
  return heap.limited() || (heap.flags() & HEAP_NO_SERIALIZE) != 0 ? 0 : kLowFragmentation;
}

BOOL HeapQueryInformation(HANDLE handle, HEAP_INFORMATION_CLASS what, PVOID value, SIZE_T size,
                          SIZE_T* needed) {
  const Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  if (what != HeapCompatibilityInformation) return failed(ERROR_INVALID_PARAMETER);
  if (needed != nullptr) *needed = sizeof(ULONG);
  if (size < sizeof(ULONG)) return failed(ERROR_INSUFFICIENT_BUFFER);
  *static_cast<ULONG*>(value) = compatibility(*heap);
  return TRUE;
}

BOOL set_compatibility(const Heap& heap, const void* value, SIZE_T size) {
  if (size < sizeof(ULONG)) return failed(ERROR_INSUFFICIENT_BUFFER);
  // What a heap is cannot be changed; asking for what it is already is fine.
  return *static_cast<const ULONG*>(value) == compatibility(heap) ? TRUE : failed(ERROR_GEN_FAILURE);
}

BOOL HeapSetInformation(HANDLE handle, HEAP_INFORMATION_CLASS what, PVOID value, SIZE_T size) {
  // These two are for all heaps and take no handle; nothing of ours is corrupted silently or kept too long.
  if (what == HeapEnableTerminationOnCorruption || what == HeapOptimizeResources) return TRUE;
  const Heap* heap = heap_of(handle);
  if (heap == nullptr) return FALSE;
  if (what == HeapCompatibilityInformation) return set_compatibility(*heap, value, size);
  return failed(ERROR_INVALID_PARAMETER);
}

const Export kExports[] = {
    NATIVE(kKernel32, GetProcessHeap),
    NATIVE(kKernel32, GetProcessHeaps),
    NATIVE(kKernel32, HeapAlloc),
    NATIVE(kKernel32, HeapCompact),
    NATIVE(kKernel32, HeapCreate),
    NATIVE(kKernel32, HeapDestroy),
    NATIVE(kKernel32, HeapFree),
    NATIVE(kKernel32, HeapLock),
    NATIVE(kKernel32, HeapQueryInformation),
    NATIVE(kKernel32, HeapReAlloc),
    NATIVE(kKernel32, HeapSetInformation),
    NATIVE(kKernel32, HeapSize),
    NATIVE(kKernel32, HeapUnlock),
    NATIVE(kKernel32, HeapValidate),
    NATIVE(kKernel32, HeapWalk),
    NATIVE(kNtdll, RtlAllocateHeap),
    NATIVE(kNtdll, RtlCreateHeap),
    NATIVE(kNtdll, RtlDestroyHeap),
    NATIVE(kNtdll, RtlFreeHeap),
    NATIVE(kNtdll, RtlReAllocateHeap),
    NATIVE(kNtdll, RtlSizeHeap),
    NATIVE(kNtdll, RtlValidateHeap),
};

}  // namespace

std::span<const Export> heapapi_natives() { return kExports; }

}  // namespace bobbin::win32
