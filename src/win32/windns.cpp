// windns.h: questions to name servers, of which we know none. (Names of hosts are in winsock2_names.cpp.)
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

DWORD DnsQuery_UTF8(LPCSTR name, WORD, DWORD, PVOID, PVOID* records, PVOID*) {
  constexpr DWORD DNS_ERROR_NO_DNS_SERVERS = 9852;
  if (name == nullptr || records == nullptr) return ERROR_INVALID_PARAMETER;
  *records = nullptr;
  return DNS_ERROR_NO_DNS_SERVERS;
}

/// There are no records that somebody could give back.
void DnsFree(PVOID, DWORD) {}

const Export kExports[] = {
    NATIVE(kDnsapi, DnsFree),
    NATIVE(kDnsapi, DnsQuery_UTF8),
};

}  // namespace

std::span<const Export> windns_natives() { return kExports; }

}  // namespace bobbin::win32
