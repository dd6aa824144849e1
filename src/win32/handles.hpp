// What natives share that take handles: from a HANDLE to an object (the pseudo handles included), waits by
// the calling thread, and time as Windows counts it.
#pragma once

#include <string_view>

#include "sync/dispatcher.hpp"
#include "sync/handle_table.hpp"
#include "thread/thread.hpp"
#include "win32/native.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {

inline constexpr abi::DWORD INFINITE = 0xFFFFFFFFu;
inline constexpr abi::DWORD WAIT_FAILED = 0xFFFFFFFFu;

[[nodiscard]] inline sync::Handle handle_value(abi::HANDLE handle) {
  return reinterpret_cast<sync::Handle>(handle);
}
[[nodiscard]] inline abi::HANDLE guest_handle(sync::Handle handle) {
  return reinterpret_cast<abi::HANDLE>(handle);
}

/// A status as ntdll functions return it.
[[nodiscard]] inline abi::NTSTATUS nt(std::uint32_t status) { return static_cast<abi::NTSTATUS>(status); }
[[nodiscard]] inline abi::NTSTATUS nt(const Error& error) { return nt(error.status); }
[[nodiscard]] inline abi::NTSTATUS nt(const Result<void>& done) {
  return done ? nt(abi::STATUS_SUCCESS) : nt(done.error());
}

/// What ntdll functions are told of an object that they make or open.
struct OBJECT_ATTRIBUTES {
  abi::ULONG Length;
  abi::HANDLE RootDirectory;
  abi::UNICODE_STRING* ObjectName;
  abi::ULONG Attributes;
  abi::PVOID SecurityDescriptor;
  abi::PVOID SecurityQualityOfService;
};

/// GetCurrentProcess() and GetCurrentThread().
inline const abi::HANDLE kCurrentProcess = guest_handle(~sync::Handle{0});
inline const abi::HANDLE kCurrentThread = guest_handle(~sync::Handle{1});

/// The object behind a handle, for as long as a native works with it; used like a Result<Ref<T>>. A fault by
/// what the guest handed the native gives it back, too.
template <class T>
class [[nodiscard]] Borrowed final : thread::Held {
 public:
  Borrowed(sync::Ref<T> object) : found_(std::move(object)) {}
  Borrowed(Result<sync::Ref<T>>&& found) : found_(std::move(found)) {}
  Borrowed(std::unexpected<Error> error) : found_(std::move(error)) {}

  [[nodiscard]] explicit operator bool() const { return found_.has_value(); }
  [[nodiscard]] sync::Ref<T>& operator*() { return *found_; }
  [[nodiscard]] const sync::Ref<T>& operator*() const { return *found_; }
  [[nodiscard]] const sync::Ref<T>* operator->() const { return &*found_; }
  [[nodiscard]] const Error& error() const { return found_.error(); }
  [[nodiscard]] friend std::unexpected<Error> propagate(Borrowed& borrowed) {
    return bobbin::propagate(borrowed.found_);
  }

 private:
  void give_back() noexcept override {
    if (found_) *found_ = {};
  }
  Result<sync::Ref<T>> found_;
};

/// The object behind a handle.
template <class T>
[[nodiscard]] Borrowed<T> borrow(abi::HANDLE handle, sync::Kind kind) {
  return services().handles.get<T>(handle_value(handle), kind);
}
/// The object behind a handle or a pseudo handle.
[[nodiscard]] Result<sync::Ref<sync::Object>> find_object(abi::HANDLE handle);
[[nodiscard]] inline Borrowed<sync::Object> object_of(abi::HANDLE handle) { return find_object(handle); }
/// The same as something to wait for; STATUS_OBJECT_TYPE_MISMATCH if it is not.
[[nodiscard]] Borrowed<sync::Waitable> waitable_of(abi::HANDLE handle);

/// A handle for a new object as CreateX(SECURITY_ATTRIBUTES*, ...) hands it out, or NULL and last error.
[[nodiscard]] abi::HANDLE new_handle(sync::Ref<sync::Object> object,
                                     const abi::SECURITY_ATTRIBUTES* attributes);
/// The same for an object that may have a name (nullptr or empty: none); last error is ERROR_ALREADY_EXISTS
/// if the handle is for one that had it before, else 0.
[[nodiscard]] abi::HANDLE new_named_handle(sync::Ref<sync::Object> object, const char16_t* name,
                                           const abi::SECURITY_ATTRIBUTES* attributes);
/// OpenX(..., name): a handle for the object of that name and kind, or NULL and last error.
[[nodiscard]] abi::HANDLE open_named(const char16_t* name, sync::Kind kind, bool inheritable);

/// A timeout in milliseconds (INFINITE: none) from now; 0 gives 0, which polls without reading a clock.
[[nodiscard]] os::Deadline deadline_of(abi::DWORD milliseconds);
/// A timeout as ntdll takes it: null for ever, negative from now, positive a system time; 100 ns each.
[[nodiscard]] os::Deadline deadline_of(const abi::LARGE_INTEGER* timeout);

/// WAIT_OBJECT_0 + n, WAIT_ABANDONED_0 + n or WAIT_TIMEOUT, which are NTSTATUS values as well.
[[nodiscard]] abi::DWORD wait_code(sync::WaitOutcome outcome);

/// The same for a wait of the calling thread that has just ended; runs what it was alerted for first.
[[nodiscard]] abi::DWORD ended(sync::WaitOutcome outcome);
/// Calls all asynchronous procedures that the calling thread was asked for.
void run_apcs();

/// Waits for one object as WaitForSingleObject does.
[[nodiscard]] abi::DWORD wait_for(sync::Waitable& object, os::Deadline deadline, bool alertable = false);
/// Waits for any or all of 1 to 64 handles as WaitForMultipleObjects does.
[[nodiscard]] Result<abi::DWORD> wait_for_many(abi::DWORD count, const abi::HANDLE* handles, bool all,
                                               os::Deadline deadline, bool alertable);

}  // namespace bobbin::win32
