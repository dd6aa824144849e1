#include "win32/natives.hpp"

#include <string_view>
#include <vector>

namespace bobbin::win32 {

std::span<const std::span<const Export>> all_natives() {
  // One line per file, sorted, as in natives.hpp.
  static const std::vector<std::span<const Export>> tables = {
      bcrypt_natives(),
      consoleapi_natives(),
      datetimeapi_natives(),
      debugapi_natives(),
      errhandlingapi_natives(),
      fibersapi_natives(),
      fileapi_natives(),
      fileapi_names_natives(),
      fileapi_volumes_natives(),
      handleapi_natives(),
      heapapi_natives(),
      interlockedapi_natives(),
      ioapiset_natives(),
      iphlpapi_natives(),
      libloaderapi_natives(),
      memoryapi_natives(),
      memoryapi_mappings_natives(),
      mswsock_natives(),
      namedpipeapi_natives(),
      ntcrt_natives(),
      ntcrt_printf_natives(),
      ntldr_natives(),
      ntrtl_natives(),
      oleauto_natives(),
      processapi_natives(),
      processenv_natives(),
      processthreadsapi_natives(),
      profileapi_natives(),
      rtlsupportapi_natives(),
      securitybaseapi_natives(),
      shlobj_natives(),
      shlwapi_natives(),
      stringapiset_natives(),
      synchapi_natives(),
      synchapi_locks_natives(),
      sysinfoapi_natives(),
      sysinfoapi_machine_natives(),
      threadpoolapiset_natives(),
      threadpoollegacyapiset_natives(),
      timezoneapi_natives(),
      tlhelp32_natives(),
      tlsapi_natives(),
      utilapiset_natives(),
      werapi_natives(),
      winbase_files_natives(),
      winbase_memory_natives(),
      winbase_messages_natives(),
      winbase_strings_natives(),
      wincrypt_natives(),
      windns_natives(),
      winedbg_natives(),
      winnls_natives(),
      winreg_natives(),
      winsock2_natives(),
      winsock2_names_natives(),
      winternl_files_natives(),
      winternl_strings_natives(),
      winternl_tls_natives(),
      winuser_natives(),
  };
  return tables;
}

std::optional<std::uint64_t> answer_to_bad_pointer(std::uint64_t address) noexcept {
  for (const auto& table : all_natives()) {
    for (const Export& native : table) {
      if (reinterpret_cast<std::uint64_t>(native.address) != address) continue;
      const std::string_view name(native.name);
      if (name.starts_with("Nt") || name.starts_with("Zw")) return abi::STATUS_ACCESS_VIOLATION;
      if (native.system_call) return failed<std::uint64_t>(abi::ERROR_NOACCESS);
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace bobbin::win32
