// utilapiset.h: disguised pointers and the beep; and the random numbers that CRTs take from advapi32.
#include <unistd.h>

#include <bit>
#include <chrono>
#include <thread>

#include "abi/status.hpp"
#include "win32/natives.hpp"
#include "win32/random.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

/// A secret that makes a pointer in writable memory useless to whoever can only overwrite it. Without a
/// random source it still differs from run to run, by where we are loaded.
std::uint64_t make_secret() {
  std::uint64_t secret = reinterpret_cast<std::uint64_t>(&make_secret);
  (void)fill_random(&secret, sizeof secret);
  return secret;
}

std::uint64_t secret() {
  static const std::uint64_t kept = make_secret();
  return kept;
}

int turn() { return static_cast<int>(secret() & 63); }

PVOID encode(PVOID pointer) {
  return reinterpret_cast<PVOID>(std::rotr(reinterpret_cast<std::uint64_t>(pointer) ^ secret(), turn()));
}

PVOID decode(PVOID pointer) {
  return reinterpret_cast<PVOID>(std::rotl(reinterpret_cast<std::uint64_t>(pointer), turn()) ^ secret());
}

PVOID EncodePointer(PVOID pointer) { return encode(pointer); }
PVOID DecodePointer(PVOID pointer) { return decode(pointer); }
PVOID EncodeSystemPointer(PVOID pointer) { return encode(pointer); }
PVOID DecodeSystemPointer(PVOID pointer) { return decode(pointer); }
PVOID RtlEncodePointer(PVOID pointer) { return encode(pointer); }
PVOID RtlDecodePointer(PVOID pointer) { return decode(pointer); }
PVOID RtlEncodeSystemPointer(PVOID pointer) { return encode(pointer); }
PVOID RtlDecodeSystemPointer(PVOID pointer) { return decode(pointer); }

/// The terminal's bell: it has one pitch, but sounds, and the call takes the time that it was asked to.
BOOL Beep(DWORD frequency, DWORD milliseconds) {
  if (frequency < 37 || frequency > 32767) return failed(ERROR_INVALID_PARAMETER);
  if (isatty(STDERR_FILENO) == 1 && write(STDERR_FILENO, "\a", 1) != 1) return failed(ERROR_GEN_FAILURE);
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return TRUE;
}

/// RtlGenRandom, by the name under which it is exported.
BOOLEAN SystemFunction036(PVOID out, ULONG size) { return fill_random(out, size); }

const Export kExports[] = {
    NATIVE(kKernel32, Beep),
    NATIVE(kKernel32, DecodePointer),
    NATIVE(kKernel32, DecodeSystemPointer),
    NATIVE(kKernel32, EncodePointer),
    NATIVE(kKernel32, EncodeSystemPointer),
    NATIVE(kNtdll, RtlDecodePointer),
    NATIVE(kNtdll, RtlDecodeSystemPointer),
    NATIVE(kNtdll, RtlEncodePointer),
    NATIVE(kNtdll, RtlEncodeSystemPointer),
    NATIVE(kAdvapi32, SystemFunction036),
};

}  // namespace

std::span<const Export> utilapiset_natives() { return kExports; }

}  // namespace bobbin::win32
