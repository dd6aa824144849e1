// Which native DLLs there are.
#pragma once

#include "loader/loader.hpp"
#include "win32/native.hpp"

namespace bobbin::detail {

inline constexpr loader::NativeDll kNativeDlls[] = {
    {"ntdll.dll", win32::kNtdll},
    {"kernel32.dll", win32::kKernel32 | win32::kNtdll},
    {"kernelbase.dll", win32::kKernel32 | win32::kNtdll},
    {"advapi32.dll", win32::kAdvapi32},
};

/// Where DLLs are searched for, by the options and the defaults that they leave open.
[[nodiscard]] loader::SearchPath search_path(const Options& options);

}  // namespace bobbin::detail
