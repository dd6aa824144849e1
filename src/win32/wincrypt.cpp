// wincrypt.h, as far as runtimes use it: random numbers from the older cryptographic interface; and who the
// user is, which the same DLL (advapi32) exports.
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "nls/utf.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"
#include "win32/random.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr DWORD CRYPT_VERIFYCONTEXT = 0xF0000000u;
constexpr std::uint32_t kNoSuchKeySet = 0x80090016u;  // NTE_BAD_KEYSET

/// The one provider there is: it keeps no keys. Its handle stands for nothing but itself.
constexpr ULONG_PTR kProvider = 0xB0BB1;

BOOL acquire(ULONG_PTR* provider, DWORD flags) {
  if (provider == nullptr) return failed(ERROR_INVALID_PARAMETER);
  if ((flags & CRYPT_VERIFYCONTEXT) != CRYPT_VERIFYCONTEXT) return failed(kNoSuchKeySet);
  *provider = kProvider;
  return TRUE;
}

BOOL CryptAcquireContextA(ULONG_PTR* provider, LPCSTR, LPCSTR, DWORD, DWORD flags) {
  return acquire(provider, flags);
}
BOOL CryptAcquireContextW(ULONG_PTR* provider, LPCWSTR, LPCWSTR, DWORD, DWORD flags) {
  return acquire(provider, flags);
}

BOOL CryptReleaseContext(ULONG_PTR provider, DWORD flags) {
  return provider == kProvider && flags == 0 ? TRUE : failed(ERROR_INVALID_PARAMETER);
}

BOOL CryptGenRandom(ULONG_PTR provider, DWORD size, BYTE* out) {
  if (provider != kProvider || out == nullptr) return failed(ERROR_INVALID_PARAMETER);
  return fill_random(out, size) ? TRUE : failed(ERROR_GEN_FAILURE);
}

/// From /etc/passwd itself: the C library's own look-up would load modules into a statically linked command.
std::string user_name() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/etc/passwd", "re"), std::fclose);
  char buffer[1024];
  passwd entry{};
  passwd* found = nullptr;
  while (file && fgetpwent_r(file.get(), &entry, buffer, sizeof buffer, &found) == 0) {
    if (entry.pw_uid == getuid()) return entry.pw_name;
  }
  const char* named = std::getenv("USER");
  return named != nullptr ? named : std::to_string(getuid());
}

/// `size` counts the terminating zero, in and out.
template <class Char>
BOOL give_name(std::basic_string_view<Char> name, Char* buffer, DWORD* size) {
  const DWORD room = *size;
  *size = static_cast<DWORD>(name.size() + 1);
  if (deliver_terminated(name, buffer, room) != name.size()) return failed(ERROR_INSUFFICIENT_BUFFER);
  return TRUE;
}

BOOL GetUserNameA(LPSTR buffer, DWORD* size) { return give_name<char>(user_name(), buffer, size); }
BOOL GetUserNameW(LPWSTR buffer, DWORD* size) {
  return give_name<char16_t>(nls::to_utf16(user_name()), buffer, size);
}

const Export kExports[] = {
    NATIVE(kAdvapi32, CryptAcquireContextA), NATIVE(kAdvapi32, CryptAcquireContextW),
    NATIVE(kAdvapi32, CryptGenRandom),       NATIVE(kAdvapi32, CryptReleaseContext),
    NATIVE(kAdvapi32, GetUserNameA),         NATIVE(kAdvapi32, GetUserNameW),
};

}  // namespace

std::span<const Export> wincrypt_natives() { return kExports; }

}  // namespace bobbin::win32
