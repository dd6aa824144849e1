// processthreadsapi.h, the half about processes (threads are in processthreadsapi.cpp).
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "abi/exception.hpp"
#include "loader/loader.hpp"
#include "process/child.hpp"
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
  fill_startup_info(*info, empty, services().process.window_title_ansi().data());
}

// ---- processes by handle ---------------------------------------------------------------------------------

/// The process behind a handle; the pseudo handle is ourselves.
Borrowed<process::ProcessObject> process_of(HANDLE handle) {
  if (handle == INVALID_HANDLE_VALUE)
    return sync::Ref<process::ProcessObject>::adopt(new process::ProcessObject(GetCurrentProcessId()));
  return borrow<process::ProcessObject>(handle, sync::Kind::process);
}

bool is_self(const process::ProcessObject& process) { return process.id() == GetCurrentProcessId(); }

BOOL GetExitCodeProcess(HANDLE handle, DWORD* code) {
  auto process = process_of(handle);
  if (!process) return failed(process.error());
  *code = (*process)->exit_code();
  return TRUE;
}

/// The hook by which we end at once: no notification, no way back.
void exit_process_now(UINT code) { services().loader.terminate_process(code); }

BOOL TerminateProcess(HANDLE handle, UINT code) {
  auto process = process_of(handle);
  if (!process) return failed(process.error());
  if (!is_self(**process)) return done((*process)->terminate(code));
  exit_process_now(code);
  return TRUE;
}

DWORD GetProcessId(HANDLE handle) {
  auto process = process_of(handle);
  return process ? (*process)->id() : failed<DWORD>(process.error());
}

// Ourselves and our children: any other process is not ours to wait for, and most are not Windows'.
HANDLE OpenProcess(DWORD, BOOL inheritable, DWORD id) {
  auto process = id == GetCurrentProcessId()
                     ? sync::Ref<process::ProcessObject>::adopt(new process::ProcessObject(id))
                     : services().process.children().find(id);
  if (!process)
    return failed(kill(static_cast<pid_t>(id), 0) == 0 ? ERROR_ACCESS_DENIED : ERROR_INVALID_PARAMETER,
                  nullptr);
  auto handle = services().handles.insert(std::move(process), inheritable != FALSE);
  if (handle) return guest_handle(*handle);
  return failed(handle.error(), nullptr);
}

// ---- facts about ourselves -------------------------------------------------------------------------------

/// Whether the handle is ours; last error says why not: of a child the host tells nothing here.
bool only_self(HANDLE handle) {
  auto process = process_of(handle);
  if (!process) return failed(process.error()) != 0;
  return is_self(**process) || failed(ERROR_NOT_SUPPORTED) != 0;
}

std::uint64_t in_file_time_units(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 10'000'000 + static_cast<std::uint64_t>(time.tv_usec) * 10;
}

BOOL GetProcessTimes(HANDLE handle, FILETIME* creation, FILETIME* exit, FILETIME* kernel, FILETIME* user) {
  static const std::uint64_t started = [] {  // our entry in /proc was made when we were
    const auto info = io::info_of("/proc/self/stat");
    return info ? info->write_time : os::system_time_now();
  }();
  if (!only_self(handle)) return FALSE;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  *creation = file_time(started);
  *exit = {};
  *kernel = file_time(in_file_time_units(usage.ru_stime));
  *user = file_time(in_file_time_units(usage.ru_utime));
  return TRUE;
}

/// The processors of a set as bits; those beyond 64 belong to other groups and are not shown.
DWORD_PTR mask_of(const cpu_set_t& set) {
  DWORD_PTR mask = 0;
  for (int i = 0; i < 64; ++i) mask |= CPU_ISSET(i, &set) ? DWORD_PTR{1} << i : 0;
  return mask;
}

BOOL GetProcessAffinityMask(HANDLE handle, DWORD_PTR* process, DWORD_PTR* system) {
  if (!only_self(handle)) return FALSE;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return failed(ERROR_GEN_FAILURE);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  *process = mask_of(set);
  *system = *process | (online >= 64 ? ~DWORD_PTR{0} : (DWORD_PTR{1} << online) - 1);
  return TRUE;
}

cpu_set_t set_of(DWORD_PTR mask) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < 64; ++i) {
    if ((mask >> i & 1) != 0) CPU_SET(i, &set);
  }
  return set;
}

/// The mask before, or 0. Of a thread that runs.
DWORD_PTR SetThreadAffinityMask(HANDLE handle, DWORD_PTR mask) {
  auto thread = handle == kCurrentThread
                    ? Result<sync::Ref<thread::Thread>>(sync::Ref<thread::Thread>(&thread::current()))
                    : services().handles.get<thread::Thread>(handle_value(handle), sync::Kind::thread);
  if (!thread) return failed<DWORD_PTR>(thread.error());
  const auto host = static_cast<pid_t>((*thread)->host_id());
  const cpu_set_t wanted = set_of(mask);
  cpu_set_t before;
  if (host == 0 || sched_getaffinity(host, sizeof before, &before) != 0 ||
      sched_setaffinity(host, sizeof wanted, &wanted) != 0) {
    return failed<DWORD_PTR>(ERROR_INVALID_PARAMETER);
  }
  return mask_of(before);
}

// The host's call is about one thread; those of the process are set one by one.
BOOL SetProcessAffinityMask(HANDLE handle, DWORD_PTR mask) {
  if (!only_self(handle)) return FALSE;
  const cpu_set_t set = set_of(mask);
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), closedir);
  if (!tasks) return failed(ERROR_GEN_FAILURE);
  while (const dirent* task = readdir(tasks.get())) {
    const int id = std::atoi(task->d_name);
    if (id != 0 && sched_setaffinity(id, sizeof set, &set) != 0) return failed(ERROR_INVALID_PARAMETER);
  }
  return TRUE;
}

struct PriorityClass {
  DWORD windows;
  int nice;
};
constexpr PriorityClass kPriorities[] = {{0x40, 19},   {0x4000, 10}, {0x20, 0},
                                         {0x8000, -5}, {0x80, -10},  {0x100, -20}};

/// The class nearest to the host's nice value, never a higher one.
DWORD GetPriorityClass(HANDLE handle) {
  if (!only_self(handle)) return 0;
  const int nice = getpriority(PRIO_PROCESS, 0);
  DWORD found = kPriorities[0].windows;
  for (const auto& [windows, value] : kPriorities) {
    if (nice <= value) found = windows;
  }
  return found;
}

/// Ends the process at once, with the exception's code; nobody is asked.
void RaiseFailFastException(const EXCEPTION_RECORD* record, PVOID, DWORD) {
  services().loader.terminate_process(record != nullptr ? record->ExceptionCode : STATUS_FAIL_FAST_EXCEPTION);
}

/// Whether threads get a short advantage when a wait of theirs ends: the host's scheduler has its own ways,
/// so it is kept for GetProcessPriorityBoost alone.
constinit std::atomic<BOOL> g_boost_disabled{FALSE};

BOOL SetProcessPriorityBoost(HANDLE handle, BOOL disable) {
  if (handle != kCurrentProcess) return failed(ERROR_INVALID_HANDLE);
  g_boost_disabled = disable != FALSE;
  return TRUE;
}

BOOL GetProcessPriorityBoost(HANDLE handle, BOOL* disabled) {
  if (handle != kCurrentProcess) return failed(ERROR_INVALID_HANDLE);
  *disabled = g_boost_disabled;
  return TRUE;
}

BOOL SetPriorityClass(HANDLE handle, DWORD wanted) {
  if (!only_self(handle)) return FALSE;
  for (const auto& [windows, value] : kPriorities) {
    if (windows != wanted) continue;
    return setpriority(PRIO_PROCESS, 0, value) == 0 ? TRUE : failed(ERROR_ACCESS_DENIED);
  }
  return failed(ERROR_INVALID_PARAMETER);
}

BOOL GetProcessHandleCount(HANDLE handle, DWORD* count) {
  if (!only_self(handle)) return FALSE;
  *count = static_cast<DWORD>(services().handles.size());
  return TRUE;
}

BOOL IsWow64Process(HANDLE handle, BOOL* wow64) {
  auto process = process_of(handle);
  if (!process) return failed(process.error());
  *wow64 = FALSE;  // 64-bit programs only
  return TRUE;
}

template <class Char>
BOOL image_name(HANDLE handle, const std::basic_string<Char>& path, DWORD flags, Char* buffer, DWORD* size) {
  if (!only_self(handle)) return FALSE;
  if (flags != 0) return failed(ERROR_NOT_SUPPORTED);  // the kernel's own name of the file
  const DWORD length = deliver_terminated(path, buffer, *size);
  if (length >= *size) return failed(ERROR_INSUFFICIENT_BUFFER);
  *size = length;
  return TRUE;
}
BOOL QueryFullProcessImageNameW(HANDLE handle, DWORD flags, LPWSTR buffer, DWORD* size) {
  return image_name(handle, services().process.image_path(), flags, buffer, size);
}
BOOL QueryFullProcessImageNameA(HANDLE handle, DWORD flags, LPSTR buffer, DWORD* size) {
  return image_name(handle, narrow(services().process.image_path()), flags, buffer, size);
}

// ---- children --------------------------------------------------------------------------------------------

sync::Ref<io::File> stream_of(HANDLE handle) {
  auto file = file_of(handle);
  return file ? *file : sync::Ref<io::File>();
}

template <class Char>
std::array<sync::Ref<io::File>, 3> child_streams(const StartupInfo<Char>& info) {
  const bool given = (info.dwFlags & STARTF_USESTDHANDLES) != 0;
  const RTL_USER_PROCESS_PARAMETERS& own = process_parameters();
  return {stream_of(given ? info.hStdInput : own.StandardInput),
          stream_of(given ? info.hStdOutput : own.StandardOutput),
          stream_of(given ? info.hStdError : own.StandardError)};
}

std::optional<std::u16string> child_environment(const void* block, bool is_wide) {
  if (block == nullptr) return std::nullopt;
  if (is_wide) {
    const auto* start = static_cast<const char16_t*>(block);
    const char16_t* end = start;
    while (*end != 0) end += std::u16string_view(end).size() + 1;
    return std::u16string(start, end + 1);
  }
  const auto* start = static_cast<const char*>(block);
  const char* end = start;
  while (*end != 0) end += std::strlen(end) + 1;
  return nls::name_to_utf16({start, static_cast<std::size_t>(end + 1 - start)});
}

using InheritedObjects = std::vector<std::pair<sync::Handle, sync::Ref<sync::Object>>>;

BOOL start_child(process::ChildRequest request, BOOL inherit, DWORD flags, PROCESS_INFORMATION* out) {
  if ((flags & CREATE_SUSPENDED) != 0) return failed(ERROR_NOT_SUPPORTED);
  for (auto& [handle, object] : inherit ? services().handles.all_inheritable() : InheritedObjects{}) {
    // Other objects exist in this process only: a child that counts on one must not be started without it.
    if (object->kind() != sync::Kind::file) return failed(ERROR_NOT_SUPPORTED);
    request.inherited.emplace_back(handle, sync::Ref<io::File>(static_cast<io::File*>(object.get())));
  }
  auto child = process::start_child(request, services().process, services().files);
  if (!child) return failed(child.error());
  const DWORD id = (*child)->id();
  auto process = services().handles.insert(*child);
  auto thread = process ? services().handles.insert((*child)->first_thread()) : fail(process.error());
  if (!thread) {
    if (process) (void)services().handles.close(*process);
    return failed(thread.error());
  }
  *out = {guest_handle(*process), guest_handle(*thread), id, id};
  return TRUE;
}

template <class Char>
BOOL create_process(process::ChildRequest request, LPVOID environment, const StartupInfo<Char>& info,
                    BOOL inherit, DWORD flags, PROCESS_INFORMATION* out) {
  if (request.command_line.empty()) request.command_line = u'"' + request.application + u'"';
  request.environment = child_environment(environment, (flags & CREATE_UNICODE_ENVIRONMENT) != 0);
  request.streams = child_streams(info);
  request.runtime_data = {info.lpReserved2, info.lpReserved2 != nullptr ? info.cbReserved2 : 0u};
  return start_child(std::move(request), inherit, flags, out);
}

BOOL CreateProcessW(LPCWSTR application, LPWSTR line, SECURITY_ATTRIBUTES*, SECURITY_ATTRIBUTES*,
                    BOOL inherit, DWORD flags, LPVOID environment, LPCWSTR folder, STARTUPINFOW* info,
                    PROCESS_INFORMATION* out) {
  return create_process({.application = std::u16string(view(application)),
                         .command_line = std::u16string(view(line)),
                         .current_directory = std::u16string(view(folder))},
                        environment, *info, inherit, flags, out);
}

BOOL CreateProcessA(LPCSTR application, LPSTR line, SECURITY_ATTRIBUTES*, SECURITY_ATTRIBUTES*, BOOL inherit,
                    DWORD flags, LPVOID environment, LPCSTR folder, STARTUPINFOA* info,
                    PROCESS_INFORMATION* out) {
  return create_process(
      {.application = wide(application), .command_line = wide(line), .current_directory = wide(folder)},
      environment, *info, inherit, flags, out);
}

const Export kExports[] = {
    NATIVE(kKernel32, CreateProcessA),
    NATIVE(kKernel32, CreateProcessW),
    NATIVE(kKernel32, GetCurrentProcess),
    NATIVE(kKernel32, GetCurrentProcessId),
    NATIVE(kKernel32, GetExitCodeProcess),
    NATIVE(kKernel32, GetPriorityClass),
    NATIVE(kKernel32, GetProcessPriorityBoost),
    NATIVE(kKernel32, GetProcessAffinityMask),
    NATIVE(kKernel32, GetProcessHandleCount),
    NATIVE(kKernel32, GetProcessId),
    NATIVE(kKernel32, GetProcessTimes),
    NATIVE(kKernel32, GetStartupInfoA),
    NATIVE(kKernel32, GetStartupInfoW),
    NATIVE(kKernel32, IsWow64Process),
    NATIVE(kKernel32, OpenProcess),
    NATIVE(kKernel32, QueryFullProcessImageNameA),
    NATIVE(kKernel32, QueryFullProcessImageNameW),
    NATIVE(kKernel32, RaiseFailFastException),
    NATIVE(kKernel32, SetPriorityClass),
    NATIVE(kKernel32, SetProcessPriorityBoost),
    NATIVE(kKernel32, SetThreadAffinityMask),
    NATIVE(kKernel32, SetProcessAffinityMask),
    NATIVE(kKernel32, TerminateProcess),
};

}  // namespace

std::span<const Export> processapi_natives() { return kExports; }

}  // namespace bobbin::win32
