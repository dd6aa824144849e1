// debugapi.h: is there a debugger (no), and what a program tells it (the trace).
#include <string>

#include "abi/status.hpp"
#include "nls/utf.hpp"
#include "trace/trace.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

void OutputDebugStringA(LPCSTR text) {
  if (text == nullptr || !trace::on(trace::Category::native)) return;
  std::string_view line(text);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  trace::emit(trace::Category::native, [line] { return std::string("debug: ").append(line); });
}

void OutputDebugStringW(LPCWSTR text) {
  if (text != nullptr) OutputDebugStringA(nls::to_utf8(text).c_str());
}

BOBBIN_MS_ABI BOOL IsDebuggerPresent() { return current_teb()->ProcessEnvironmentBlock->BeingDebugged; }

/// Only a guest that forged the flag in its PEB sees one; nothing can attach to another process either.
BOOL CheckRemoteDebuggerPresent(HANDLE process, BOOL* present) {
  if (process == nullptr || present == nullptr) return failed(ERROR_INVALID_PARAMETER);
  *present = FALSE;
  return TRUE;
}

/// The trap is taken at an instruction of ours, one call above the guest, as it is in Windows' kernelbase.
BOBBIN_MS_ABI void DebugBreak() { asm volatile("int3"); }
BOBBIN_MS_ABI void DbgBreakPoint() { asm volatile("int3"); }

const Export kExports[] = {
    NATIVE(kKernel32, CheckRemoteDebuggerPresent),
    HOT(kNtdll, DbgBreakPoint),
    HOT(kKernel32, DebugBreak),
    HOT(kKernel32, IsDebuggerPresent),
    NATIVE(kKernel32, OutputDebugStringA),
    NATIVE(kKernel32, OutputDebugStringW),
};

}  // namespace

std::span<const Export> debugapi_natives() { return kExports; }

}  // namespace bobbin::win32
