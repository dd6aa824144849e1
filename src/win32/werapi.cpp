// werapi.h: what error reporting would do when the process fails. There is no reporting; the flags are kept.
#include <atomic>

#include "win32/handles.hpp"
#include "win32/hresult.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constinit std::atomic<DWORD> g_flags{0};

HRESULT WerSetFlags(DWORD flags) {
  constexpr DWORD kKnown = 0x1FF;
  if ((flags & ~kKnown) != 0) return E_INVALIDARG;
  g_flags = flags;
  return S_OK;
}

HRESULT WerGetFlags(HANDLE process, DWORD* flags) {
  if (process != kCurrentProcess || flags == nullptr) return E_INVALIDARG;
  *flags = g_flags;
  return S_OK;
}

const Export kExports[] = {
    NATIVE(kKernel32, WerGetFlags),
    NATIVE(kKernel32, WerSetFlags),
};

}  // namespace

std::span<const Export> werapi_natives() { return kExports; }

}  // namespace bobbin::win32
