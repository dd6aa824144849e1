// handleapi.h: closing, duplicating and describing handles, and ntdll's NtClose and NtDuplicateObject.
#include "win32/handles.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : DWORD { DUPLICATE_CLOSE_SOURCE = 1, DUPLICATE_SAME_ACCESS = 2 };
enum : DWORD { HANDLE_FLAG_INHERIT = 1, HANDLE_FLAG_PROTECT_FROM_CLOSE = 2 };

bool is_pseudo(HANDLE handle) { return handle == kCurrentProcess || handle == kCurrentThread; }

Result<void> close(HANDLE handle) {
  if (is_pseudo(handle)) return {};  // closing a pseudo handle does nothing, successfully
  return services().handles.close(handle_value(handle));
}

BOOL CloseHandle(HANDLE handle) {
  auto closed = close(handle);
  return closed ? TRUE : failed(closed.error());
}

NTSTATUS NtClose(HANDLE handle) { return nt(close(handle)); }

/// A handle to the guest's own process is all that can stand where one to a process is asked for.
Result<void> must_be_current_process(HANDLE process) {
  if (process == kCurrentProcess) return {};
  auto object = object_of(process);
  if (!object) return propagate(object);
  auto current = object_of(kCurrentProcess);
  if (current && object->get() == current->get()) return {};
  return fail({.kind = ErrorKind::unsupported,
               .status = STATUS_NOT_SUPPORTED,
               .what = "a handle cannot be duplicated from or into another process"});
}

Result<void> duplicate(HANDLE source_process, HANDLE source, HANDLE target_process, HANDLE* target,
                       bool inherit, DWORD options) {
  probe_for_write(target);
  if (auto checked = must_be_current_process(source_process); !checked) return checked;
  auto object = object_of(source);
  if (!object) return propagate(object);
  // A source that is to be closed is closed even if the rest fails, and there may be no target at all.
  if ((options & DUPLICATE_CLOSE_SOURCE) != 0) (void)close(source);
  if (target == nullptr) return {};
  if (auto checked = must_be_current_process(target_process); !checked) return checked;
  auto handle = services().handles.insert(std::move(*object), inherit);
  if (!handle) return propagate(handle);
  *target = guest_handle(*handle);
  return {};
}

BOOL DuplicateHandle(HANDLE source_process, HANDLE source, HANDLE target_process, HANDLE* target, DWORD,
                     BOOL inherit, DWORD options) {
  auto done = duplicate(source_process, source, target_process, target, inherit != FALSE, options);
  return done ? TRUE : failed(done.error());
}

NTSTATUS NtDuplicateObject(HANDLE source_process, HANDLE source, HANDLE target_process, HANDLE* target, DWORD,
                           ULONG attributes, ULONG options) {
  constexpr ULONG OBJ_INHERIT = 2;
  auto done =
      duplicate(source_process, source, target_process, target, (attributes & OBJ_INHERIT) != 0, options);
  return nt(done);
}

BOOL GetHandleInformation(HANDLE handle, DWORD* flags) {
  if (is_pseudo(handle)) return *flags = 0, TRUE;
  auto inheritable = services().handles.inheritable(handle_value(handle));
  if (!inheritable) return failed(inheritable.error());
  auto protected_ = services().handles.protected_from_close(handle_value(handle));
  *flags = (*inheritable ? HANDLE_FLAG_INHERIT : 0u) |
           (protected_ && *protected_ ? HANDLE_FLAG_PROTECT_FROM_CLOSE : 0u);
  return TRUE;
}

BOOL SetHandleInformation(HANDLE handle, DWORD mask, DWORD flags) {
  if ((mask & ~(HANDLE_FLAG_INHERIT | HANDLE_FLAG_PROTECT_FROM_CLOSE)) != 0) {
    return failed(ERROR_INVALID_PARAMETER);
  }
  sync::HandleTable& handles = services().handles;
  Result<void> done;
  if ((mask & HANDLE_FLAG_INHERIT) != 0) {
    done = handles.set_inheritable(handle_value(handle), (flags & HANDLE_FLAG_INHERIT) != 0);
  }
  if (done && (mask & HANDLE_FLAG_PROTECT_FROM_CLOSE) != 0) {
    done = handles.protect_from_close(handle_value(handle), (flags & HANDLE_FLAG_PROTECT_FROM_CLOSE) != 0);
  }
  return done ? TRUE : failed(done.error());
}

BOOL CompareObjectHandles(HANDLE one, HANDLE other) {
  auto first = object_of(one);
  if (!first) return failed(first.error());
  auto second = object_of(other);
  if (!second) return failed(second.error());
  if (first->get() == second->get()) return TRUE;
  return failed(ERROR_NOT_SAME_OBJECT);
}

const Export kExports[] = {
    NATIVE(kKernel32, CloseHandle),
    NATIVE(kKernel32, CompareObjectHandles),
    SYSTEM_CALL(kKernel32, DuplicateHandle),
    NATIVE(kKernel32, GetHandleInformation),
    NT_NATIVE(kNtdll, NtClose),
    NT_NATIVE(kNtdll, NtDuplicateObject),
    NATIVE(kKernel32, SetHandleInformation),
};

}  // namespace

std::span<const Export> handleapi_natives() { return kExports; }

}  // namespace bobbin::win32
