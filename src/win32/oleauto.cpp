// oleauto.h: strings that know their length, and variants; by the ordinals that programs import them with.
// And of combaseapi.h the task allocator. All blocks are of the process heap.
//
//     BSTR ---+
//             v
//     [ bytes | characters ... | 0 ]
#include <algorithm>
#include <cstring>

#include "memory/heaps.hpp"
#include "win32/hresult.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

memory::Heap& heap() { return *services().heaps.find(services().heaps.process_heap()); }

LPVOID CoTaskMemAlloc(SIZE_T size) { return heap().allocate(size, {}); }
void CoTaskMemFree(LPVOID block) {
  if (block != nullptr) (void)heap().free(block);
}

constexpr std::size_t kPrefix = 8;  ///< the length is in its second half, so that characters stand aligned

WCHAR* SysAllocStringLen(LPCWSTR text, UINT length) {
  const std::size_t bytes = std::size_t{length} * sizeof(WCHAR);
  auto* block = static_cast<std::byte*>(heap().allocate(kPrefix + bytes + sizeof(WCHAR), {}));
  if (block == nullptr) return nullptr;
  const auto prefix = static_cast<DWORD>(bytes);
  std::memcpy(block + kPrefix - sizeof prefix, &prefix, sizeof prefix);
  auto* string = reinterpret_cast<WCHAR*>(block + kPrefix);
  if (text != nullptr) std::copy_n(text, length, string);
  string[length] = 0;
  return string;
}

WCHAR* SysAllocString(LPCWSTR text) {
  if (text == nullptr) return nullptr;
  return SysAllocStringLen(text, static_cast<UINT>(std::char_traits<WCHAR>::length(text)));
}

void SysFreeString(WCHAR* string) {
  if (string != nullptr) (void)heap().free(reinterpret_cast<std::byte*>(string) - kPrefix);
}

UINT SysStringLen(const WCHAR* string) {
  if (string == nullptr) return 0;
  DWORD bytes = 0;
  std::memcpy(&bytes, reinterpret_cast<const std::byte*>(string) - sizeof bytes, sizeof bytes);
  return bytes / sizeof(WCHAR);
}

struct VARIANT {
  WORD vt;
  WORD reserved[3];
  union {
    ULONGLONG number;
    WCHAR* string;
    PVOID pointer;
  };
  PVOID record;
};
static_assert(sizeof(VARIANT) == 24);

enum : WORD {
  VT_EMPTY = 0,
  VT_BSTR = 8,
  VT_DISPATCH = 9,
  VT_VARIANT = 12,
  VT_UNKNOWN = 13,
  VT_UINT = 23,
  VT_FILETIME = 64,
  VT_BYREF = 0x4000
};

/// Numbers, dates and errors, which own nothing; and what is only referred to.
bool is_plain(WORD vt) {
  if ((vt & VT_BYREF) != 0) return true;
  return (vt <= VT_UINT && vt != VT_BSTR && vt != VT_DISPATCH && vt != VT_VARIANT && vt != VT_UNKNOWN) ||
         vt == VT_FILETIME;
}

/// Objects, arrays and records are refused: no program here makes them.
HRESULT VariantClear(VARIANT* variant) {
  if (variant == nullptr) return E_INVALIDARG;
  if (variant->vt == VT_BSTR)
    SysFreeString(variant->string);
  else if (!is_plain(variant->vt))
    return DISP_E_BADVARTYPE;
  variant->vt = VT_EMPTY;
  return S_OK;
}

HRESULT VariantCopy(VARIANT* to, const VARIANT* from) {
  if (to == nullptr || from == nullptr) return E_INVALIDARG;
  if (to == from) return S_OK;
  if (from->vt != VT_BSTR && !is_plain(from->vt)) return DISP_E_BADVARTYPE;
  VARIANT copy = *from;
  if (from->vt == VT_BSTR && from->string != nullptr) {
    copy.string = SysAllocStringLen(from->string, SysStringLen(from->string));
    if (copy.string == nullptr) return E_OUTOFMEMORY;
  }
  if (const HRESULT cleared = VariantClear(to); cleared != S_OK) {
    (void)VariantClear(&copy);
    return cleared;
  }
  *to = copy;
  return S_OK;
}

const Export kExports[] = {
    NATIVE(kOle32, CoTaskMemAlloc),          NATIVE(kOle32, CoTaskMemFree),
    NATIVE_AT(kOleAut32, SysAllocString, 2), NATIVE_AT(kOleAut32, SysAllocStringLen, 4),
    NATIVE_AT(kOleAut32, SysFreeString, 6),  NATIVE_AT(kOleAut32, SysStringLen, 7),
    NATIVE_AT(kOleAut32, VariantClear, 9),   NATIVE_AT(kOleAut32, VariantCopy, 10),
};

}  // namespace

std::span<const Export> oleauto_natives() { return kExports; }

}  // namespace bobbin::win32
