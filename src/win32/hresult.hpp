// HRESULT, what functions of COM's kind answer (winerror.h).
#pragma once

#include <cstdint>

namespace bobbin::win32 {

using HRESULT = std::int32_t;
constexpr HRESULT S_OK = 0;
constexpr auto DISP_E_BADVARTYPE = static_cast<HRESULT>(0x80020008u);
constexpr auto E_INVALIDARG = static_cast<HRESULT>(0x80070057u);
constexpr auto E_FAIL = static_cast<HRESULT>(0x80004005u);
constexpr auto E_NOTIMPL = static_cast<HRESULT>(0x80004001u);
constexpr auto E_OUTOFMEMORY = static_cast<HRESULT>(0x8007000Eu);
constexpr auto E_FILE_NOT_FOUND = static_cast<HRESULT>(0x80070002u);  ///< HRESULT_FROM_WIN32's of that error

}  // namespace bobbin::win32
