// synchapi.h, its locks in the guest's own memory: critical sections, SRW locks, condition variables, waits
// on addresses, one-time initialisation; and the Rtl* functions that kernel32's are forwarded to.
//
// What has a fast path is a leaf (HOT): it makes no call unless it has to wait or wake, and then goes on in
// an ordinary native by a tail call, whose scope sees the guest as its caller.
#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "sync/address_wait.hpp"
#include "sync/condition_variable.hpp"
#include "sync/critical_section.hpp"
#include "sync/run_once.hpp"
#include "sync/srw_lock.hpp"
#include "thread/guest_call.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using sync::ParkOutcome;

/// A native that continues where a leaf cannot.
template <auto Function>
constexpr auto kContinue = &Entry<Function, 0>::call;

// ---- critical sections -----------------------------------------------------------------------------------

HANDLE this_thread() { return current_teb()->UniqueThread; }
std::uint64_t this_thread_id() { return reinterpret_cast<std::uint64_t>(this_thread()); }

/// Once the process exits there is one thread, and nobody to let go of a lock that is taken: waiting for it
/// ends the process (specification 6.5). True if so.
bool ends_by_waiting() {
  loader::Loader& loader = services().loader;
  if (!loader.shutting_down()) return false;
  loader.terminate_process(services().threads.stop_code());
  return true;
}

// A sleeper that is interrupted has not entered, and never returns to the guest either.
void enter_waiting(RTL_CRITICAL_SECTION* cs) {
  if (!ends_by_waiting()) (void)sync::enter_slowly(*cs, thread::current_waiter());
}
void leave_waking(RTL_CRITICAL_SECTION* cs) { sync::leave_slowly(*cs); }

BOBBIN_MS_ABI void EnterCriticalSection(RTL_CRITICAL_SECTION* cs) {
  if (!sync::try_enter_as(*cs, this_thread())) [[unlikely]]
    return kContinue<&enter_waiting>(cs);
}

BOBBIN_MS_ABI BOOL TryEnterCriticalSection(RTL_CRITICAL_SECTION* cs) {
  return sync::try_enter_as(*cs, this_thread());
}

BOBBIN_MS_ABI void LeaveCriticalSection(RTL_CRITICAL_SECTION* cs) {
  if (!sync::leave_quickly(*cs)) [[unlikely]]
    return kContinue<&leave_waking>(cs);
}

// ntdll's say STATUS_SUCCESS.
NTSTATUS rtl_enter_waiting(RTL_CRITICAL_SECTION* cs) { return enter_waiting(cs), STATUS_SUCCESS; }
NTSTATUS rtl_leave_waking(RTL_CRITICAL_SECTION* cs) { return leave_waking(cs), STATUS_SUCCESS; }

BOBBIN_MS_ABI NTSTATUS RtlEnterCriticalSection(RTL_CRITICAL_SECTION* cs) {
  return sync::try_enter_as(*cs, this_thread()) ? nt(STATUS_SUCCESS) : kContinue<&rtl_enter_waiting>(cs);
}

BOBBIN_MS_ABI BOOL RtlTryEnterCriticalSection(RTL_CRITICAL_SECTION* cs) {
  return sync::try_enter_as(*cs, this_thread());
}

BOBBIN_MS_ABI NTSTATUS RtlLeaveCriticalSection(RTL_CRITICAL_SECTION* cs) {
  return sync::leave_quickly(*cs) ? nt(STATUS_SUCCESS) : kContinue<&rtl_leave_waking>(cs);
}

NTSTATUS RtlInitializeCriticalSectionEx(RTL_CRITICAL_SECTION* cs, ULONG spin_count, ULONG flags) {
  constexpr ULONG kKnownFlags = 0x1F000000;  // about debug information, spinning, static initialisation
  if ((flags & ~kKnownFlags) != 0) return nt(STATUS_INVALID_PARAMETER_3);
  constexpr ULONG kDynamicSpin = 0x02000000;
  sync::initialize(*cs, (flags & kDynamicSpin) != 0 ? 2000 : spin_count);
  return STATUS_SUCCESS;
}

NTSTATUS RtlInitializeCriticalSectionAndSpinCount(RTL_CRITICAL_SECTION* cs, ULONG spin_count) {
  sync::initialize(*cs, spin_count);
  return STATUS_SUCCESS;
}

NTSTATUS RtlInitializeCriticalSection(RTL_CRITICAL_SECTION* cs) {
  return RtlInitializeCriticalSectionAndSpinCount(cs, 0);
}

NTSTATUS RtlDeleteCriticalSection(RTL_CRITICAL_SECTION* cs) {
  sync::destroy(*cs);
  return STATUS_SUCCESS;
}

void InitializeCriticalSection(RTL_CRITICAL_SECTION* cs) { sync::initialize(*cs, 0); }

BOOL InitializeCriticalSectionAndSpinCount(RTL_CRITICAL_SECTION* cs, DWORD spin_count) {
  sync::initialize(*cs, spin_count);
  return TRUE;
}

BOOL InitializeCriticalSectionEx(RTL_CRITICAL_SECTION* cs, DWORD spin_count, DWORD flags) {
  if (RtlInitializeCriticalSectionEx(cs, spin_count, flags) == STATUS_SUCCESS) return TRUE;
  return failed(ERROR_INVALID_PARAMETER);
}

void DeleteCriticalSection(RTL_CRITICAL_SECTION* cs) { sync::destroy(*cs); }

DWORD SetCriticalSectionSpinCount(RTL_CRITICAL_SECTION* cs, DWORD spin_count) {
  const auto before = static_cast<DWORD>(cs->SpinCount);
  cs->SpinCount = spin_count;
  return before;
}

ULONG RtlSetCriticalSectionSpinCount(RTL_CRITICAL_SECTION* cs, ULONG spin_count) {
  return SetCriticalSectionSpinCount(cs, spin_count);
}

BOOL RtlIsCriticalSectionLocked(RTL_CRITICAL_SECTION* cs) { return sync::is_entered(*cs); }

BOOL RtlIsCriticalSectionLockedByThread(RTL_CRITICAL_SECTION* cs) {
  return sync::is_entered_by(*cs, thread::current_waiter().thread_id);
}

// ---- SRW locks -------------------------------------------------------------------------------------------

void exclusive_waiting(RTL_SRWLOCK* lock) {
  if (!ends_by_waiting()) (void)sync::acquire_exclusive_slowly(*lock, thread::current_waiter());
}
void shared_waiting(RTL_SRWLOCK* lock) {
  if (!ends_by_waiting()) (void)sync::acquire_shared_slowly(*lock, thread::current_waiter());
}
void exclusive_waking(RTL_SRWLOCK* lock) { sync::release_exclusive_slowly(*lock); }
void shared_waking(RTL_SRWLOCK* lock) { sync::release_shared_slowly(*lock); }

BOBBIN_MS_ABI void AcquireSRWLockExclusive(RTL_SRWLOCK* lock) {
  if (!sync::try_acquire_exclusive(*lock, this_thread_id())) [[unlikely]]
    return kContinue<&exclusive_waiting>(lock);
}

BOBBIN_MS_ABI void AcquireSRWLockShared(RTL_SRWLOCK* lock) {
  if (!sync::try_acquire_shared(*lock)) [[unlikely]]
    return kContinue<&shared_waiting>(lock);
}

BOBBIN_MS_ABI void ReleaseSRWLockExclusive(RTL_SRWLOCK* lock) {
  if (!sync::release_exclusive_quickly(*lock, this_thread_id())) [[unlikely]]
    return kContinue<&exclusive_waking>(lock);
}

BOBBIN_MS_ABI void ReleaseSRWLockShared(RTL_SRWLOCK* lock) {
  if (!sync::release_shared_quickly(*lock)) [[unlikely]]
    return kContinue<&shared_waking>(lock);
}

BOBBIN_MS_ABI BOOLEAN TryAcquireSRWLockExclusive(RTL_SRWLOCK* lock) {
  return sync::try_acquire_exclusive(*lock, this_thread_id());
}
BOBBIN_MS_ABI BOOLEAN TryAcquireSRWLockShared(RTL_SRWLOCK* lock) { return sync::try_acquire_shared(*lock); }
BOBBIN_MS_ABI void InitializeSRWLock(RTL_SRWLOCK* lock) { lock->Ptr = nullptr; }

// ---- condition variables ---------------------------------------------------------------------------------

NTSTATUS nt_outcome(ParkOutcome outcome) {
  return outcome == ParkOutcome::timed_out ? STATUS_TIMEOUT : STATUS_SUCCESS;
}

/// TRUE, or FALSE and ERROR_TIMEOUT.
BOOL answer(ParkOutcome outcome) {
  if (outcome != ParkOutcome::timed_out) return TRUE;
  return failed(ERROR_TIMEOUT);
}

constexpr ULONG CONDITION_VARIABLE_LOCKMODE_SHARED = 1;

BOOL SleepConditionVariableCS(RTL_CONDITION_VARIABLE* variable, RTL_CRITICAL_SECTION* cs,
                              DWORD milliseconds) {
  return answer(sync::sleep_condition(*variable, *cs, deadline_of(milliseconds), thread::current_waiter()));
}

BOOL SleepConditionVariableSRW(RTL_CONDITION_VARIABLE* variable, RTL_SRWLOCK* lock, DWORD milliseconds,
                               ULONG flags) {
  if ((flags & ~CONDITION_VARIABLE_LOCKMODE_SHARED) != 0) return failed(ERROR_INVALID_PARAMETER);
  return answer(sync::sleep_condition(*variable, *lock, flags != 0, deadline_of(milliseconds),
                                      thread::current_waiter()));
}

NTSTATUS RtlSleepConditionVariableCS(RTL_CONDITION_VARIABLE* variable, RTL_CRITICAL_SECTION* cs,
                                     const LARGE_INTEGER* timeout) {
  return nt_outcome(sync::sleep_condition(*variable, *cs, deadline_of(timeout), thread::current_waiter()));
}

NTSTATUS RtlSleepConditionVariableSRW(RTL_CONDITION_VARIABLE* variable, RTL_SRWLOCK* lock,
                                      const LARGE_INTEGER* timeout, ULONG flags) {
  if ((flags & ~CONDITION_VARIABLE_LOCKMODE_SHARED) != 0) return nt(STATUS_INVALID_PARAMETER_4);
  return nt_outcome(
      sync::sleep_condition(*variable, *lock, flags != 0, deadline_of(timeout), thread::current_waiter()));
}

void one_waking(RTL_CONDITION_VARIABLE* variable) { sync::wake_one(*variable); }
void all_waking(RTL_CONDITION_VARIABLE* variable) { sync::wake_all(*variable); }

BOBBIN_MS_ABI void WakeConditionVariable(RTL_CONDITION_VARIABLE* variable) {
  if (sync::has_sleepers(*variable)) return kContinue<&one_waking>(variable);
}

BOBBIN_MS_ABI void WakeAllConditionVariable(RTL_CONDITION_VARIABLE* variable) {
  if (sync::has_sleepers(*variable)) return kContinue<&all_waking>(variable);
}

BOBBIN_MS_ABI void InitializeConditionVariable(RTL_CONDITION_VARIABLE* variable) { variable->Ptr = nullptr; }

// ---- waits on addresses ----------------------------------------------------------------------------------

bool is_size(SIZE_T size) { return size == 1 || size == 2 || size == 4 || size == 8; }

BOOL WaitOnAddress(const void* address, const void* compare, SIZE_T size, DWORD milliseconds) {
  if (!is_size(size)) return failed(ERROR_INVALID_PARAMETER);
  return answer(
      sync::wait_on_address(address, compare, size, deadline_of(milliseconds), thread::current_waiter()));
}

NTSTATUS RtlWaitOnAddress(const void* address, const void* compare, SIZE_T size,
                          const LARGE_INTEGER* timeout) {
  if (!is_size(size)) return nt(STATUS_INVALID_PARAMETER);
  return nt_outcome(
      sync::wait_on_address(address, compare, size, deadline_of(timeout), thread::current_waiter()));
}

void WakeByAddressSingle(const void* address) { sync::wake_address_single(address); }
void WakeByAddressAll(const void* address) { sync::wake_address_all(address); }

// ---- one-time initialisation -----------------------------------------------------------------------------

enum : DWORD { RUN_ONCE_CHECK_ONLY = 1, RUN_ONCE_ASYNC = 2, RUN_ONCE_INIT_FAILED = 4 };

void RtlRunOnceInitialize(RTL_RUN_ONCE* once) { once->Ptr = nullptr; }

/// STATUS_PENDING: the caller is to initialise.
NTSTATUS RtlRunOnceBeginInitialize(RTL_RUN_ONCE* once, ULONG flags, PVOID* context) {
  if ((flags & RUN_ONCE_CHECK_ONLY) != 0) {
    if ((flags & RUN_ONCE_ASYNC) != 0) return nt(STATUS_INVALID_PARAMETER);
    return sync::run_once_is_complete(*once, context) ? nt(STATUS_SUCCESS) : nt(STATUS_UNSUCCESSFUL);
  }
  auto begun = sync::run_once_begin(*once, (flags & RUN_ONCE_ASYNC) != 0, context, thread::current_waiter());
  if (!begun) return nt(begun.error());
  return *begun == sync::RunOnce::pending ? STATUS_PENDING : STATUS_SUCCESS;
}

NTSTATUS RtlRunOnceComplete(RTL_RUN_ONCE* once, ULONG flags, PVOID context) {
  return nt(sync::run_once_complete(*once, (flags & RUN_ONCE_ASYNC) != 0, (flags & RUN_ONCE_INIT_FAILED) != 0,
                                    context));
}

/// The guest's initialiser, BOOL callback(once, parameter, &context). If the guest ends in it, nobody is left
/// to wait for the result.
NTSTATUS RtlRunOnceExecuteOnce(RTL_RUN_ONCE* once, PVOID callback, PVOID parameter, PVOID* context) {
  PVOID own_context = nullptr;
  PVOID* const result = context != nullptr ? context : &own_context;
  const NTSTATUS begun = RtlRunOnceBeginInitialize(once, 0, result);
  if (begun != STATUS_PENDING) return begun;
  const auto succeeded =
      thread::call_guest<DWORD(RTL_RUN_ONCE*, PVOID, PVOID*)>(callback, once, parameter, result);
  if (!succeeded || *succeeded == 0) {
    (void)RtlRunOnceComplete(once, RUN_ONCE_INIT_FAILED, nullptr);
    return nt(STATUS_UNSUCCESSFUL);
  }
  return RtlRunOnceComplete(once, 0, *result);
}

BOOL execute_once(RTL_RUN_ONCE* once, PVOID callback, PVOID parameter, PVOID* context) {
  return RtlRunOnceExecuteOnce(once, callback, parameter, context) == STATUS_SUCCESS;
}

BOBBIN_MS_ABI BOOL InitOnceExecuteOnce(RTL_RUN_ONCE* once, PVOID callback, PVOID parameter, PVOID* context) {
  if (sync::run_once_is_complete(*once, context)) [[likely]]
    return TRUE;
  return kContinue<&execute_once>(once, callback, parameter, context);
}

BOOL InitOnceBeginInitialize(RTL_RUN_ONCE* once, DWORD flags, BOOL* pending, PVOID* context) {
  const NTSTATUS status = RtlRunOnceBeginInitialize(once, flags, context);
  if (status < 0) return failed(win32_error(static_cast<std::uint32_t>(status)));
  *pending = status == STATUS_PENDING;
  return TRUE;
}

BOOL InitOnceComplete(RTL_RUN_ONCE* once, DWORD flags, PVOID context) {
  const NTSTATUS status = RtlRunOnceComplete(once, flags, context);
  if (status < 0) return failed(win32_error(static_cast<std::uint32_t>(status)));
  return TRUE;
}

// One function under its name in kernel32 and the one in ntdll that it is forwarded to.
constexpr auto& InitOnceInitialize = RtlRunOnceInitialize;
constexpr auto& RtlAcquireSRWLockExclusive = AcquireSRWLockExclusive;
constexpr auto& RtlAcquireSRWLockShared = AcquireSRWLockShared;
constexpr auto& RtlInitializeConditionVariable = InitializeConditionVariable;
constexpr auto& RtlInitializeSRWLock = InitializeSRWLock;
constexpr auto& RtlReleaseSRWLockExclusive = ReleaseSRWLockExclusive;
constexpr auto& RtlReleaseSRWLockShared = ReleaseSRWLockShared;
constexpr auto& RtlTryAcquireSRWLockExclusive = TryAcquireSRWLockExclusive;
constexpr auto& RtlTryAcquireSRWLockShared = TryAcquireSRWLockShared;
constexpr auto& RtlWakeAddressAll = WakeByAddressAll;
constexpr auto& RtlWakeAddressSingle = WakeByAddressSingle;
constexpr auto& RtlWakeAllConditionVariable = WakeAllConditionVariable;
constexpr auto& RtlWakeConditionVariable = WakeConditionVariable;

const Export kExports[] = {
    HOT(kKernel32, AcquireSRWLockExclusive),
    HOT(kKernel32, AcquireSRWLockShared),
    NATIVE(kKernel32, DeleteCriticalSection),
    HOT(kKernel32, EnterCriticalSection),
    NATIVE(kKernel32, InitOnceBeginInitialize),
    NATIVE(kKernel32, InitOnceComplete),
    HOT(kKernel32, InitOnceExecuteOnce),
    NATIVE(kKernel32, InitOnceInitialize),
    HOT(kKernel32, InitializeConditionVariable),
    NATIVE(kKernel32, InitializeCriticalSection),
    NATIVE(kKernel32, InitializeCriticalSectionAndSpinCount),
    NATIVE(kKernel32, InitializeCriticalSectionEx),
    HOT(kKernel32, InitializeSRWLock),
    HOT(kKernel32, LeaveCriticalSection),
    HOT(kKernel32, ReleaseSRWLockExclusive),
    HOT(kKernel32, ReleaseSRWLockShared),
    HOT(kNtdll, RtlAcquireSRWLockExclusive),
    HOT(kNtdll, RtlAcquireSRWLockShared),
    NT_NATIVE(kNtdll, RtlDeleteCriticalSection),
    HOT(kNtdll, RtlEnterCriticalSection),
    HOT(kNtdll, RtlInitializeConditionVariable),
    NT_NATIVE(kNtdll, RtlInitializeCriticalSection),
    NT_NATIVE(kNtdll, RtlInitializeCriticalSectionAndSpinCount),
    NT_NATIVE(kNtdll, RtlInitializeCriticalSectionEx),
    HOT(kNtdll, RtlInitializeSRWLock),
    NATIVE(kNtdll, RtlIsCriticalSectionLocked),
    NATIVE(kNtdll, RtlIsCriticalSectionLockedByThread),
    HOT(kNtdll, RtlLeaveCriticalSection),
    HOT(kNtdll, RtlReleaseSRWLockExclusive),
    HOT(kNtdll, RtlReleaseSRWLockShared),
    NT_NATIVE(kNtdll, RtlRunOnceBeginInitialize),
    NT_NATIVE(kNtdll, RtlRunOnceComplete),
    NT_NATIVE(kNtdll, RtlRunOnceExecuteOnce),
    NATIVE(kNtdll, RtlRunOnceInitialize),
    NATIVE(kNtdll, RtlSetCriticalSectionSpinCount),
    NT_NATIVE(kNtdll, RtlSleepConditionVariableCS),
    NT_NATIVE(kNtdll, RtlSleepConditionVariableSRW),
    HOT(kNtdll, RtlTryAcquireSRWLockExclusive),
    HOT(kNtdll, RtlTryAcquireSRWLockShared),
    HOT(kNtdll, RtlTryEnterCriticalSection),
    NT_NATIVE(kNtdll, RtlWaitOnAddress),
    NATIVE(kNtdll, RtlWakeAddressAll),
    NATIVE(kNtdll, RtlWakeAddressSingle),
    HOT(kNtdll, RtlWakeAllConditionVariable),
    HOT(kNtdll, RtlWakeConditionVariable),
    NATIVE(kKernel32, SetCriticalSectionSpinCount),
    NATIVE(kKernel32, SleepConditionVariableCS),
    NATIVE(kKernel32, SleepConditionVariableSRW),
    HOT(kKernel32, TryAcquireSRWLockExclusive),
    HOT(kKernel32, TryAcquireSRWLockShared),
    HOT(kKernel32, TryEnterCriticalSection),
    NATIVE(kKernel32, WaitOnAddress),
    HOT(kKernel32, WakeAllConditionVariable),
    NATIVE(kKernel32, WakeByAddressAll),
    NATIVE(kKernel32, WakeByAddressSingle),
    HOT(kKernel32, WakeConditionVariable),
};

}  // namespace

std::span<const Export> synchapi_locks_natives() { return kExports; }

}  // namespace bobbin::win32
