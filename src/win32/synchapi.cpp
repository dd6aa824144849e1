// synchapi.h, its objects behind handles: events, mutexes, semaphores, waitable timers, and waiting for them
// and for time to pass. (Locks in guest memory are in synchapi_locks.cpp.)
#include <sched.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "nls/utf.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using sync::Event;
using sync::Mutex;
using sync::Ref;
using sync::Semaphore;
using sync::Timer;
using sync::Waitable;

enum : DWORD { CREATE_EVENT_MANUAL_RESET = 1, CREATE_EVENT_INITIAL_SET = 2 };
enum : DWORD { CREATE_MUTEX_INITIAL_OWNER = 1 };
enum : DWORD { CREATE_WAITABLE_TIMER_MANUAL_RESET = 1, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION = 2 };

/// A name given to an A function; converted, and nullptr if it was.
class WideName {
 public:
  explicit WideName(const char* name) : given_(name != nullptr) {
    if (given_) wide_ = nls::to_utf16(name);
  }
  operator const char16_t*() const { return given_ ? wide_.c_str() : nullptr; }

 private:
  std::u16string wide_;
  bool given_;
};

/// Runs `use` on the object behind a handle; FALSE and last error if there is none of that kind.
template <class T, class Use>
BOOL with(HANDLE handle, sync::Kind kind, Use use) {
  auto object = borrow<T>(handle, kind);
  return object ? use(**object) : failed(object.error());
}

// ---- events ----------------------------------------------------------------------------------------------

HANDLE CreateEventExW(SECURITY_ATTRIBUTES* attributes, const char16_t* name, DWORD flags, DWORD) {
  if ((flags & ~(CREATE_EVENT_MANUAL_RESET | CREATE_EVENT_INITIAL_SET)) != 0) {
    return failed(ERROR_INVALID_PARAMETER, nullptr);
  }
  const bool manual = (flags & CREATE_EVENT_MANUAL_RESET) != 0;
  return new_named_handle(Ref<Event>::adopt(new Event(manual, (flags & CREATE_EVENT_INITIAL_SET) != 0)), name,
                          attributes);
}

HANDLE CreateEventExA(SECURITY_ATTRIBUTES* attributes, const char* name, DWORD flags, DWORD access) {
  return CreateEventExW(attributes, WideName(name), flags, access);
}

HANDLE CreateEventW(SECURITY_ATTRIBUTES* attributes, BOOL manual, BOOL set, const char16_t* name) {
  return CreateEventExW(attributes, name,
                        (manual ? CREATE_EVENT_MANUAL_RESET : 0u) | (set ? CREATE_EVENT_INITIAL_SET : 0u), 0);
}

HANDLE CreateEventA(SECURITY_ATTRIBUTES* attributes, BOOL manual, BOOL set, const char* name) {
  return CreateEventW(attributes, manual, set, WideName(name));
}

HANDLE OpenEventW(DWORD, BOOL inherit, const char16_t* name) {
  return open_named(name, sync::Kind::event, inherit != FALSE);
}

HANDLE OpenEventA(DWORD access, BOOL inherit, const char* name) {
  return OpenEventW(access, inherit, WideName(name));
}

BOOL SetEvent(HANDLE handle) {
  return with<Event>(handle, sync::Kind::event, [](Event& event) { return event.set(), TRUE; });
}

BOOL ResetEvent(HANDLE handle) {
  return with<Event>(handle, sync::Kind::event, [](Event& event) { return event.reset(), TRUE; });
}

BOOL PulseEvent(HANDLE handle) {
  return with<Event>(handle, sync::Kind::event, [](Event& event) { return event.pulse(), TRUE; });
}

// ---- mutexes ---------------------------------------------------------------------------------------------

HANDLE CreateMutexExW(SECURITY_ATTRIBUTES* attributes, const char16_t* name, DWORD flags, DWORD) {
  if ((flags & ~CREATE_MUTEX_INITIAL_OWNER) != 0) return failed(ERROR_INVALID_PARAMETER, nullptr);
  sync::Waiter* const owner = flags != 0 ? &thread::current_waiter() : nullptr;
  return new_named_handle(Ref<Mutex>::adopt(new Mutex(owner)), name, attributes);
}

HANDLE CreateMutexExA(SECURITY_ATTRIBUTES* attributes, const char* name, DWORD flags, DWORD access) {
  return CreateMutexExW(attributes, WideName(name), flags, access);
}

HANDLE CreateMutexW(SECURITY_ATTRIBUTES* attributes, BOOL owned, const char16_t* name) {
  return CreateMutexExW(attributes, name, owned ? CREATE_MUTEX_INITIAL_OWNER : 0u, 0);
}

HANDLE CreateMutexA(SECURITY_ATTRIBUTES* attributes, BOOL owned, const char* name) {
  return CreateMutexW(attributes, owned, WideName(name));
}

HANDLE OpenMutexW(DWORD, BOOL inherit, const char16_t* name) {
  return open_named(name, sync::Kind::mutex, inherit != FALSE);
}

HANDLE OpenMutexA(DWORD access, BOOL inherit, const char* name) {
  return OpenMutexW(access, inherit, WideName(name));
}

BOOL ReleaseMutex(HANDLE handle) {
  return with<Mutex>(handle, sync::Kind::mutex,
                     [](Mutex& mutex) { return done(mutex.release(thread::current_waiter())); });
}

// ---- semaphores ------------------------------------------------------------------------------------------

HANDLE CreateSemaphoreExW(SECURITY_ATTRIBUTES* attributes, LONG initial, LONG maximum, const char16_t* name,
                          DWORD flags, DWORD) {
  if (flags != 0 || maximum <= 0 || initial < 0 || initial > maximum) {
    return failed(ERROR_INVALID_PARAMETER, nullptr);
  }
  return new_named_handle(Ref<Semaphore>::adopt(new Semaphore(initial, maximum)), name, attributes);
}

HANDLE CreateSemaphoreExA(SECURITY_ATTRIBUTES* attributes, LONG initial, LONG maximum, const char* name,
                          DWORD flags, DWORD access) {
  return CreateSemaphoreExW(attributes, initial, maximum, WideName(name), flags, access);
}

HANDLE CreateSemaphoreW(SECURITY_ATTRIBUTES* attributes, LONG initial, LONG maximum, const char16_t* name) {
  return CreateSemaphoreExW(attributes, initial, maximum, name, 0, 0);
}

HANDLE CreateSemaphoreA(SECURITY_ATTRIBUTES* attributes, LONG initial, LONG maximum, const char* name) {
  return CreateSemaphoreW(attributes, initial, maximum, WideName(name));
}

HANDLE OpenSemaphoreW(DWORD, BOOL inherit, const char16_t* name) {
  return open_named(name, sync::Kind::semaphore, inherit != FALSE);
}

HANDLE OpenSemaphoreA(DWORD access, BOOL inherit, const char* name) {
  return OpenSemaphoreW(access, inherit, WideName(name));
}

BOOL ReleaseSemaphore(HANDLE handle, LONG count, LONG* previous) {
  probe_for_write(previous);
  LONG before = 0;
  const BOOL done = with<Semaphore>(handle, sync::Kind::semaphore, [&](Semaphore& semaphore) {
    auto released = semaphore.release(count);
    if (!released) return failed(released.error());
    before = *released;
    return TRUE;
  });
  if (done && previous != nullptr) *previous = before;
  return done;
}

// ---- waitable timers -------------------------------------------------------------------------------------

HANDLE CreateWaitableTimerExW(SECURITY_ATTRIBUTES* attributes, const char16_t* name, DWORD flags, DWORD) {
  if ((flags & ~(CREATE_WAITABLE_TIMER_MANUAL_RESET | CREATE_WAITABLE_TIMER_HIGH_RESOLUTION)) != 0) {
    return failed(ERROR_INVALID_PARAMETER, nullptr);
  }
  const bool manual = (flags & CREATE_WAITABLE_TIMER_MANUAL_RESET) != 0;
  return new_named_handle(Ref<Timer>::adopt(new Timer(manual)), name, attributes);
}

HANDLE CreateWaitableTimerExA(SECURITY_ATTRIBUTES* attributes, const char* name, DWORD flags, DWORD access) {
  return CreateWaitableTimerExW(attributes, WideName(name), flags, access);
}

HANDLE CreateWaitableTimerW(SECURITY_ATTRIBUTES* attributes, BOOL manual, const char16_t* name) {
  return CreateWaitableTimerExW(attributes, name, manual ? CREATE_WAITABLE_TIMER_MANUAL_RESET : 0u, 0);
}

HANDLE CreateWaitableTimerA(SECURITY_ATTRIBUTES* attributes, BOOL manual, const char* name) {
  return CreateWaitableTimerW(attributes, manual, WideName(name));
}

HANDLE OpenWaitableTimerW(DWORD, BOOL inherit, const char16_t* name) {
  return open_named(name, sync::Kind::timer, inherit != FALSE);
}

HANDLE OpenWaitableTimerA(DWORD access, BOOL inherit, const char* name) {
  return OpenWaitableTimerW(access, inherit, WideName(name));
}

/// `completion` would be an asynchronous procedure call, which threads here do not take.
BOOL SetWaitableTimer(HANDLE handle, const LARGE_INTEGER* due, LONG period, void* completion, void*, BOOL) {
  if (due == nullptr || period < 0) return failed(ERROR_INVALID_PARAMETER);
  if (completion != nullptr) return failed(ERROR_NOT_SUPPORTED);
  return with<Timer>(handle, sync::Kind::timer, [&](Timer& timer) {
    const os::Deadline when = deadline_of(due);
    timer.set(when.value_or(~std::uint64_t{0}), static_cast<std::uint64_t>(period) * 1'000'000);
    return TRUE;
  });
}

BOOL SetWaitableTimerEx(HANDLE handle, const LARGE_INTEGER* due, LONG period, void* completion,
                        void* argument, void*, ULONG) {
  return SetWaitableTimer(handle, due, period, completion, argument, FALSE);
}

BOOL CancelWaitableTimer(HANDLE handle) {
  return with<Timer>(handle, sync::Kind::timer, [](Timer& timer) { return timer.cancel(), TRUE; });
}

// ---- waiting ---------------------------------------------------------------------------------------------

DWORD WaitForSingleObjectEx(HANDLE handle, DWORD milliseconds, BOOL alertable) {
  auto object = waitable_of(handle);
  if (!object) return failed(object.error()), WAIT_FAILED;
  return wait_for(**object, deadline_of(milliseconds), alertable != FALSE);
}

DWORD WaitForSingleObject(HANDLE handle, DWORD milliseconds) {
  return WaitForSingleObjectEx(handle, milliseconds, FALSE);
}

NTSTATUS NtWaitForSingleObject(HANDLE handle, BOOLEAN alertable, const LARGE_INTEGER* timeout) {
  auto object = waitable_of(handle);
  if (!object) return nt(object.error());
  return static_cast<NTSTATUS>(wait_for(**object, deadline_of(timeout), alertable != 0));
}

DWORD WaitForMultipleObjectsEx(DWORD count, const HANDLE* handles, BOOL all, DWORD milliseconds,
                               BOOL alertable) {
  auto result = wait_for_many(count, handles, all != FALSE, deadline_of(milliseconds), alertable != FALSE);
  return result ? *result : (failed(result.error()), WAIT_FAILED);
}

DWORD WaitForMultipleObjects(DWORD count, const HANDLE* handles, BOOL all, DWORD milliseconds) {
  return WaitForMultipleObjectsEx(count, handles, all, milliseconds, FALSE);
}

NTSTATUS NtWaitForMultipleObjects(ULONG count, const HANDLE* handles, ULONG type, BOOLEAN alertable,
                                  const LARGE_INTEGER* timeout) {
  constexpr ULONG kWaitAll = 0;
  auto result = wait_for_many(count, handles, type == kWaitAll, deadline_of(timeout), alertable != 0);
  return result ? static_cast<NTSTATUS>(*result) : nt(result.error());
}

Result<void> signal(HANDLE handle) {
  auto object = object_of(handle);
  if (!object) return propagate(object);
  switch ((*object)->kind()) {
    case sync::Kind::event:
      static_cast<Event&>(**object).set();
      return {};
    case sync::Kind::mutex:
      return static_cast<Mutex&>(**object).release(thread::current_waiter());
    case sync::Kind::semaphore:
      if (auto released = static_cast<Semaphore&>(**object).release(1); !released) return propagate(released);
      return {};
    default:
      return fail({.kind = ErrorKind::invalid,
                   .status = STATUS_OBJECT_TYPE_MISMATCH,
                   .what = "only events, mutexes and semaphores can be signalled by handle"});
  }
}

DWORD SignalObjectAndWait(HANDLE to_signal, HANDLE to_wait, DWORD milliseconds, BOOL alertable) {
  auto object = waitable_of(to_wait);
  if (!object) return failed(object.error()), WAIT_FAILED;
  if (auto done = signal(to_signal); !done) return failed(done.error()), WAIT_FAILED;
  return wait_for(**object, deadline_of(milliseconds), alertable != FALSE);
}

// ---- time ------------------------------------------------------------------------------------------------

/// 0, or STATUS_USER_APC.
DWORD pass_time(os::Deadline deadline, bool alertable) {
  if (deadline && *deadline == 0 && !alertable) return sched_yield(), 0;
  const auto outcome = sync::wait({}, false, deadline, thread::current_waiter(), alertable);
  return outcome.kind == sync::WaitOutcome::Kind::alerted ? ended(outcome) : 0;
}

void Sleep(DWORD milliseconds) { (void)pass_time(deadline_of(milliseconds), false); }

DWORD SleepEx(DWORD milliseconds, BOOL alertable) {
  return pass_time(deadline_of(milliseconds), alertable != FALSE);
}

/// Whether another thread was switched to is not known on this host; yes, if there could be one.
BOOL SwitchToThread() { return sched_yield() == 0; }

NTSTATUS NtYieldExecution() {
  sched_yield();
  return STATUS_SUCCESS;
}

NTSTATUS NtDelayExecution(BOOLEAN alertable, const LARGE_INTEGER* interval) {
  return static_cast<NTSTATUS>(pass_time(deadline_of(interval), alertable != 0));
}

// ---- ntdll's events --------------------------------------------------------------------------------------

/// Names in ntdll are paths; the last part is what kernel32 calls the name.
std::u16string name_in(const OBJECT_ATTRIBUTES* attributes) {
  if (attributes == nullptr || attributes->ObjectName == nullptr) return {};
  const UNICODE_STRING& path = *attributes->ObjectName;
  const std::u16string_view text(path.Buffer, path.Length / sizeof(WCHAR));
  return std::u16string(text.substr(text.rfind(u'\\') + 1));
}

NTSTATUS NtCreateEvent(HANDLE* handle, DWORD, const OBJECT_ATTRIBUTES* attributes, ULONG type, BOOLEAN set) {
  constexpr ULONG OBJ_INHERIT = 2, OBJ_OPENIF = 0x80, kSynchronizationEvent = 1;
  if (type > kSynchronizationEvent) return nt(STATUS_INVALID_PARAMETER);
  const ULONG flags = attributes == nullptr ? 0 : attributes->Attributes;
  Ref<sync::Object> event = Ref<Event>::adopt(new Event(type != kSynchronizationEvent, set != 0));
  bool existed = false;
  if (const std::u16string name = name_in(attributes); !name.empty()) {
    auto entry = services().handles.names().claim(name, std::move(event));
    if (!entry) return nt(entry.error());
    existed = entry->existed;
    if (existed && (flags & OBJ_OPENIF) == 0) return nt(STATUS_OBJECT_NAME_COLLISION);
    event = std::move(entry->object);
  }
  auto inserted = services().handles.insert(std::move(event), (flags & OBJ_INHERIT) != 0);
  if (!inserted) return nt(inserted.error());
  *handle = guest_handle(*inserted);
  return existed ? STATUS_OBJECT_NAME_EXISTS : STATUS_SUCCESS;
}

/// Runs a change that hands back the state before, for the optional out parameter of ntdll.
template <class Change>
NTSTATUS change_event(HANDLE handle, LONG* previous, Change change) {
  auto event = borrow<Event>(handle, sync::Kind::event);
  if (!event) return nt(event.error());
  const bool before = change(**event);
  if (previous != nullptr) *previous = before;
  return STATUS_SUCCESS;
}

NTSTATUS NtSetEvent(HANDLE handle, LONG* previous) {
  return change_event(handle, previous, [](Event& event) { return event.set(); });
}

NTSTATUS NtResetEvent(HANDLE handle, LONG* previous) {
  return change_event(handle, previous, [](Event& event) { return event.reset(); });
}

NTSTATUS NtClearEvent(HANDLE handle) { return NtResetEvent(handle, nullptr); }

const Export kExports[] = {
    NATIVE(kKernel32, CancelWaitableTimer),
    NATIVE(kKernel32, CreateEventA),
    NATIVE(kKernel32, CreateEventExA),
    NATIVE(kKernel32, CreateEventExW),
    NATIVE(kKernel32, CreateEventW),
    NATIVE(kKernel32, CreateMutexA),
    NATIVE(kKernel32, CreateMutexExA),
    NATIVE(kKernel32, CreateMutexExW),
    NATIVE(kKernel32, CreateMutexW),
    NATIVE(kKernel32, CreateSemaphoreA),
    NATIVE(kKernel32, CreateSemaphoreExA),
    NATIVE(kKernel32, CreateSemaphoreExW),
    NATIVE(kKernel32, CreateSemaphoreW),
    NATIVE(kKernel32, CreateWaitableTimerA),
    NATIVE(kKernel32, CreateWaitableTimerExA),
    NATIVE(kKernel32, CreateWaitableTimerExW),
    NATIVE(kKernel32, CreateWaitableTimerW),
    NT_NATIVE(kNtdll, NtClearEvent),
    NT_NATIVE(kNtdll, NtCreateEvent),
    NT_NATIVE(kNtdll, NtDelayExecution),
    NT_NATIVE(kNtdll, NtResetEvent),
    NT_NATIVE(kNtdll, NtSetEvent),
    NT_NATIVE(kNtdll, NtWaitForMultipleObjects),
    NT_NATIVE(kNtdll, NtWaitForSingleObject),
    NT_NATIVE(kNtdll, NtYieldExecution),
    NATIVE(kKernel32, OpenEventA),
    NATIVE(kKernel32, OpenEventW),
    NATIVE(kKernel32, OpenMutexA),
    NATIVE(kKernel32, OpenMutexW),
    NATIVE(kKernel32, OpenSemaphoreA),
    NATIVE(kKernel32, OpenSemaphoreW),
    NATIVE(kKernel32, OpenWaitableTimerA),
    NATIVE(kKernel32, OpenWaitableTimerW),
    NATIVE(kKernel32, PulseEvent),
    NATIVE(kKernel32, ReleaseMutex),
    SYSTEM_CALL(kKernel32, ReleaseSemaphore),
    NATIVE(kKernel32, ResetEvent),
    NATIVE(kKernel32, SetEvent),
    NATIVE(kKernel32, SetWaitableTimer),
    NATIVE(kKernel32, SetWaitableTimerEx),
    NATIVE(kKernel32, SignalObjectAndWait),
    NATIVE(kKernel32, Sleep),
    NATIVE(kKernel32, SleepEx),
    NATIVE(kKernel32, SwitchToThread),
    NATIVE(kKernel32, WaitForMultipleObjects),
    NATIVE(kKernel32, WaitForMultipleObjectsEx),
    NATIVE(kKernel32, WaitForSingleObject),
    NATIVE(kKernel32, WaitForSingleObjectEx),
};

}  // namespace

std::span<const Export> synchapi_natives() { return kExports; }

}  // namespace bobbin::win32
