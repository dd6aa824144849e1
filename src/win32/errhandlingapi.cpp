// errhandlingapi.h: last error, error modes, who handles exceptions; ntdll's twins.
#include "abi/exception.hpp"
#include "abi/status.hpp"
#include "seh/handlers.hpp"
#include "seh/report.hpp"
#include "win32/guest_callback.hpp"
#include "win32/natives.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : UINT {
  SEM_FAILCRITICALERRORS = 0x1,
  SEM_NOGPFAULTERRORBOX = 0x2,
  SEM_NOALIGNMENTFAULTEXCEPT = 0x4,
  SEM_NOOPENFILEERRORBOX = 0x8000,
};
constexpr DWORD kThreadModes = SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX;

// ---- last error ------------------------------------------------------------------------------------------

DWORD GetLastError() { return current_teb()->LastErrorValue; }
void SetLastError(DWORD code) { current_teb()->LastErrorValue = code; }
BOBBIN_MS_ABI NTSTATUS RtlGetLastNtStatus() { return static_cast<NTSTATUS>(current_teb()->LastStatusValue); }

ULONG RtlNtStatusToDosErrorNoTeb(NTSTATUS status) { return win32_error(static_cast<std::uint32_t>(status)); }

ULONG RtlNtStatusToDosError(NTSTATUS status) {
  current_teb()->LastStatusValue = static_cast<DWORD>(status);
  return RtlNtStatusToDosErrorNoTeb(status);
}

ULONG RtlSetLastWin32ErrorAndNtStatusFromNtStatus(NTSTATUS status) {
  const ULONG code = RtlNtStatusToDosError(status);
  set_last_error(code);
  return code;
}

// ---- error modes: which failures would show a box. There are no boxes; the modes are kept and handed on. --

constinit std::atomic<UINT> g_error_mode{0};

UINT GetErrorMode() { return g_error_mode.load(std::memory_order_relaxed); }

UINT SetErrorMode(UINT mode) {
  // Once alignment faults are off they stay off.
  UINT before = GetErrorMode();
  while (!g_error_mode.compare_exchange_weak(before, mode | (before & SEM_NOALIGNMENTFAULTEXCEPT))) {
  }
  return before;
}

DWORD GetThreadErrorMode() { return current_teb()->HardErrorMode; }

BOOL SetThreadErrorMode(DWORD mode, DWORD* before) {
  if (mode & ~kThreadModes) return failed(ERROR_INVALID_PARAMETER);
  if (before != nullptr) *before = GetThreadErrorMode();
  current_teb()->HardErrorMode = mode;
  return TRUE;
}

// ---- exceptions ------------------------------------------------------------------------------------------

using Filter = BOBBIN_MS_ABI LONG (*)(EXCEPTION_POINTERS*);

PVOID SetUnhandledExceptionFilter(PVOID filter) { return seh::unhandled_filter().exchange(filter); }

/// The guest's filter decides, if there is one; else it is said what happened, and the process is to end.
LONG UnhandledExceptionFilter(EXCEPTION_POINTERS* exception) {
  if (const auto filter = reinterpret_cast<Filter>(seh::unhandled_filter().load()); filter != nullptr)
    return call_guest(filter, exception);
  seh::report_unhandled(*exception->ExceptionRecord, *exception->ContextRecord);
  return EXCEPTION_EXECUTE_HANDLER;
}

PVOID AddVectoredExceptionHandler(ULONG first, PVOID handler) {
  return seh::exception_handlers().add(handler, first != 0);
}
PVOID AddVectoredContinueHandler(ULONG first, PVOID handler) {
  return seh::continue_handlers().add(handler, first != 0);
}
ULONG RemoveVectoredExceptionHandler(PVOID entry) { return seh::exception_handlers().remove(entry); }
ULONG RemoveVectoredContinueHandler(PVOID entry) { return seh::continue_handlers().remove(entry); }

PVOID RtlAddVectoredExceptionHandler(ULONG first, PVOID handler) {
  return AddVectoredExceptionHandler(first, handler);
}
PVOID RtlAddVectoredContinueHandler(ULONG first, PVOID handler) {
  return AddVectoredContinueHandler(first, handler);
}
ULONG RtlRemoveVectoredExceptionHandler(PVOID entry) { return RemoveVectoredExceptionHandler(entry); }
ULONG RtlRemoveVectoredContinueHandler(PVOID entry) { return RemoveVectoredContinueHandler(entry); }

const Export kExports[] = {
    NATIVE(kKernel32, AddVectoredContinueHandler),
    NATIVE(kKernel32, AddVectoredExceptionHandler),
    NATIVE(kKernel32, GetErrorMode),
    FAST(kKernel32, GetLastError),
    NATIVE(kKernel32, GetThreadErrorMode),
    NATIVE(kKernel32, RemoveVectoredContinueHandler),
    NATIVE(kKernel32, RemoveVectoredExceptionHandler),
    NATIVE(kKernel32, SetErrorMode),
    FAST(kKernel32, SetLastError),
    NATIVE(kKernel32, SetThreadErrorMode),
    NATIVE(kKernel32, SetUnhandledExceptionFilter),
    NATIVE(kKernel32, UnhandledExceptionFilter),
    NATIVE(kNtdll, RtlAddVectoredContinueHandler),
    NATIVE(kNtdll, RtlAddVectoredExceptionHandler),
    HOT(kNtdll, RtlGetLastNtStatus),
    FAST_AS(kNtdll, "RtlGetLastWin32Error", GetLastError, GetLastError),
    NATIVE(kNtdll, RtlNtStatusToDosError),
    NATIVE(kNtdll, RtlNtStatusToDosErrorNoTeb),
    NATIVE(kNtdll, RtlRemoveVectoredContinueHandler),
    NATIVE(kNtdll, RtlRemoveVectoredExceptionHandler),
    FAST_AS(kNtdll, "RtlRestoreLastWin32Error", SetLastError, SetLastError),
    FAST_AS(kNtdll, "RtlSetLastWin32Error", SetLastError, SetLastError),
    NATIVE(kNtdll, RtlSetLastWin32ErrorAndNtStatusFromNtStatus),
};

}  // namespace

std::span<const Export> errhandlingapi_natives() { return kExports; }

}  // namespace bobbin::win32
