// processthreadsapi.h, its thread half (processes are in processapi.cpp, Tls* in tlsapi.cpp), and ntdll's
// twins.
#include <time.h>

#include <algorithm>
#include <cstring>

#include "loader/loader.hpp"
#include "process/child.hpp"
#include "sync/handle_table.hpp"
#include "thread/guest_call.hpp"
#include "thread/thread.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD { CREATE_SUSPENDED = 0x4, STACK_SIZE_PARAM_IS_A_RESERVATION = 0x10000 };

/// The thread of a handle, the pseudo handle included.
Borrowed<thread::Thread> thread_of(HANDLE handle) {
  if (handle == kCurrentThread) return thread::Ref<thread::Thread>(&thread::current());
  return borrow<thread::Thread>(handle, sync::Kind::thread);
}

/// Runs `use` on the thread of a handle; FALSE and last error if there is none.
template <class Use>
BOOL with_thread(HANDLE handle, Use use) {
  auto thread = thread_of(handle);
  return thread ? use(**thread) : failed(thread.error());
}

HANDLE CreateThread(SECURITY_ATTRIBUTES* security, SIZE_T stack_size, PVOID routine, PVOID parameter,
                    DWORD flags, DWORD* id) {
  // Without the flag, the size is what is to be committed at once: the reservation is the program's default.
  const bool reservation = (flags & STACK_SIZE_PARAM_IS_A_RESERVATION) != 0;
  thread::Threads& threads = services().threads;
  auto thread = threads.create({.routine = routine,
                                .parameter = parameter,
                                .stack_size = reservation ? stack_size : 0,
                                .minimum_stack = stack_size,
                                .suspended = (flags & CREATE_SUSPENDED) != 0});
  if (!thread) return failed(thread.error(), nullptr);
  const bool inherit = security != nullptr && security->bInheritHandle != 0;
  auto handle = services().handles.insert(thread::Ref<thread::Thread>(*thread), inherit);
  if (!handle) {
    threads.abandon(**thread);
    return failed(handle.error(), nullptr);
  }
  if (id != nullptr) *id = (*thread)->id();  // before it runs: it may read it
  if (auto started = threads.start(**thread); !started) {
    (void)services().handles.close(*handle);
    return failed(started.error(), nullptr);
  }
  if (loader::Lint* lint = services().loader.lint()) lint->creates_thread(routine);
  return guest_handle(*handle);
}

HANDLE CreateRemoteThread(HANDLE process, SECURITY_ATTRIBUTES* security, SIZE_T stack_size, PVOID routine,
                          PVOID parameter, DWORD flags, DWORD* id) {
  if (process != kCurrentProcess) return failed(ERROR_ACCESS_DENIED, nullptr);
  return CreateThread(security, stack_size, routine, parameter, flags, id);
}

void ExitThread(DWORD code) { services().threads.exit_current(code); }

BOOL TerminateThread(HANDLE handle, DWORD code) {
  return with_thread(handle, [code](thread::Thread& thread) {
    services().threads.terminate(thread, code);
    return TRUE;
  });
}

DWORD SuspendThread(HANDLE handle) {
  auto thread = thread_of(handle);
  auto before = thread ? services().threads.suspend(**thread) : Result<std::uint32_t>(propagate(thread));
  if (before) return *before;
  failed(before.error());
  return ~DWORD{0};
}

DWORD ResumeThread(HANDLE handle) {
  auto thread = thread_of(handle);
  auto before = thread ? services().threads.resume(**thread) : Result<std::uint32_t>(propagate(thread));
  if (before) return *before;
  failed(before.error());
  return ~DWORD{0};
}

BOOL GetThreadContext(HANDLE handle, CONTEXT* context) {
  CONTEXT copy = *context;
  const BOOL got = with_thread(
      handle, [&copy](thread::Thread& thread) { return done(services().threads.get_context(thread, copy)); });
  if (got) *context = copy;
  return got;
}

BOOL SetThreadContext(HANDLE handle, const CONTEXT* context) {
  return with_thread(handle, [copy = *context](thread::Thread& thread) {
    return done(services().threads.set_context(thread, copy));
  });
}

/// The routine takes one argument.
DWORD QueueUserAPC(PVOID routine, HANDLE handle, ULONG_PTR argument) {
  auto thread = thread_of(handle);
  if (!thread) return failed<DWORD>(thread.error());
  if ((*thread)->teb_or_null() == nullptr) return failed<DWORD>(ERROR_GEN_FAILURE);  // it has ended
  sync::queue_apc((*thread)->waiter(), {routine, {argument}});
  return TRUE;
}

NTSTATUS NtQueueApcThread(HANDLE handle, PVOID routine, ULONG_PTR first, ULONG_PTR second, ULONG_PTR third) {
  auto thread = thread_of(handle);
  if (!thread) return nt(thread.error());
  if ((*thread)->teb_or_null() == nullptr) return nt(STATUS_UNSUCCESSFUL);
  sync::queue_apc((*thread)->waiter(), {routine, {first, second, third}});
  return nt(STATUS_SUCCESS);
}

/// A child's first thread answers what is known of it: its id and its end.
Borrowed<process::ChildThread> child_thread_of(HANDLE handle) {
  return borrow<process::ChildThread>(handle, sync::Kind::child_thread);
}

BOOL GetExitCodeThread(HANDLE handle, DWORD* code) {
  if (const auto child = child_thread_of(handle)) {
    *code = (*child)->exit_code();
    return TRUE;
  }
  return with_thread(handle, [code](thread::Thread& thread) {
    *code = thread.exit_code();
    return TRUE;
  });
}

BOBBIN_MS_ABI HANDLE GetCurrentThread() { return kCurrentThread; }

DWORD GetCurrentThreadId() { return static_cast<DWORD>(handle_value(current_teb()->UniqueThread)); }

DWORD GetThreadId(HANDLE handle) {
  if (const auto child = child_thread_of(handle)) return (*child)->id();
  auto thread = thread_of(handle);
  return thread ? (*thread)->id() : failed<DWORD>(thread.error());
}

DWORD GetProcessIdOfThread(HANDLE handle) {
  if (const auto child = child_thread_of(handle)) return (*child)->id();
  auto thread = thread_of(handle);
  return thread ? os::process_id() : failed<DWORD>(thread.error());
}

HANDLE OpenThread(DWORD, BOOL inherit, DWORD id) {
  auto thread = services().threads.find(id);
  if (!thread) return failed(ERROR_INVALID_PARAMETER, nullptr);
  auto handle = services().handles.insert(std::move(thread), inherit != 0);
  if (handle) return guest_handle(*handle);
  return failed(handle.error(), nullptr);
}

constexpr DWORD kPriorityError = 0x7FFFFFFF;

int GetThreadPriority(HANDLE handle) {
  auto thread = thread_of(handle);
  if (thread) return (*thread)->priority.load();
  failed(thread.error());
  return kPriorityError;
}

BOOL SetThreadPriority(HANDLE handle, int priority) {
  const bool known = (priority >= -2 && priority <= 2) || priority == -15 || priority == 15;
  if (!known) return failed(ERROR_INVALID_PARAMETER);
  return with_thread(handle, [priority](thread::Thread& thread) {
    thread.priority = priority;
    return TRUE;
  });
}

FILETIME filetime(std::uint64_t units) {
  return {static_cast<DWORD>(units), static_cast<DWORD>(units >> 32)};
}

// The host does not tell user from kernel time per thread cheaply: all is said to be the user's.
BOOL GetThreadTimes(HANDLE handle, FILETIME* created, FILETIME* ended, FILETIME* kernel, FILETIME* user) {
  return with_thread(handle, [&](thread::Thread& thread) {
    *created = filetime(thread.created_at());
    *ended = filetime(thread.ended_at());
    *kernel = filetime(0);
    *user = filetime(thread.cpu_time());
    return TRUE;
  });
}

BOOL GetThreadIOPendingFlag(HANDLE handle, BOOL* pending) {
  return with_thread(handle, [pending](thread::Thread&) {
    *pending = FALSE;
    return TRUE;
  });
}

void GetCurrentThreadStackLimits(ULONG_PTR* low, ULONG_PTR* high) {
  *low = handle_value(current_teb()->DeallocationStack);
  *high = handle_value(current_teb()->StackBase);
}

BOOL SetThreadStackGuarantee(ULONG* bytes) {
  TEB* const teb = current_teb();
  const ULONG before = teb->GuaranteedStackBytes;
  if (*bytes > before) {
    // The guard pages reach so far up that this much is left below an overflow, and what an exception needs.
    constexpr std::size_t kForDispatch = 2 * os::kPageSize;
    auto* const lowest = static_cast<std::byte*>(teb->DeallocationStack) + os::kPageSize;
    const std::size_t wanted = align_up(*bytes + kForDispatch, os::kPageSize);
    if (lowest + wanted > teb->StackLimit) {
      if (lowest + wanted + kForDispatch > __builtin_frame_address(0)) return failed(ERROR_INVALID_PARAMETER);
      auto guarded = services().memory.protect(lowest, wanted, memory::kReadWrite | memory::kGuard);
      if (!guarded) return failed(guarded.error());
      teb->StackLimit = lowest + wanted;
    }
    teb->GuaranteedStackBytes = *bytes;
  }
  *bytes = before;
  return TRUE;
}

void ExitProcess(UINT code) { services().loader.exit_process(code); }

// ---- ntdll
// -------------------------------------------------------------------------------------------------

void RtlExitUserThread(NTSTATUS code) { services().threads.exit_current(static_cast<DWORD>(code)); }
void RtlExitUserProcess(NTSTATUS code) { services().loader.exit_process(static_cast<DWORD>(code)); }

NTSTATUS NtTerminateThread(HANDLE handle, NTSTATUS code) {
  auto thread = thread_of(handle != nullptr ? handle : kCurrentThread);
  if (!thread) return nt(thread.error());
  services().threads.terminate(**thread, static_cast<DWORD>(code));
  return STATUS_SUCCESS;
}

enum : ULONG { ThreadBasicInformation = 0, ThreadTimes = 1, ThreadQuerySetWin32StartAddress = 9 };

struct THREAD_BASIC_INFORMATION {
  NTSTATUS ExitStatus;
  PVOID TebBaseAddress;
  HANDLE UniqueProcess;
  HANDLE UniqueThread;
  ULONG_PTR AffinityMask;
  LONG Priority;
  LONG BasePriority;
};
struct KERNEL_USER_TIMES {
  LONGLONG CreateTime, ExitTime, KernelTime, UserTime;
};

/// Answers a query whose result is one struct of fixed size.
template <class T>
NTSTATUS answer(const T& result, PVOID buffer, ULONG size, ULONG* returned) {
  if (returned != nullptr) *returned = sizeof result;
  if (size < sizeof result) return nt(STATUS_INFO_LENGTH_MISMATCH);
  std::memcpy(buffer, &result, sizeof result);
  return nt(STATUS_SUCCESS);
}

NTSTATUS NtQueryInformationThread(HANDLE handle, ULONG information, PVOID buffer, ULONG size,
                                  ULONG* returned) {
  auto found = thread_of(handle);
  if (!found) return nt(found.error());
  thread::Thread& thread = **found;
  switch (information) {
    case ThreadBasicInformation: {
      const THREAD_BASIC_INFORMATION basic{
          .ExitStatus = static_cast<NTSTATUS>(thread.exit_code()),
          .TebBaseAddress = thread.teb_or_null(),
          .UniqueProcess = guest_handle(os::process_id()),
          .UniqueThread = guest_handle(thread.id()),
          .AffinityMask = (ULONG_PTR{1} << std::min(services().threads.peb().NumberOfProcessors, 63u)) - 1,
          .Priority = 8 + thread.priority.load(),
          .BasePriority = thread.priority.load()};
      return answer(basic, buffer, size, returned);
    }
    case ThreadTimes:
      return answer(KERNEL_USER_TIMES{.CreateTime = static_cast<LONGLONG>(thread.created_at()),
                                      .ExitTime = static_cast<LONGLONG>(thread.ended_at()),
                                      .KernelTime = 0,
                                      .UserTime = static_cast<LONGLONG>(thread.cpu_time())},
                    buffer, size, returned);
    case ThreadQuerySetWin32StartAddress:
      return answer(thread.start_address(), buffer, size, returned);
    default:
      return nt(STATUS_INVALID_INFO_CLASS);
  }
}

NTSTATUS NtTerminateProcess(HANDLE handle, NTSTATUS code) {
  if (handle == nullptr) {  // all threads but this one
    services().threads.stop_all_others(static_cast<DWORD>(code));
    return STATUS_SUCCESS;
  }
  if (handle != kCurrentProcess) return nt(STATUS_INVALID_HANDLE);
  services().loader.terminate_process(static_cast<DWORD>(code));
  return STATUS_SUCCESS;
}

const Export kExports[] = {
    NATIVE(kKernel32, CreateRemoteThread),
    NATIVE(kKernel32, CreateThread),
    NATIVE(kKernel32, ExitProcess),
    NATIVE(kKernel32, ExitThread),
    HOT(kKernel32, GetCurrentThread),
    FAST(kKernel32, GetCurrentThreadId),
    NATIVE(kKernel32, GetCurrentThreadStackLimits),
    NATIVE(kKernel32, GetExitCodeThread),
    NATIVE(kKernel32, GetProcessIdOfThread),
    SYSTEM_CALL(kKernel32, GetThreadContext),
    NATIVE(kKernel32, GetThreadIOPendingFlag),
    NATIVE(kKernel32, GetThreadId),
    NATIVE(kKernel32, GetThreadPriority),
    NATIVE(kKernel32, GetThreadTimes),
    NT_NATIVE(kNtdll, NtQueryInformationThread),
    NT_NATIVE(kNtdll, NtQueueApcThread),
    NT_NATIVE(kNtdll, NtTerminateProcess),
    NT_NATIVE(kNtdll, NtTerminateThread),
    NATIVE(kKernel32, OpenThread),
    NATIVE(kKernel32, QueueUserAPC),
    NATIVE(kKernel32, ResumeThread),
    NATIVE(kNtdll, RtlExitUserProcess),
    NATIVE(kNtdll, RtlExitUserThread),
    SYSTEM_CALL(kKernel32, SetThreadContext),
    NATIVE(kKernel32, SetThreadPriority),
    NATIVE(kKernel32, SetThreadStackGuarantee),
    NATIVE(kKernel32, SuspendThread),
    NATIVE(kKernel32, TerminateThread),
};

}  // namespace

std::span<const Export> processthreadsapi_natives() { return kExports; }

}  // namespace bobbin::win32
