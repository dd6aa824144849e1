// The tables of natives, one for each file of this room. natives.cpp joins them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "win32/native.hpp"

namespace bobbin::win32 {

// One line per file, sorted.
std::span<const Export> bcrypt_natives();
std::span<const Export> consoleapi_natives();
std::span<const Export> datetimeapi_natives();
std::span<const Export> debugapi_natives();
std::span<const Export> errhandlingapi_natives();
std::span<const Export> fibersapi_natives();
std::span<const Export> fileapi_natives();
std::span<const Export> fileapi_names_natives();
std::span<const Export> fileapi_volumes_natives();
std::span<const Export> handleapi_natives();
std::span<const Export> heapapi_natives();
std::span<const Export> interlockedapi_natives();
std::span<const Export> ioapiset_natives();
std::span<const Export> iphlpapi_natives();
std::span<const Export> libloaderapi_natives();
std::span<const Export> memoryapi_natives();
std::span<const Export> memoryapi_mappings_natives();
std::span<const Export> mswsock_natives();
std::span<const Export> namedpipeapi_natives();
std::span<const Export> ntcrt_natives();
std::span<const Export> ntcrt_printf_natives();
std::span<const Export> ntldr_natives();
std::span<const Export> ntrtl_natives();
std::span<const Export> oleauto_natives();
std::span<const Export> processapi_natives();
std::span<const Export> processenv_natives();
std::span<const Export> processthreadsapi_natives();
std::span<const Export> profileapi_natives();
std::span<const Export> rtlsupportapi_natives();
std::span<const Export> securitybaseapi_natives();
std::span<const Export> shlobj_natives();
std::span<const Export> shlwapi_natives();
std::span<const Export> stringapiset_natives();
std::span<const Export> synchapi_natives();
std::span<const Export> synchapi_locks_natives();
std::span<const Export> sysinfoapi_natives();
std::span<const Export> sysinfoapi_machine_natives();
std::span<const Export> threadpoolapiset_natives();
std::span<const Export> threadpoollegacyapiset_natives();
std::span<const Export> timezoneapi_natives();
std::span<const Export> tlhelp32_natives();
std::span<const Export> tlsapi_natives();
std::span<const Export> utilapiset_natives();
std::span<const Export> werapi_natives();
std::span<const Export> winbase_files_natives();
std::span<const Export> winbase_memory_natives();
std::span<const Export> winbase_messages_natives();
std::span<const Export> winbase_strings_natives();
std::span<const Export> wincrypt_natives();
std::span<const Export> windns_natives();
std::span<const Export> winedbg_natives();
std::span<const Export> winnls_natives();
std::span<const Export> winreg_natives();
std::span<const Export> winsock2_natives();
std::span<const Export> winsock2_names_natives();
std::span<const Export> winternl_files_natives();
std::span<const Export> winternl_strings_natives();
std::span<const Export> winternl_tls_natives();
std::span<const Export> winuser_natives();

/// Every table, in the order of the list above.
[[nodiscard]] std::span<const std::span<const Export>> all_natives();
/// What the native that begins at the address answers to a pointer that is bad, last error included, if it is
/// the kernel that meets it on Windows: Nt*, Zw* and SYSTEM_CALL. Nothing of others, which raise. Looks at
/// all.
[[nodiscard]] std::optional<std::uint64_t> answer_to_bad_pointer(std::uint64_t address) noexcept;

}  // namespace bobbin::win32
