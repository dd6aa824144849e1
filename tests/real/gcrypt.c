// libgcrypt-20.dll: SHA-256 and AES in four threads at once, with the answers of FIPS 180 and FIPS 197.
#include <gcrypt.h>
#include <stdio.h>
#include <windows.h>

enum { kThreads = 4, kRounds = 8, kMillion = 1000000 };

static const unsigned char kMillionDigest[32] = {
    0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
    0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0};
static const unsigned char kCipher[32] = {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                          0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89};

/// Of a million letters, in pieces of another size in each thread.
static int digest_is_right(size_t piece) {
  static char letters[1000];
  memset(letters, 'a', sizeof letters);
  gcry_md_hd_t hash;
  if (gcry_md_open(&hash, GCRY_MD_SHA256, 0) != 0) return 0;
  for (size_t done = 0; done < kMillion;) {
    size_t now = kMillion - done < piece ? kMillion - done : piece;
    gcry_md_write(hash, letters, now);
    done += now;
  }
  int right = memcmp(gcry_md_read(hash, GCRY_MD_SHA256), kMillionDigest, 32) == 0;
  gcry_md_close(hash);
  return right;
}

static int cipher_is_right(void) {
  unsigned char key[32], text[16], out[16], back[16];
  for (int i = 0; i < 32; ++i) key[i] = (unsigned char)i;
  for (int i = 0; i < 16; ++i) text[i] = (unsigned char)(i * 0x11);
  gcry_cipher_hd_t cipher;
  if (gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_ECB, 0) != 0) return 0;
  int right = gcry_cipher_setkey(cipher, key, 32) == 0 &&
              gcry_cipher_encrypt(cipher, out, 16, text, 16) == 0 && memcmp(out, kCipher, 16) == 0 &&
              gcry_cipher_decrypt(cipher, back, 16, out, 16) == 0 && memcmp(back, text, 16) == 0;
  gcry_cipher_close(cipher);
  return right;
}

static DWORD WINAPI works(void* number) {
  DWORD right = 0;
  for (int round = 0; round < kRounds; ++round)
    right += digest_is_right(100 + 250 * (size_t)number) && cipher_is_right();
  return right;
}

int main(void) {
  if (gcry_check_version("1.10.0") == NULL) return 2;
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  HANDLE threads[kThreads];
  DWORD right = 0, of_one = 0;
  for (size_t i = 0; i < kThreads; ++i) threads[i] = CreateThread(NULL, 0, works, (void*)i, 0, NULL);
  for (size_t i = 0; i < kThreads; ++i) {
    WaitForSingleObject(threads[i], INFINITE);
    right += GetExitCodeThread(threads[i], &of_one) ? of_one : 0;
  }
  unsigned char random[2][32] = {{0}};
  for (int i = 0; i < 2; ++i) gcry_randomize(random[i], 32, GCRY_STRONG_RANDOM);
  printf("%s: %lu of %d right\n", gcry_check_version(NULL), right, kThreads * kRounds);
  return !(right == kThreads * kRounds && memcmp(random[0], random[1], 32) != 0);
}
