// processthreadsapi.h, the half about processes (threads are in processthreadsapi.cpp).
#include <unistd.h>

#include "process/process.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

HANDLE GetCurrentProcess() { return INVALID_HANDLE_VALUE; }  // the pseudo handle -1
DWORD GetCurrentProcessId() { return static_cast<DWORD>(getpid()); }

template <class Char>
void fill_startup_info(StartupInfo<Char>& info, Char* desktop, Char* title) {
  const RTL_USER_PROCESS_PARAMETERS& from = process_parameters();
  info = {};
  info.cb = sizeof info;
  info.lpDesktop = desktop;
  info.lpTitle = title;
  info.dwX = from.StartingX;
  info.dwY = from.StartingY;
  info.dwXSize = from.CountX;
  info.dwYSize = from.CountY;
  info.dwXCountChars = from.CountCharsX;
  info.dwYCountChars = from.CountCharsY;
  info.dwFillAttribute = from.FillAttribute;
  info.dwFlags = from.WindowFlags;
  info.wShowWindow = static_cast<WORD>(from.ShowWindowFlags);
  // RuntimeData holds the descriptors that a C runtime hands to a child of its own kind.
  info.cbReserved2 = from.RuntimeData.Length;
  info.lpReserved2 = reinterpret_cast<BYTE*>(from.RuntimeData.Buffer);
  if ((info.dwFlags & STARTF_USESTDHANDLES) != 0) {
    info.hStdInput = from.StandardInput;
    info.hStdOutput = from.StandardOutput;
    info.hStdError = from.StandardError;
  }
}

void GetStartupInfoW(STARTUPINFOW* info) {
  static WCHAR empty[1] = {0};
  WCHAR* title = process_parameters().WindowTitle.Buffer;
  fill_startup_info(*info, empty, title != nullptr ? title : empty);
}

void GetStartupInfoA(STARTUPINFOA* info) {
  static CHAR empty[1] = {0};
  static std::string title = narrow(view(process_parameters().WindowTitle.Buffer));
  fill_startup_info(*info, empty, title.data());
}

const Export kExports[] = {
    NATIVE(kKernel32, GetCurrentProcess),
    NATIVE(kKernel32, GetCurrentProcessId),
    NATIVE(kKernel32, GetStartupInfoA),
    NATIVE(kKernel32, GetStartupInfoW),
};

}  // namespace

std::span<const Export> processapi_natives() { return kExports; }

}  // namespace bobbin::win32
