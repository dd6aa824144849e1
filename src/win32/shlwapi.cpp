// shlwapi.h: the names that the shell gives, which come in three forms.
#include <cstring>
#include <utility>

#include "memory/heaps.hpp"
#include "win32/hresult.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

struct STRRET {
  enum : UINT { wide = 0, offset = 1, narrow = 2 };
  UINT uType;
  union {
    LPWSTR pOleStr;
    UINT uOffset;
    CHAR cStr[260];
  } u;
};
static_assert(sizeof(STRRET) == 272);

/// A string that the caller gives to CoTaskMemFree; one that the shell allocated is handed on.
HRESULT StrRetToStrW(STRRET* from, LPCVOID item, LPWSTR* out) {
  *out = nullptr;
  if (from->uType == STRRET::wide) {
    *out = std::exchange(from->u.pOleStr, nullptr);
    return *out != nullptr ? S_OK : E_FAIL;
  }
  if (from->uType != STRRET::offset && from->uType != STRRET::narrow) return E_FAIL;
  const std::u16string text =
      wide(from->uType == STRRET::narrow ? from->u.cStr : static_cast<LPCSTR>(item) + from->u.uOffset);
  auto& heap = *services().heaps.find(services().heaps.process_heap());
  *out = static_cast<LPWSTR>(heap.allocate((text.size() + 1) * sizeof(WCHAR), {}));
  if (*out == nullptr) return E_OUTOFMEMORY;
  std::copy_n(text.c_str(), text.size() + 1, *out);
  return S_OK;
}

const Export kExports[] = {
    NATIVE(kShlwapi, StrRetToStrW),
};

}  // namespace

std::span<const Export> shlwapi_natives() { return kExports; }

}  // namespace bobbin::win32
