// bcrypt.h: random numbers; and ProcessPrng, which bcryptprimitives.dll exports and language runtimes call.
// There are no algorithms: opening one says that no provider has it.
#include "win32/handles.hpp"
#include "win32/natives.hpp"
#include "win32/random.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

BOOL ProcessPrng(BYTE* out, SIZE_T size) { return fill_random(out, size); }

/// The pseudo handle BCRYPT_RNG_ALG_HANDLE, or none with BCRYPT_USE_SYSTEM_PREFERRED_RNG.
NTSTATUS BCryptGenRandom(PVOID algorithm, BYTE* out, ULONG size, ULONG flags) {
  constexpr ULONG kUseEntropyInBuffer = 1, kUseSystemPreferred = 2;
  constexpr std::uintptr_t kRandomPseudoHandle = 0x81;
  if ((flags & ~(kUseEntropyInBuffer | kUseSystemPreferred)) != 0 || out == nullptr)
    return nt(STATUS_INVALID_PARAMETER);
  const bool preferred = (flags & kUseSystemPreferred) != 0;
  if (preferred ? algorithm != nullptr : reinterpret_cast<std::uintptr_t>(algorithm) != kRandomPseudoHandle)
    return nt(STATUS_INVALID_HANDLE);
  return nt(fill_random(out, size) ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL);
}

NTSTATUS BCryptOpenAlgorithmProvider(PVOID* algorithm, LPCWSTR name, LPCWSTR, ULONG) {
  if (algorithm == nullptr || name == nullptr) return nt(STATUS_INVALID_PARAMETER);
  *algorithm = nullptr;
  return nt(STATUS_NOT_FOUND);
}

/// What takes an algorithm, a hash or a key: nobody can have one.
BOBBIN_MS_ABI NTSTATUS no_such_object() { return nt(STATUS_INVALID_HANDLE); }

const Export kExports[] = {
    HOT_AS(kBcrypt, "BCryptCloseAlgorithmProvider", no_such_object),
    HOT_AS(kBcrypt, "BCryptCreateHash", no_such_object),
    HOT_AS(kBcrypt, "BCryptDeriveKeyPBKDF2", no_such_object),
    HOT_AS(kBcrypt, "BCryptDestroyHash", no_such_object),
    HOT_AS(kBcrypt, "BCryptDestroyKey", no_such_object),
    HOT_AS(kBcrypt, "BCryptEncrypt", no_such_object),
    HOT_AS(kBcrypt, "BCryptFinishHash", no_such_object),
    NT_NATIVE(kBcrypt, BCryptGenRandom),
    HOT_AS(kBcrypt, "BCryptGenerateSymmetricKey", no_such_object),
    HOT_AS(kBcrypt, "BCryptGetProperty", no_such_object),
    HOT_AS(kBcrypt, "BCryptHashData", no_such_object),
    NT_NATIVE(kBcrypt, BCryptOpenAlgorithmProvider),
    HOT_AS(kBcrypt, "BCryptSetProperty", no_such_object),
    NATIVE(kBcryptPrimitives, ProcessPrng),
};

}  // namespace

std::span<const Export> bcrypt_natives() { return kExports; }

}  // namespace bobbin::win32
