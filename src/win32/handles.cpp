#include "win32/handles.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "process/child.hpp"
#include "thread/guest_call.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using sync::Object;
using sync::Ref;
using sync::Waitable;

/// The guest's own process: what GetCurrentProcess() means. Nobody lives to see it signalled.
Ref<Object> current_process() {
  static const Ref<Object> process =
      Ref<process::ProcessObject>::adopt(new process::ProcessObject(os::process_id()));
  return process;
}

/// The objects of a wait on many, held while it lasts.
struct Many {
  std::array<Ref<Waitable>, sync::kMaximumWaitObjects> held;
  std::array<Waitable*, sync::kMaximumWaitObjects> objects;
};

HANDLE give(Result<sync::Handle> handle) {
  if (handle) return guest_handle(*handle);
  return failed(handle.error(), nullptr);
}

}  // namespace

Result<Ref<Object>> find_object(HANDLE handle) {
  if (handle == kCurrentThread) return Ref<Object>(&thread::current());
  if (handle == kCurrentProcess) return current_process();
  return services().handles.get(handle_value(handle));
}

Borrowed<Waitable> waitable_of(HANDLE handle) {
  auto object = find_object(handle);
  if (!object) return propagate(object);
  Waitable* const waitable = (*object)->as_waitable();
  if (waitable != nullptr) return Ref<Waitable>(waitable);
  return fail({.kind = ErrorKind::invalid,
               .status = STATUS_OBJECT_TYPE_MISMATCH,
               .what = "the handle names an object that cannot be waited for"});
}

HANDLE new_handle(Ref<Object> object, const SECURITY_ATTRIBUTES* attributes) {
  return give(
      services().handles.insert(std::move(object), attributes != nullptr && attributes->bInheritHandle));
}

HANDLE new_named_handle(Ref<Object> object, const char16_t* name, const SECURITY_ATTRIBUTES* attributes) {
  bool existed = false;
  if (name != nullptr && *name != 0) {
    auto entry = services().handles.names().claim(name, std::move(object));
    if (!entry) return failed(entry.error(), nullptr);
    existed = entry->existed;
    object = std::move(entry->object);
  }
  const HANDLE handle = new_handle(std::move(object), attributes);
  if (handle != nullptr) set_last_error(existed ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
  return handle;
}

HANDLE open_named(const char16_t* name, sync::Kind kind, bool inheritable) {
  if (name == nullptr) return failed(ERROR_INVALID_PARAMETER, nullptr);
  auto object = services().handles.names().find(name, kind);
  if (!object) return failed(object.error(), nullptr);
  return give(services().handles.insert(std::move(*object), inheritable));
}

os::Deadline deadline_of(DWORD milliseconds) {
  if (milliseconds == INFINITE) return std::nullopt;
  return milliseconds == 0 ? os::Deadline(0) : sync::deadline_after(milliseconds * std::uint64_t{1'000'000});
}

os::Deadline deadline_of(const LARGE_INTEGER* timeout) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0} / 100;
  if (timeout == nullptr) return std::nullopt;
  if (timeout->QuadPart == 0) return 0;
  const std::uint64_t now = timeout->QuadPart < 0 ? 0 : os::system_time_now();
  const auto units = timeout->QuadPart < 0 ? 0 - static_cast<std::uint64_t>(timeout->QuadPart)
                                           : static_cast<std::uint64_t>(timeout->QuadPart);
  if (units <= now) return 0;
  return units - now > kMost ? std::nullopt : sync::deadline_after((units - now) * 100);
}

DWORD wait_code(sync::WaitOutcome outcome) {
  using enum sync::WaitOutcome::Kind;
  switch (outcome.kind) {
    case satisfied:
      return STATUS_WAIT_0 + outcome.index;
    case abandoned:
      return STATUS_ABANDONED_WAIT_0 + outcome.index;
    case timed_out:
      return STATUS_TIMEOUT;
    case alerted:
      return STATUS_USER_APC;
    case interrupted:
      break;  // nobody reads it: the thread is served its stop at the native's end
  }
  return STATUS_THREAD_IS_TERMINATING;
}

DWORD wait_for(Waitable& object, os::Deadline deadline, bool alertable) {
  if (loader::Lint* lint = services().loader.lint()) {
    Waitable* const objects[] = {&object};
    lint->waits(objects, true, deadline);
  }
  return ended(sync::wait(object, deadline, thread::current_waiter(), alertable));
}

Result<DWORD> wait_for_many(DWORD count, const HANDLE* handles, bool all, os::Deadline deadline,
                            bool alertable) {
  if (count == 0 || count > sync::kMaximumWaitObjects) {
    return fail({.kind = ErrorKind::invalid,
                 .status = STATUS_INVALID_PARAMETER_1,
                 .what = "a wait takes 1 to 64 handles"});
  }
  std::array<HANDLE, sync::kMaximumWaitObjects> given;  // before anything is held
  std::copy_n(handles, count, given.begin());
  Many many;
  for (DWORD i = 0; i < count; ++i) {
    auto object = waitable_of(given[i]);
    if (!object) return propagate(object);
    many.held[i] = std::move(*object);
    many.objects[i] = many.held[i].get();
    if (all && std::find(many.objects.begin(), many.objects.begin() + i, many.objects[i]) !=
                   many.objects.begin() + i) {
      return fail({.kind = ErrorKind::invalid,
                   .status = STATUS_INVALID_PARAMETER_MIX,
                   .what = "a wait for all names an object twice"});
    }
  }
  if (loader::Lint* lint = services().loader.lint()) lint->waits({many.objects.data(), count}, all, deadline);
  return ended(sync::wait({many.objects.data(), count}, all, deadline, thread::current_waiter(), alertable));
}

DWORD ended(sync::WaitOutcome outcome) {
  if (outcome.kind == sync::WaitOutcome::Kind::alerted) run_apcs();
  return wait_code(outcome);
}

void run_apcs() {
  while (const auto apc = sync::take_apc(thread::current_waiter())) {
    const auto& [first, second, third, fourth] = apc->arguments;
    if (!thread::call_guest<void(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t)>(
            apc->routine, first, second, third, fourth)) {
      return;  // the guest has ended
    }
  }
}

}  // namespace bobbin::win32
