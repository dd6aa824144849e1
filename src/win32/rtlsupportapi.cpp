// rtlsupportapi.h and errhandlingapi.h's RaiseException: what concerns a thread's registers and its frames.
// What takes the caller's registers as they are is in assembly (arch/x86_64/exception.hpp).
#include <algorithm>
#include <cstring>
#include <span>

#include "abi/exception.hpp"
#include "arch/x86_64/context.hpp"
#include "arch/x86_64/exception.hpp"
#include "seh/guest_memory.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

RUNTIME_FUNCTION* RtlLookupFunctionEntry(DWORD64 pc, DWORD64* base, PVOID /*history*/) {
  const seh::Located at = seh::locate(pc);
  *base = at.base;
  return at.row;
}

/// Undoes a frame. One that the host's frames stand for, and one that cannot be undone, is the last: Rip is
/// 0.
PVOID RtlVirtualUnwind(DWORD handlers, DWORD64 base, DWORD64 pc, RUNTIME_FUNCTION* row, CONTEXT* context,
                       PVOID* handler_data, DWORD64* establisher, KNONVOLATILE_CONTEXT_POINTERS* saved) {
  const seh::GuestMemory memory;
  if (row == nullptr) {
    *establisher = context->Rsp;
    if (!unwind::unwind_leaf(memory, *context)) context->Rip = 0;
    return nullptr;
  }
  const auto frame = row == arch::host_frame().row ? std::nullopt
                                                   : unwind::unwind_frame(memory, base, pc, *row, *context,
                                                                          static_cast<BYTE>(handlers), saved);
  if (!frame) {
    *establisher = context->Rsp;
    context->Rip = 0;
    return nullptr;
  }
  *establisher = frame->establisher;
  if (frame->handler != 0) *handler_data = reinterpret_cast<PVOID>(frame->handler_data);
  return reinterpret_cast<PVOID>(frame->handler);
}

// ---- function tables that the guest brings ---------------------------------------------------------------

BOOLEAN RtlAddFunctionTable(RUNTIME_FUNCTION* rows, DWORD count, DWORD64 base) {
  const std::span table(rows, count);
  if (table.empty()) return FALSE;
  const auto [first, _] = std::ranges::minmax(table, {}, &RUNTIME_FUNCTION::BeginAddress);
  const DWORD last = std::ranges::max(table, {}, &RUNTIME_FUNCTION::EndAddress).EndAddress;
  unwind::function_tables().add_rows(rows, table, base, base + first.BeginAddress, base + last);
  return TRUE;
}

BOOLEAN RtlDeleteFunctionTable(RUNTIME_FUNCTION* rows) { return unwind::function_tables().remove(rows); }

BOOLEAN RtlInstallFunctionTableCallback(DWORD64 id, DWORD64 base, DWORD length, PVOID callback, PVOID context,
                                        LPCWSTR /*dll for debuggers*/) {
  if ((id & 3) != 3) return FALSE;
  unwind::function_tables().add_callback(reinterpret_cast<const void*>(id), callback, context, base, length);
  return TRUE;
}

DWORD RtlAddGrowableFunctionTable(PVOID* table, RUNTIME_FUNCTION* rows, DWORD count, DWORD maximum,
                                  ULONG_PTR begin, ULONG_PTR end) {
  if (count > maximum || begin >= end) return STATUS_INVALID_PARAMETER;
  unwind::function_tables().add_rows(rows, {rows, count}, begin, begin, end);
  *table = rows;
  return STATUS_SUCCESS;
}

void RtlGrowFunctionTable(PVOID table, DWORD count) { (void)unwind::function_tables().grow(table, count); }

void RtlDeleteGrowableFunctionTable(PVOID table) { (void)unwind::function_tables().remove(table); }

constexpr std::uint16_t kBoth = kKernel32 | kNtdll;

const Export kExports[] = {
    HOT_AS(kNtdll, "NtContinue", arch::bobbin_NtContinue),
    HOT_AS(kNtdll, "NtRaiseException", arch::bobbin_NtRaiseException),
    HOT_AS(kKernel32, "RaiseException", arch::bobbin_RaiseException),
    NATIVE(kBoth, RtlAddFunctionTable),
    NATIVE(kNtdll, RtlAddGrowableFunctionTable),
    HOT_AS(kBoth, "RtlCaptureContext", arch::bobbin_capture_context),
    HOT_AS(kBoth, "RtlCaptureStackBackTrace", arch::bobbin_RtlCaptureStackBackTrace),
    NATIVE(kBoth, RtlDeleteFunctionTable),
    NATIVE(kNtdll, RtlDeleteGrowableFunctionTable),
    NATIVE(kNtdll, RtlGrowFunctionTable),
    NATIVE(kBoth, RtlInstallFunctionTableCallback),
    NATIVE(kBoth, RtlLookupFunctionEntry),
    HOT_AS(kBoth, "RtlRaiseException", arch::bobbin_RtlRaiseException),
    HOT_AS(kBoth, "RtlRestoreContext", arch::bobbin_RtlRestoreContext),
    HOT_AS(kBoth, "RtlUnwind", arch::bobbin_RtlUnwind),
    HOT_AS(kBoth, "RtlUnwindEx", arch::bobbin_RtlUnwindEx),
    NATIVE(kBoth, RtlVirtualUnwind),
    HOT_AS(kNtdll, "ZwContinue", arch::bobbin_NtContinue),
    HOT_AS(kNtdll, "ZwRaiseException", arch::bobbin_NtRaiseException),
    HOT_AS(kBoth, "__C_specific_handler", arch::bobbin_C_specific_handler),
};

}  // namespace

std::span<const Export> rtlsupportapi_natives() { return kExports; }

}  // namespace bobbin::win32
