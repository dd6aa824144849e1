// netioapi.h, as iphlpapi.dll exports it: routes, of which no table is kept here.
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

DWORD GetIpForwardTable2(WORD, PVOID* table) {
  if (table == nullptr) return ERROR_INVALID_PARAMETER;
  *table = nullptr;
  return ERROR_NOT_SUPPORTED;
}

DWORD NotifyRouteChange2(WORD, PVOID, PVOID, BOOLEAN, HANDLE* notification) {
  if (notification == nullptr) return ERROR_INVALID_PARAMETER;
  *notification = nullptr;
  return ERROR_NOT_SUPPORTED;
}

/// Of a notice that nobody can have asked for.
DWORD CancelMibChangeNotify2(HANDLE) { return ERROR_INVALID_PARAMETER; }

const Export kExports[] = {
    NATIVE(kIphlpapi, CancelMibChangeNotify2),
    NATIVE(kIphlpapi, GetIpForwardTable2),
    NATIVE(kIphlpapi, NotifyRouteChange2),
};

}  // namespace

std::span<const Export> iphlpapi_natives() { return kExports; }

}  // namespace bobbin::win32
