// ntldr.h: the loader lock, who hears of modules that come and go, and the two halves of an exit that guests
// call by themselves. (Loading and finding modules is in libloaderapi.cpp.)
#include "abi/status.hpp"
#include "loader/loader.hpp"
#include "sync/critical_section.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- the loader lock (specification 6.3) -----------------------------------------------------------------

enum : ULONG { LDR_LOCK_LOADER_LOCK_FLAG_RAISE_ON_ERRORS = 1, LDR_LOCK_LOADER_LOCK_FLAG_TRY_ONLY = 2 };
enum : ULONG { LDR_LOCK_LOADER_LOCK_DISPOSITION_INVALID = 0, kAcquired = 1, kNotAcquired = 2 };

/// A cookie holds the low 12 bits of the owner's id above a counter of 16 bits, which is never 0.
constexpr ULONG_PTR kCookieBits = 0x0FFFFFFF;
ULONG_PTR owner_bits(std::uint32_t thread_id) { return ULONG_PTR{thread_id & 0xFFF} << 16; }

ULONG_PTR new_cookie(std::uint32_t thread_id) {
  static constinit std::atomic<std::uint16_t> last{0};
  std::uint16_t number = ++last;
  while (number == 0) number = ++last;
  return owner_bits(thread_id) | number;
}

/// Errors are returned, be raising them asked for or not: exceptions come with part 4/4.
NTSTATUS LdrLockLoaderLock(ULONG flags, ULONG* disposition, ULONG_PTR* cookie) {
  constexpr ULONG kKnown = LDR_LOCK_LOADER_LOCK_FLAG_RAISE_ON_ERRORS | LDR_LOCK_LOADER_LOCK_FLAG_TRY_ONLY;
  const bool try_only = (flags & LDR_LOCK_LOADER_LOCK_FLAG_TRY_ONLY) != 0;
  if (disposition != nullptr) *disposition = LDR_LOCK_LOADER_LOCK_DISPOSITION_INVALID;
  if (cookie != nullptr) *cookie = 0;
  if ((flags & ~kKnown) != 0) return nt(STATUS_INVALID_PARAMETER_1);
  if (try_only && disposition == nullptr) return nt(STATUS_INVALID_PARAMETER_2);
  if (cookie == nullptr) return nt(STATUS_INVALID_PARAMETER_3);
  RTL_CRITICAL_SECTION& lock = services().loader.lock();
  sync::Waiter& self = thread::current_waiter();
  const bool entered = try_only ? sync::try_enter(lock, self) : sync::enter(lock, self);
  if (disposition != nullptr) *disposition = entered ? kAcquired : kNotAcquired;
  if (entered) *cookie = new_cookie(self.thread_id);
  return STATUS_SUCCESS;
}

NTSTATUS LdrUnlockLoaderLock(ULONG flags, ULONG_PTR cookie) {
  if ((flags & ~ULONG{LDR_LOCK_LOADER_LOCK_FLAG_RAISE_ON_ERRORS}) != 0) return nt(STATUS_INVALID_PARAMETER_1);
  if (cookie == 0) return STATUS_SUCCESS;
  RTL_CRITICAL_SECTION& lock = services().loader.lock();
  const std::uint32_t self = thread::current_waiter().thread_id;
  const bool own = (cookie & ~ULONG_PTR{0xFFFF} & kCookieBits) == owner_bits(self);
  if ((cookie & ~kCookieBits) != 0 || !own || !sync::is_entered_by(lock, self))
    return nt(STATUS_INVALID_PARAMETER_2);
  sync::leave(lock);
  return STATUS_SUCCESS;
}

// ---- modules that come and go ----------------------------------------------------------------------------

NTSTATUS LdrRegisterDllNotification(ULONG flags, PVOID callback, PVOID context, PVOID* cookie) {
  if (flags != 0 || callback == nullptr || cookie == nullptr) return nt(STATUS_INVALID_PARAMETER);
  *cookie = reinterpret_cast<PVOID>(services().loader.watch_modules(callback, context));
  return STATUS_SUCCESS;
}

NTSTATUS LdrUnregisterDllNotification(PVOID cookie) {
  const auto number = reinterpret_cast<std::uint64_t>(cookie);
  return nt(services().loader.unwatch_modules(number) ? STATUS_SUCCESS : STATUS_DLL_NOT_FOUND);
}

// ---- exits, by halves ------------------------------------------------------------------------------------

void LdrShutdownThread() { services().threads.shut_down_current(); }
void LdrShutdownProcess() { services().loader.shut_down(); }

const Export kExports[] = {
    NT_NATIVE(kNtdll, LdrLockLoaderLock),   NT_NATIVE(kNtdll, LdrRegisterDllNotification),
    NATIVE(kNtdll, LdrShutdownProcess),     NATIVE(kNtdll, LdrShutdownThread),
    NT_NATIVE(kNtdll, LdrUnlockLoaderLock), NT_NATIVE(kNtdll, LdrUnregisterDllNotification),
};

}  // namespace

std::span<const Export> ntldr_natives() { return kExports; }

}  // namespace bobbin::win32
