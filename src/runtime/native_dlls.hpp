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
    {"bcrypt.dll", win32::kBcrypt},
    {"bcryptprimitives.dll", win32::kBcryptPrimitives},
    {"combase.dll", win32::kOle32},
    {"dnsapi.dll", win32::kDnsapi},
    {"iphlpapi.dll", win32::kIphlpapi},
    {"mswsock.dll", win32::kMswsock},
    {"ole32.dll", win32::kOle32},
    {"oleaut32.dll", win32::kOleAut32},
    {"shell32.dll", win32::kShell32},
    {"shlwapi.dll", win32::kShlwapi},
    {"user32.dll", win32::kUser32},
    {"userenv.dll", win32::kUserenv},
    {"ws2_32.dll", win32::kWs2_32},
};

/// Where DLLs are searched for, by the options and the defaults that they leave open.
[[nodiscard]] loader::SearchPath search_path(const Options& options);

}  // namespace bobbin::detail
