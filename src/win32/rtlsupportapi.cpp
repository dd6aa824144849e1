// rtlsupportapi.h and errhandlingapi.h's RaiseException: what concerns a thread's registers and its frames.
//
// Looking functions up and taking register sets works. Unwinding comes with part 4/4: until then a raised
// exception reaches vectored handlers and the top-level filter only, and longjmp runs no handlers on its way.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>

#include "abi/exception.hpp"
#include "arch/x86_64/context.hpp"
#include "loader/guard.hpp"
#include "loader/loader.hpp"
#include "seh/handlers.hpp"
#include "win32/guest_callback.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

RUNTIME_FUNCTION* RtlLookupFunctionEntry(DWORD64 pc, DWORD64* base, PVOID /*history*/) {
  const auto module = services().loader.find_by_address(reinterpret_cast<const void*>(pc));
  if (!module || !module->image) return nullptr;
  const auto range = module->image->in_memory.directory(pe::Directory::exceptions);
  if (range.size < sizeof(RUNTIME_FUNCTION) || !module->image->in_memory.at(range.rva, range.size))
    return nullptr;
  *base = reinterpret_cast<DWORD64>(module->base());
  const auto rva = static_cast<DWORD>(pc - *base);
  const std::span<RUNTIME_FUNCTION> rows(
      reinterpret_cast<RUNTIME_FUNCTION*>(module->base() + range.rva.value),
      range.size / sizeof(RUNTIME_FUNCTION));
  const auto after = std::ranges::upper_bound(rows, rva, {}, &RUNTIME_FUNCTION::BeginAddress);
  if (after == rows.begin()) return nullptr;
  RUNTIME_FUNCTION& row = *(after - 1);
  return rva < row.EndAddress ? &row : nullptr;
}

void RtlRestoreContext(CONTEXT* context, EXCEPTION_RECORD*) {
  // Leaves this native for good: what its scope would do at its end is done here.
  const CONTEXT next = *context;
  thread::Place& place = thread::current_place();
  place.where.store(thread::Where::guest, std::memory_order_relaxed);
  if (place.requests.load(std::memory_order_relaxed) != 0) thread::serve_requests(place);
  arch::bobbin_restore_context(&next);
}

/// Vectored handlers, then the top-level filter. True if one of them said to go on.
bool offer(EXCEPTION_RECORD& record, CONTEXT& context) {
  EXCEPTION_POINTERS pointers{&record, &context};
  using Handler = BOBBIN_MS_ABI LONG (*)(EXCEPTION_POINTERS*);
  for (const seh::GuestHandler handler : seh::exception_handlers().in_order()) {
    if (call_guest(reinterpret_cast<Handler>(handler), &pointers) == EXCEPTION_CONTINUE_EXECUTION)
      return true;
  }
  const seh::GuestHandler filter = seh::unhandled_filter().load();
  return filter != nullptr &&
         call_guest(reinterpret_cast<Handler>(filter), &pointers) == EXCEPTION_CONTINUE_EXECUTION;
}

void raise(EXCEPTION_RECORD& record) {
  CONTEXT context{};
  context.ContextFlags = CONTEXT_CONTROL;
  context.Rip = thread::current_place().guest_rip;
  context.Rsp = thread::current_place().guest_rsp;
  if (offer(record, context) && (record.ExceptionFlags & EXCEPTION_NONCONTINUABLE) == 0) return;
  if (const auto module = services().loader.find_by_address(record.ExceptionAddress)) {
    std::fprintf(stderr, "bobbin: unhandled exception 0x%08X at %s+0x%llx\n", record.ExceptionCode,
                 module->name.c_str(),
                 static_cast<unsigned long long>(context.Rip - reinterpret_cast<ULONG64>(module->base())));
  } else {
    std::fprintf(stderr, "bobbin: unhandled exception 0x%08X at 0x%llx, in no module\n", record.ExceptionCode,
                 static_cast<unsigned long long>(context.Rip));
  }
  services().loader.terminate_process(record.ExceptionCode);
}

void RaiseException(DWORD code, DWORD flags, DWORD count, const ULONG_PTR* arguments) {
  EXCEPTION_RECORD record{};
  record.ExceptionCode = code & ~0x10000000u;  // the bit is the system's
  record.ExceptionFlags = flags & EXCEPTION_NONCONTINUABLE;
  record.ExceptionAddress = reinterpret_cast<PVOID>(thread::current_place().guest_rip);
  if (arguments != nullptr) {
    record.NumberParameters = std::min(count, EXCEPTION_MAXIMUM_PARAMETERS);
    std::copy_n(arguments, record.NumberParameters, record.ExceptionInformation);
  }
  raise(record);
}

void RtlRaiseException(EXCEPTION_RECORD* record) { raise(*record); }

/// longjmp: the registers are in the jump buffer.
void jump(const JUMP_BUFFER& buffer, ULONG64 value) {
  CONTEXT context;
  arch::bobbin_capture_context(&context);
  context.Rax = value;
  context.Rbx = buffer.Rbx;
  context.Rsp = buffer.Rsp;
  context.Rbp = buffer.Rbp;
  context.Rsi = buffer.Rsi;
  context.Rdi = buffer.Rdi;
  context.R12 = buffer.R12;
  context.R13 = buffer.R13;
  context.R14 = buffer.R14;
  context.R15 = buffer.R15;
  context.Rip = buffer.Rip;
  std::memcpy(context.FltSave + 24, &buffer.MxCsr, sizeof buffer.MxCsr);
  std::memcpy(context.FltSave + 160 + 6 * 16, buffer.Xmm6ToXmm15, sizeof buffer.Xmm6ToXmm15);
  RtlRestoreContext(&context, nullptr);
}

void RtlUnwindEx(PVOID, PVOID target, EXCEPTION_RECORD* record, PVOID value, CONTEXT*, PVOID) {
  if (record != nullptr && record->ExceptionCode == STATUS_LONGJUMP && record->NumberParameters >= 1) {
    jump(*reinterpret_cast<const JUMP_BUFFER*>(record->ExceptionInformation[0]),
         reinterpret_cast<ULONG64>(value));
  }
  std::fprintf(stderr, "bobbin: unwinding to %p is not possible yet; the guest is ended\n", target);
  services().loader.terminate_process(STATUS_NOT_SUPPORTED);
}

void RtlUnwind(PVOID frame, PVOID target, EXCEPTION_RECORD* record, PVOID value) {
  RtlUnwindEx(frame, target, record, value, nullptr, nullptr);
}

PVOID RtlVirtualUnwind(DWORD, DWORD64, DWORD64, RUNTIME_FUNCTION*, CONTEXT*, PVOID*, DWORD64*, PVOID) {
  std::fprintf(stderr, "bobbin: unwinding is not possible yet; the guest is ended\n");
  services().loader.terminate_process(STATUS_NOT_SUPPORTED);
  return nullptr;
}

/// The handler of __try blocks; nobody dispatches to it yet. 1 is ExceptionContinueSearch.
int __C_specific_handler(EXCEPTION_RECORD*, PVOID, CONTEXT*, PVOID) { return 1; }

constexpr std::uint16_t kBoth = kKernel32 | kNtdll;

const Export kExports[] = {
    PARTIAL(kKernel32, RaiseException,
            "reaches vectored handlers and the top-level filter; frames' handlers come later"),
    HOT_AS(kBoth, "RtlCaptureContext", arch::bobbin_capture_context),
    NATIVE(kBoth, RtlLookupFunctionEntry),
    PARTIAL(kNtdll, RtlRaiseException,
            "reaches vectored handlers and the top-level filter; frames' handlers come later"),
    NATIVE(kBoth, RtlRestoreContext),
    PARTIAL(kBoth, RtlUnwind, "serves longjmp only, and runs no handlers on its way"),
    PARTIAL(kBoth, RtlUnwindEx, "serves longjmp only, and runs no handlers on its way"),
    PARTIAL(kBoth, RtlVirtualUnwind, "ends the guest: unwinding comes later"),
    PARTIAL(kBoth, __C_specific_handler, "finds no handler: dispatch comes later"),
};

}  // namespace

std::span<const Export> rtlsupportapi_natives() { return kExports; }

}  // namespace bobbin::win32
