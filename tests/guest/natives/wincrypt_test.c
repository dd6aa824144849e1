// advapi32: random numbers and the user's name.
#include "check.h"

#include <string.h>
#include <wincrypt.h>

int main(void) {
  HCRYPTPROV provider = 0;
  CHECK(CryptAcquireContextA(&provider, NULL, NULL, PROV_RSA_FULL, CRYPT_VERIFYCONTEXT) && provider != 0);
  unsigned char first[64] = {0}, second[64] = {0};
  CHECK(CryptGenRandom(provider, sizeof first, first));
  CHECK(CryptGenRandom(provider, sizeof second, second));
  CHECK(memcmp(first, second, sizeof first) != 0);
  CHECK(CryptReleaseContext(provider, 0));
  CHECK(CryptAcquireContextW(&provider, NULL, NULL, PROV_RSA_FULL, CRYPT_VERIFYCONTEXT));
  CHECK(CryptReleaseContext(provider, 0));

  char name[256];
  WCHAR wide[256];
  DWORD size = sizeof name;
  CHECK(GetUserNameA(name, &size) && size == strlen(name) + 1 && size > 1);
  size = 256;
  CHECK(GetUserNameW(wide, &size) && wide[0] == name[0]);
  size = 1;
  CHECK(!GetUserNameA(name, &size) && GetLastError() == ERROR_INSUFFICIENT_BUFFER && size > 1);
  return DONE();
}
