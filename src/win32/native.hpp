// How a C++ function becomes a Windows function.
//
// A native is written as an ordinary C++ function with the Windows name and signature, in the file of its API
// header (fileapi.cpp, synchapi.cpp, ...), inside an anonymous namespace, and listed in that file's table:
//
//     BOOL CloseHandle(HANDLE handle) {
//       auto closed = services().handles.close(handle_value(handle));
//       return closed ? TRUE : failed(closed.error());
//     }
//     const Export kExports[] = {NATIVE(kKernel32, CloseHandle), ...};
//     std::span<const Export> handleapi_natives() { return kExports; }
//
// NATIVE wraps it in an ms_abi entry that opens a NativeScope (a stop request waits for the native to end)
// and turns bad_alloc into ERROR_NOT_ENOUGH_MEMORY. The guest's import table points straight at that entry.
// Where a pointer that the guest handed over is bad, the guest sees an exception at its call, and the native
// is left where it stands, without destructors (seh/signals.cpp): so none holds a lock of ours while it
// touches the guest's memory, and what owns more than memory touches it first. Functions that on Windows hand
// all such pointers to a system call are listed with SYSTEM_CALL: there it is the kernel that meets the bad
// pointer, so they answer ERROR_NOACCESS. It looks before it does anything, and so do they:
// probe_for_write().
// A hot leaf native (no lock, no allocation, no SysV call on its fast path, or ten xmm registers must be
// saved) is written as an ms_abi function itself and listed with HOT. A function that programs call all the
// time can have a fast path in assembly before it, and is listed with FAST. A function that does only part of
// its job is listed with PARTIAL and a reason: README and `bobbin doctor` show it, and it says so on stderr,
// once, when it is called.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

#include "abi/status.hpp"
#include "abi/teb.hpp"
#include "arch/x86_64/fast_paths.hpp"
#include "base/error.hpp"
#include "loader/native_modules.hpp"
#include "thread/scope.hpp"

namespace bobbin::win32 {

/// Which DLLs export a name. kKernel32 names are exported by kernelbase as well, as on Windows.
enum Dll : std::uint16_t {
  kKernel32 = 1,
  kNtdll = 2,
  kAdvapi32 = 4,
  kUser32 = 8,
  kWs2_32 = 16,
  kShell32 = 32,
  kOle32 = 64,
  kOleAut32 = 128,
  kBcrypt = 256,
  kBcryptPrimitives = 512,
  kUserenv = 1024,
  kDnsapi = 2048,
  kIphlpapi = 4096,
  kShlwapi = 8192,
  kMswsock = 16384,
};

/// One exported function (loader/native_modules.hpp); `dlls` is a set of Dll.
using Export = loader::NativeExport;

inline void set_last_error(std::uint32_t code) { abi::current_teb()->LastErrorValue = code; }

/// Sets last error, from a Win32 number or from an internal failure; `return failed(x.error());` gives a
/// FALSE or 0, `return failed(ERROR_X, answer);` what else stands for failure.
template <class T = int>
T failed(std::uint32_t code, T answer = {}) {
  set_last_error(code);
  return answer;
}
template <class T = int>
T failed(const Error& error, T answer = {}) {
  return failed(abi::win32_error(error.status), answer);
}
/// TRUE, or FALSE and last error.
inline abi::BOOL done(const Result<void>& result) { return result ? abi::TRUE : failed(result.error()); }

/// Faults now, rather than when something has been done, if the guest's memory cannot be written.
inline void probe_for_write(void* at, std::size_t size) {
  constexpr std::size_t kPage = 4096;
  auto* const bytes = static_cast<volatile std::byte*>(at);
  for (std::size_t i = 0; i < size; i += kPage) bytes[i] = bytes[i];
  if (size != 0) bytes[size - 1] = bytes[size - 1];
}
/// The same for what a function is to put out; nothing at nullptr.
template <class T>
void probe_for_write(T* out) {
  if (out != nullptr) probe_for_write(out, sizeof *out);
}

/// Says on stderr, once per name, that a PARTIAL native was called.
void report_partial(const char* name, const char* what_is_missing);

template <auto Function, std::uint32_t OnNoMemory>
struct Entry;

template <class R, class... A, R (*Function)(A...), std::uint32_t OnNoMemory>
struct Entry<Function, OnNoMemory> {
  // Not inlined into a leaf that goes on here: the leaf would save what only this saves, and the return
  // address would be somebody else's.
  [[gnu::noinline]] BOBBIN_MS_ABI static R call(A... arguments) noexcept {
    const thread::NativeScope scope(reinterpret_cast<std::uint64_t>(__builtin_return_address(0)),
                                    reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)) + 16,
                                    thread::Where::native);
    try {
      return Function(arguments...);
    } catch (const std::bad_alloc&) {
      set_last_error(abi::ERROR_NOT_ENOUGH_MEMORY);
      if constexpr (!std::is_void_v<R>) {
        if constexpr (std::is_integral_v<R>)
          return static_cast<R>(OnNoMemory);
        else
          return R{};
      }
    }
  }
};

/// A string as a template argument.
template <std::size_t N>
struct FixedString {
  char text[N];
  constexpr FixedString(const char (&from)[N]) { std::copy_n(from, N, text); }
};

template <auto Function, FixedString Name, FixedString Missing>
struct PartialEntry;

template <class R, class... A, R (*Function)(A...), FixedString Name, FixedString Missing>
struct PartialEntry<Function, Name, Missing> {
  static R announced(A... arguments) {
    if constexpr (std::is_same_v<R, abi::BOOL>) {
      // FALSE is a failure, which has said for itself that nothing was done.
      const R result = Function(arguments...);
      if (result != abi::FALSE) report_partial(Name.text, Missing.text);
      return result;
    } else {
      report_partial(Name.text, Missing.text);
      return Function(arguments...);
    }
  }
};

}  // namespace bobbin::win32

/// A kernel32-style function: 0, FALSE or NULL (and last error 8) when memory runs out.
#define NATIVE(dlls, function) \
  {#function, reinterpret_cast<void*>(&::bobbin::win32::Entry<&function, 0>::call), dlls}
/// A kernel32-style function that programs import by its ordinal.
#define NATIVE_AT(dlls, function, ordinal)                                                                  \
  {#function, reinterpret_cast<void*>(&::bobbin::win32::Entry<&function, 0>::call), dlls, nullptr, nullptr, \
   ordinal}
/// A kernel32-style function all of whose pointers are the kernel's to read and to write: FALSE or 0, and
/// ERROR_NOACCESS, where one is bad.
#define SYSTEM_CALL(from, function)                                                 \
  {.name = #function,                                                               \
   .address = reinterpret_cast<void*>(&::bobbin::win32::Entry<&function, 0>::call), \
   .dlls = from,                                                                    \
   .system_call = true}
/// An ntdll-style function: STATUS_NO_MEMORY when memory runs out.
#define NT_NATIVE(dlls, function) \
  {#function,                     \
   reinterpret_cast<void*>(&::bobbin::win32::Entry<&function, ::bobbin::abi::STATUS_NO_MEMORY>::call), dlls}
/// A kernel32-style function with a fast path (arch/x86_64/fast_paths.hpp) before it.
#define FAST(dlls, function) FAST_AS(dlls, #function, function, function)
/// The same under another name than its C++ one.
#define FAST_AS(dlls, name, function, path)                                                   \
  {name, reinterpret_cast<void*>(&::bobbin::win32::Entry<&function, 0>::call), dlls, nullptr, \
   &::bobbin::arch::bobbin_fast_##path}
/// The same for a function that is itself ms_abi.
#define HOT_FAST(dlls, function) \
  {#function, reinterpret_cast<void*>(&function), dlls, nullptr, &::bobbin::arch::bobbin_fast_##function}
/// A leaf that is itself ms_abi.
#define HOT(dlls, function) {#function, reinterpret_cast<void*>(&function), dlls}
/// The same under another name than its C++ one.
#define HOT_AS(dlls, name, function) {name, reinterpret_cast<void*>(&function), dlls}
/// Does part of its job; `what` says what it leaves out.
#define PARTIAL(dlls, function, what)                                                                 \
  {#function,                                                                                         \
   reinterpret_cast<void*>(                                                                           \
       &::bobbin::win32::Entry<&::bobbin::win32::PartialEntry<&function, #function, what>::announced, \
                               0>::call),                                                             \
   dlls, what}
