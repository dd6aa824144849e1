// profileapi.h: the performance counter, at 10 MHz as on Windows 10 and later.
#include "os/os.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr LONGLONG kFrequency = 10'000'000;

LONGLONG counter() { return static_cast<LONGLONG>(os::monotonic_now() / (1'000'000'000 / kFrequency)); }

BOBBIN_MS_ABI BOOL QueryPerformanceCounter(LARGE_INTEGER* count) {
  count->QuadPart = counter();
  return TRUE;
}

BOBBIN_MS_ABI BOOL QueryPerformanceFrequency(LARGE_INTEGER* frequency) {
  frequency->QuadPart = kFrequency;
  return TRUE;
}

BOBBIN_MS_ABI BOOL RtlQueryPerformanceCounter(LARGE_INTEGER* count) { return QueryPerformanceCounter(count); }
BOBBIN_MS_ABI BOOL RtlQueryPerformanceFrequency(LARGE_INTEGER* frequency) {
  return QueryPerformanceFrequency(frequency);
}

BOBBIN_MS_ABI NTSTATUS NtQueryPerformanceCounter(LARGE_INTEGER* count, LARGE_INTEGER* frequency) {
  if (count == nullptr) return static_cast<NTSTATUS>(STATUS_ACCESS_VIOLATION);
  QueryPerformanceCounter(count);
  if (frequency != nullptr) QueryPerformanceFrequency(frequency);
  return STATUS_SUCCESS;
}

const Export kExports[] = {
    HOT(kKernel32, QueryPerformanceCounter),   HOT(kKernel32, QueryPerformanceFrequency),
    HOT(kNtdll, NtQueryPerformanceCounter),    HOT(kNtdll, RtlQueryPerformanceCounter),
    HOT(kNtdll, RtlQueryPerformanceFrequency),
};

}  // namespace

std::span<const Export> profileapi_natives() { return kExports; }

}  // namespace bobbin::win32
